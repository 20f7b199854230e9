"""One parameter of a problem as a knob: a function of its value, in the grammar of :mod:`meanfield.dmft.grid`."""

from dataclasses import replace

from ..conventions import brief, check_array
from .grid import changed, read


def knob(problem, along):
    """A function value -> the problem with that parameter at this value.

    Parameters
    ----------
    problem : Problem
    along : str or tuple
        "g" (with g per pair of populations: a factor of all of them), ("g", p, q), "noise", "input_variance", the name
        of an input, "mean n1" and the like, "n1 m1" and the like; ``(name, p)`` turns population p alone.

    Raises
    ------
    ValueError
        Unknown parameter; when called, a value that is not finite, or that no network has: a negative strength, a
        covariance that is not positive semi-definite.
    """
    try:
        read(problem, along)
    except ValueError as error:
        raise ValueError(f"cannot follow along {brief(along)}: {error}") from None

    def at(value):
        new = changed(problem, {along: check_array(str(along), value, ())}, ())
        loadings = {name: new.pop(name) for name in ("g", "means", "covariances") if name in new}
        if loadings:
            new["connectivity"] = replace(problem.connectivity, **loadings)
        if "noise" in new:
            new["noise"] = float(new["noise"])
        return replace(problem, **new)

    return at
