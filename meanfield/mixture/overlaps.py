"""From a sparse list of overlaps, written by a person, to the means and covariances of a mixture.

The keys are ``"weight"``, ``"mean n1"`` and pairs of loadings like ``"n1 m1"``, in either order. What is not listed:

- variances of m and of the inputs are 1, their other covariances 0, all means 0;
- n and w are the linear functions of x = (m, I) that have the listed covariances C with it,

      (n, w) = B x,   B = C Sigma_xx^-1,   covariance of (n, w) = C Sigma_xx^-1 C^T    (:eq:`implied-covariances`),

  except for the entries of that last block that are listed themselves. Only C enters the reduced equations (Stein's
  lemma).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ..conventions import check_array, closest, loading_slices, ordinal, rounding_tolerance


def mixture_from_overlaps(
    populations: Sequence[Mapping[str, float]], names: Sequence[str], rank: int, n_inputs: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``weights`` (P,), ``means`` (P, A) and ``covariances`` (P, A, A) from one mapping per population.

    ``names`` are the A names along the loading axis. A single population needs no weight.

    Raises
    ------
    ValueError
        An unknown or repeated key (with the closest known names), a value that is not a finite number, a missing
        weight, a listed covariance that no loading can have because some of (m, I) are linearly dependent.
    """
    if isinstance(populations, Mapping) or isinstance(populations, str) or not isinstance(populations, Sequence):
        raise ValueError(
            "populations must be a list with one mapping per population, e.g. [{'weight': 1.0, 'n1 m1': 2.0}]"
        )
    if not populations:
        raise ValueError("populations is empty: a mixture needs at least one population, e.g. [{'n1 m1': 2.0}]")
    position = {name: a for a, name in enumerate(names)}
    slices = loading_slices(rank, n_inputs, len(names) - 2 * rank - n_inputs)
    weights = np.empty(len(populations))
    means = np.zeros((len(populations), len(names)))
    covariances = np.zeros((len(populations), len(names), len(names)))
    for p, population in enumerate(populations):
        try:
            if not isinstance(population, Mapping):
                raise ValueError(f"must be a mapping from keys to numbers: got {type(population).__name__}")
            listed = _read(population, position)
            weights[p] = listed.pop("weight", 1.0 if len(populations) == 1 else np.nan)
            if np.isnan(weights[p]):
                raise ValueError("has no 'weight'; with several populations each needs one, and they sum to 1")
            for key in [key for key in listed if len(key) == 1]:
                means[p, key] = listed.pop(key)
            covariances[p] = _covariance(listed, slices, names)
        except ValueError as error:
            raise ValueError(f"population {ordinal(p)}: {error}") from None
    return weights, means, covariances


def _read(population: Mapping[str, float], position: dict[str, int]) -> dict:
    """{"weight": value, (a,): mean, (a, b): covariance with a <= b}."""
    listed, spelled = {}, {}
    for key, value in population.items():
        words = key.split() if isinstance(key, str) else []
        if words == ["weight"]:
            short = "weight"
        elif len(words) == 2 and words[0] == "mean" and words[1] in position:
            short = (position[words[1]],)
        elif len(words) == 2 and all(word in position for word in words):
            short = tuple(sorted(position[word] for word in words))
        else:
            raise ValueError(f"unknown key {key!r}; {_suggest(key, words, position)}")
        if short in listed:
            raise ValueError(f"keys {spelled[short]!r} and {key!r} are the same entry; keep one")
        if isinstance(value, bool | np.bool_ | str):
            raise ValueError(f"key {key!r} must be a number: got {value!r}")
        listed[short], spelled[short] = float(check_array(f"key {key!r}", value, ())), key
    return listed


def _suggest(key, words: list[str], position: dict[str, int]) -> str:
    if len(words) != 2:
        pairs = [f"{a} {b}" for a in position for b in position] if len(position) <= 20 else ["n1 m1"]
        known = ["weight", *(f"mean {name}" for name in position), *pairs]
        return closest(key, known)
    unknown = [word for word in words if word not in position and word != "mean"]
    if not unknown:
        return "'mean' stands first and once, as in 'mean m1'"
    return f"{unknown[0]!r} is no loading: {closest(unknown[0], position)}"


def _covariance(listed: dict[tuple[int, int], float], slices: dict[str, slice], names: Sequence[str]) -> np.ndarray:
    """The full covariance of one population from its listed entries."""
    covariance = np.zeros((len(names), len(names)))
    axes = np.arange(len(names))
    x = np.concatenate([axes[slices["m"]], axes[slices["I"]]])
    y = np.concatenate([axes[slices["n"]], axes[slices["w"]]])
    covariance[x, x] = 1.0
    for (a, b), value in listed.items():
        covariance[a, b] = covariance[b, a] = value
    tuned = y[covariance[np.ix_(y, x)].any(axis=1)]
    implied = [(a, b) for i, a in enumerate(tuned) for b in tuned[i:] if (a, b) not in listed]
    if implied:
        explained = _explained(covariance[np.ix_(tuned, x)], covariance[np.ix_(x, x)], tuned, x, names)
        place = {a: i for i, a in enumerate(tuned)}
        for a, b in implied:
            covariance[a, b] = covariance[b, a] = explained[place[a], place[b]]
    return covariance


def _explained(c: np.ndarray, s: np.ndarray, y: np.ndarray, x: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """c s^-1 c^T, with the pseudo-inverse in units near the standard deviations where s is singular.

    Formed as a Gram matrix, so that rounding cannot make the whole covariance indefinite however ill-conditioned s is.
    """
    scale = np.exp2(np.round(0.5 * np.log2(np.where(np.diag(s) > 0, np.diag(s), 1.0))))  # powers of two: exact
    values, vectors = np.linalg.eigh(s / scale / scale[:, None])
    cutoff = rounding_tolerance(len(x)) * max(values[-1], 1.0)
    if values[0] < -cutoff:
        raise ValueError(
            f"the covariance of {', '.join(names[a] for a in x)} is not positive semi-definite: "
            f"its smallest eigenvalue is {np.linalg.eigvalsh(s)[0]:.6g}; "
            "lower a covariance or raise a variance (1 unless listed)"
        )
    kept = values > cutoff
    along = (c / scale) @ vectors
    lost = np.abs(along[:, ~kept] @ vectors[:, ~kept].T)
    if not kept.all() and lost.max() > cutoff * max(1.0, np.abs(c / scale).max()):
        worst = np.unravel_index(np.argmax(lost), lost.shape)
        name = names[y[worst[0]]]
        raise ValueError(
            f"the covariance '{name} {names[x[worst[1]]]}' = {c[worst]:.6g} is impossible: "
            f"{', '.join(names[a] for a in x)} are linearly dependent (or of variance 0), and the covariances of "
            f"{name} with them must depend in the same way"
        )
    return (along[:, kept] / values[kept]) @ along[:, kept].T
