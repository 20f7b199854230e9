"""The parameters of a problem by name, at many values at once: the grammar of ``vary`` and of ``along``."""

import numpy as np

from ..conventions import brief, check_array, closest

#: Parameters that are not of the loadings, and must not be negative.
STRENGTHS = ("g", "noise", "input_variance")


def broadcast(vary):
    """The grid's shape, and every array of ``vary`` spread over it."""
    if not hasattr(vary, "items") or not vary:
        raise ValueError("vary must map names to arrays, e.g. vary={'g': g[:, None], 'n1 m1': overlap}")
    arrays = {name: np.asarray(check_array(f"vary[{name!r}]", value)) for name, value in vary.items()}
    empty = [name for name, a in arrays.items() if not a.size]
    if empty:
        raise ValueError(f"vary[{empty[0]!r}] is empty: give at least one value")
    try:
        shape = np.broadcast_shapes(*(a.shape for a in arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name!r}: {a.shape}" for name, a in arrays.items())
        raise ValueError(f"the arrays of vary must broadcast to one grid: got {shapes}") from None
    return shape, {name: np.broadcast_to(a, shape) for name, a in arrays.items()}


def changed(problem, grid, shape):
    """What a grid of parameters changes of a problem, with the grid's axes in front.

    Parameters
    ----------
    problem : Problem
    grid : mapping key -> array of that shape
        A key is a name, or (name, p) for population p alone, or ("g", p, q); the more special key wins.

    Returns
    -------
    dict
        Of "g" (...) or (..., P, P), "noise" (...), "input_variance" (..., P), "v" (..., S), "means" (..., P, A) and
        "covariances" (..., P, A, A), those that are changed.

    Raises
    ------
    ValueError
        A key that is no parameter of this problem, or a negative strength.
    """
    c, out = problem.connectivity, {}
    for key, values in sorted(grid.items(), key=lambda item: isinstance(item[0], tuple)):
        field, places = read(problem, key)
        name = key[0] if isinstance(key, tuple) else key
        if name in STRENGTHS and values.min() < 0:
            raise ValueError(f"{name} must be finite and >= 0: got {values.min():g}")
        if field not in out:
            base = np.asarray(getattr(c if field in ("g", "means", "covariances") else problem, field), float)
            out[field] = np.broadcast_to(base, (*shape, *base.shape)).copy()
        array = out[field]
        if key == "g" and not problem.scalar:
            array *= values[..., None, None]
        for place in places:
            array[(..., *place)] = values[..., None] if slice(None) in place else values
    return out


def read(problem, key):
    """The field that a key belongs to, and the places in it that take the value; none for a factor of the whole."""
    c = problem.connectivity
    if isinstance(key, tuple) and len(key) == 3 and key[0] == "g":
        return "g", (_pair(problem, key),)
    name, p = _population(c, key)
    words = str(name).split()
    if name in ("g", "noise"):
        return name, ((),) if name == "noise" or problem.scalar else ()
    if name == "input_variance":
        return name, ((p,),)
    if name in c.inputs:
        return "v", ((c.inputs.index(name),),)
    if len(words) == 2 and words[0] == "mean":
        return "means", ((p, c.index(words[1])),)
    if len(words) == 2:
        i, j = c.index(words[0]), c.index(words[1])
        return "covariances", ((p, i, j), (p, j, i))
    names = (*STRENGTHS, *c.inputs)
    raise ValueError(
        f"unknown parameter {brief(name)}, expected an input, 'g', a covariance such as 'n1 m1' or a mean such as "
        f"'mean n1'; {closest(str(name), names)}"
    )


def _population(c, key):
    """Name and population, or all populations, of a key."""
    if not isinstance(key, tuple):
        return key, slice(None)
    if len(key) != 2 or not _places(key[1:], c.n_populations):
        raise ValueError(
            f"a key is a name, (name, p) with a population p from 0 to {c.n_populations - 1}, or ('g', p, q): "
            f"got {key!r}"
        )
    if key[0] == "g":
        raise ValueError(f"'g' takes a pair of populations, ('g', p, q), or none: got {key!r}")
    if key[0] == "noise" or key[0] in c.inputs:
        raise ValueError(f"{key[0]!r} is one for all populations: got {key!r}")
    return key


def _pair(problem, key):
    P = problem.n_populations
    if not _places(key[1:], P):
        raise ValueError(f"('g', p, q) takes populations p and q from 0 to {P - 1}: got {key!r}")
    if problem.scalar:
        raise ValueError(
            f"{key!r} is one strength of a block, but g is one number here: make it one per pair of populations, "
            f"dataclasses.replace(c, g=np.full(({P}, {P}), c.g)), or vary 'g'"
        )
    return key[1:]


def _places(indices, P):
    return all(isinstance(p, int | np.integer) and not isinstance(p, bool) and 0 <= p < P for p in indices)


def parameters(problem, grid, shape):
    """Blocks, input variables (n, S), coupling and static variance at n flattened points of a grid of states at rest.

    Raises
    ------
    ValueError
        As :func:`changed`; noise; a covariance of (m, inputs) that is not positive semi-definite.
    """
    if "noise" in grid:
        raise ValueError("vary: 'noise' lets every state fluctuate, so that none is at rest; see follow, along='noise'")
    c, new = problem.connectivity, changed(problem, grid, shape)
    coupling, P = problem.coupling, problem.n_populations
    if "g" in new:
        square = new["g"] ** 2
        wide = square[..., None, None] if problem.scalar else square
        coupling = np.broadcast_to(wide, (*shape, P, P)) * c.weights
    size, S = int(np.prod(shape, dtype=int)), len(problem.v)
    v = np.broadcast_to(new.get("v", problem.v), (*shape, S)).reshape(size, S)
    blocks = _blocks(c, problem.blocks, new.get("means"), new.get("covariances"))
    return blocks, v, coupling, new.get("input_variance", problem.input_variance)


def _blocks(c, b, means, covariances):
    """The blocks with varied means and covariances, where there are any."""
    if means is not None:
        b = b._replace(**{f"mean_{kind}": means[..., c.slice(kind)] for kind in "mnI"})
    if covariances is not None:
        pairs = {f"cov_{x}{y}": covariances[..., c.slice(x), :][..., c.slice(y)] for x, y in ("mm", "mI", "II")}
        joint = np.concatenate(
            [np.concatenate([pairs["cov_mm"], pairs["cov_mI"]], -1),
             np.concatenate([pairs["cov_mI"].swapaxes(-1, -2), pairs["cov_II"]], -1)], -2
        )  # fmt: skip
        lowest = np.linalg.eigvalsh(joint)[..., 0].min()
        if lowest < -1e-12 * np.abs(joint).max():
            raise ValueError(
                f"vary: the covariance of (m, inputs) is not positive semi-definite somewhere on the grid (smallest "
                f"eigenvalue {lowest:.3g}); lower the covariances between them"
            )
        pairs |= {f"cov_n{y}": covariances[..., c.slice("n"), :][..., c.slice(y)] for y in "mI"}
        b = b._replace(**pairs)
    return b
