"""Names, axes and checks that everything else agrees on; the table is in the documentation, page "Conventions".

A neuron has ``A = 2R + S + W`` loadings, in the order m1..mR, n1..nR, inputs, readouts. They are reached by name,
never by a literal index.
"""

import difflib
import re
from collections.abc import Iterable, Sequence

import numpy as np

#: The four kinds of loadings, in the order of the loading axis.
KINDS = ("m", "n", "I", "w")

#: Words with a meaning of their own in the keys of an overlap or in a model file.
RESERVED = ("mean", "weight", "m", "n")

#: How many roundings of size eps an entry of a covariance may carry from the sums of products it was made with. Times
#: the number of loadings (sums of A terms, and the error of a symmetric eigenvalue solver) this is the tolerance for
#: symmetry, for positive semi-definiteness and for the numerical rank of a covariance; it is relative to the largest
#: entry or eigenvalue.
ROUNDINGS = 4

#: How far weights may be from summing to 1: rounded decimals and sums of many floats pass, a forgotten population
#: does not.
WEIGHT_TOLERANCE = 1e-9


def rounding_tolerance(size: int) -> float:
    """Relative rounding error of a ``size x size`` matrix of sums of products, ``ROUNDINGS * size * eps``."""
    return ROUNDINGS * size * np.finfo(float).eps


def ordinal(position: int) -> str:
    """``0 -> "0 (first)"``: a position counted from zero, said so that nobody can take it for the other count."""
    words = ("first", "second", "third")
    number = position + 1
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{position} ({words[position] if position < 3 else f'{number}{suffix}'})"


def closest(name: object, known: Iterable[str]) -> str:
    """The end of an error message about an unknown name: the nearest known names, or all of them."""
    known = list(known)
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(repr(other) for other in near) + "?"
    return "known: " + ", ".join(known[:30]) + (", ..." if len(known) > 30 else "")


def check_array(what: str, value, shape: Sequence[int] | None = None, axes: str = "") -> np.ndarray:
    """A finite, read-only float64 copy of ``value``.

    ``shape`` is the expected shape (None for any), ``axes`` says in words what its axes are.

    Raises
    ------
    ValueError
        Not numbers, wrong shape, NaN or infinity; the message says where.
    """
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiuO":
            raise TypeError
        array = np.array(np.asarray(array, dtype=np.float64) + 0.0)  # a copy, without negative zeros
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{what} must be an array of real numbers{axes and ' ' + axes}: got {brief(value)}") from None
    if shape is not None and array.shape != tuple(shape):
        raise ValueError(f"{what}: got shape {array.shape}, expected {tuple(shape)}{axes and ' ' + axes}")
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        place = f" at index {where if len(where) > 1 else where[0]}" if where else ""
        raise ValueError(f"{what} must be finite: got {array[where]}{place}")
    array.setflags(write=False)
    return array


