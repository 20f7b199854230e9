"""One parameter of a problem as a knob: g, the noise, the variance of the static input, or an input's amplitude."""

from dataclasses import replace

import numpy as np

from ..conventions import brief, closest

_KNOBS = ("g", "noise", "input_variance")


def knob(problem, along):
    """A function value -> the problem with that parameter at this value.

    Parameters
    ----------
    problem : Problem
    along : str
        "g" (with g per pair of populations: a factor of all of them), "noise", "input_variance", or the name of an
        input.

    Raises
    ------
    ValueError
        Unknown parameter; when called, a value that is negative where it must not be, or not finite.
    """
    names = (*_KNOBS, *problem.connectivity.inputs)
    if along not in names:
        raise ValueError(f"cannot follow along {brief(along)}; {closest(str(along), names)}")

    def at(value):
        value = float(value)
        if not np.isfinite(value) or (value < 0 and along in _KNOBS):
            sign = " and >= 0" if along in _KNOBS else ""
            raise ValueError(f"{along} must be finite{sign}: got {value}")
        if along == "g":
            return problem.with_g(value if problem.scalar else value * problem.connectivity.g)
        if along == "noise":
            return replace(problem, noise=value)
        if along == "input_variance":
            return replace(problem, input_variance=np.full(problem.n_populations, value))
        v = problem.v.copy()
        v[problem.connectivity.inputs.index(along)] = value
        return replace(problem, v=v)

    return at