def check_integer(what: str, value, low: int) -> int:
    """An integer at least ``low``; numpy integers are accepted, booleans and floats are not."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < low:
        raise ValueError(f"{what} must be an integer, at least {low}: got {brief(value)}")
    return int(value)


def loading_names(rank: int, inputs: Sequence[str] = (), readouts: Sequence[str] = ()) -> tuple[str, ...]:
    """Names along the loading axis: ``("m1", .., "mR", "n1", .., "nR", *inputs, *readouts)``, checked.

    A name is a word without spaces. It may not be ``mean``, ``weight``, ``m``, ``n`` or look like a rank (``m3``,
    ``n12``). ``I`` and ``w`` stand for all the inputs and all the readouts, so a single input may be called ``I`` and
    a single readout ``w``, and nothing else may.

    Raises
    ------
    ValueError
        A rank below 1; a name that is no word, is used twice or clashes with a meaning above.
    """
    rank = check_integer("rank", rank, 1)
    groups = (("input", "I", inputs), ("readout", "w", readouts))
    names = [f"{kind}{r}" for kind in "mn" for r in range(1, rank + 1)]
    for what, own, group in groups:
        if isinstance(group, str):
            raise ValueError(f"{what}s must be a sequence of names: got the string {group!r}; write ({group!r},)")
        group = tuple(group)
        for name in group:
            if not isinstance(name, str) or not name or not name.isprintable() or any(c.isspace() for c in name):
                raise ValueError(f"{what}s: a name must be a word without spaces: got {brief(name)}")
            if name in RESERVED or re.fullmatch(r"[mn][0-9]+", name):
                raise ValueError(
                    f"{what} name {name!r} already means something else; choose another, e.g. {name.upper()!r}"
                )
            if name in ("I", "w") and (name != own or len(group) > 1):
                allowed = {"I": "a single input", "w": "a single readout"}[name]
                raise ValueError(f"{what} name {name!r}: only {allowed} may be called so, because it names them all")
            if name in names:
                raise ValueError(f"{what} name {name!r} is used twice; every input and readout needs its own name")
            names.append(name)
    return tuple(names)


def loading_slices(rank: int, n_inputs: int, n_readouts: int) -> dict[str, slice]:
    """Where each kind of loadings (``"m"``, ``"n"``, ``"I"``, ``"w"``) stands on the loading axis."""
    ends = np.cumsum([rank, rank, n_inputs, n_readouts])
    return {
        kind: slice(int(end - size), int(end))
        for kind, end, size in zip(KINDS, ends, np.diff(ends, prepend=0), strict=True)
    }


def check_weights(value) -> np.ndarray:
    """The fractions of neurons alpha_p (P,): positive, and summing to 1 within ``WEIGHT_TOLERANCE``; not normalised.

    Raises
    ------
    ValueError
        Also for a weight of 0: an empty population is no population.
    """
    weights = check_array("weights", value)
    if weights.ndim != 1 or len(weights) == 0:
        raise ValueError(f"weights: got shape {weights.shape}, expected (populations,)")
    if (weights <= 0).any():
        p = int(np.argmax(weights <= 0))
        found = "is empty: its weight is 0" if weights[p] == 0 else f"has the negative weight {weights[p]}"
        raise ValueError(f"population {ordinal(p)} {found}, expected a positive number; leave it out")
    total = float(weights.sum())
    if abs(total - 1) > WEIGHT_TOLERANCE:
        raise ValueError(
            f"weights must sum to 1: got {total:.12g} ({counted(len(weights), 'population')}); divide by their sum"
        )
    return weights


def check_covariances(value, n_populations: int, names: Sequence[str]) -> np.ndarray:
    """Covariances (P, A, A): finite, symmetric and positive semi-definite, both within ``rounding_tolerance(A)``.

    An asymmetry of rounding size is averaged away; a negative eigenvalue of rounding size is left as it is. When all
    are zero the result is one zero seen through (P, A, A), so that a finite network of N neurons takes O(N) memory.

    Raises
    ------
    ValueError
        Names the population, and the two entries that differ or the smallest eigenvalue and the loadings along it.
    """
    size = len(names)
    shape = (n_populations, size, size)
    if isinstance(value, np.ndarray) and value.shape == shape and value.dtype == float and not value.any():
        return np.broadcast_to(0.0, shape)
    covariances = check_array("covariances", value, shape, "(populations, loadings, loadings)")
    if not covariances.any():
        return np.broadcast_to(0.0, shape)
    tolerance = rounding_tolerance(size)
    transposed = covariances.swapaxes(1, 2)
    asymmetry = np.abs(covariances - transposed)
    bad = asymmetry > tolerance * np.abs(covariances).max(axis=(1, 2), keepdims=True)
    if bad.any():
        p, a, b = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"population {ordinal(p)}: the covariance is not symmetric: "
            f"{names[a]} {names[b]} is {covariances[p, a, b]}, but {names[b]} {names[a]} is {covariances[p, b, a]}"
        )
    covariances = np.where(asymmetry > 0, 0.5 * covariances + 0.5 * transposed, covariances)
    values = np.linalg.eigvalsh(covariances)
    bad = ~(values[:, 0] >= -tolerance * values[:, -1])
    if bad.any():
        p = int(np.argmax(bad))
        along = np.abs(np.linalg.eigh(covariances[p])[1][:, 0])
        heavy = [names[a] for a in np.argsort(-along, kind="stable")[:3] if along[a] > 0.1]
        raise ValueError(
            f"population {ordinal(p)}: the covariance is not positive semi-definite: its smallest eigenvalue is "
            f"{values[p, 0]:.6g}, along {', '.join(heavy)}; no loadings have these covariances: "
            "lower one of them or raise a variance"
        )
    covariances.setflags(write=False)
    return covariances


def counted(number: int, noun: str) -> str:
    """``2, "population" -> "2 populations"``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def shorten(names: Sequence[str]) -> str:
    """The first dozen names, and dots when there are more."""
    return " ".join([*names[:12], *([".."] if len(names) > 12 else [])])


def brief(value) -> str:
    """``repr``, cut to a length that an error message can bear."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python prints
        text = f"a huge {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."
