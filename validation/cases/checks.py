"""Statements: a claim, what we find, what is expected, and whether they agree within proved or stated errors."""

import numpy as np

from meanfield.dynamics import reduce
from meanfield.fixed_points import fixed_points

from ..analysis import Statement
from . import derivations

OURS = "derived here"
# of the separate derivation: a few units in the last place
_ROUNDING = 16 * np.finfo(float).eps


def claim(text, holds, value, expected, source=OURS):
    """A statement from its parts."""
    return Statement(text, str(value), str(expected), None if holds is None else bool(holds), source)


def number(text, value, expected, error=0.0, source=OURS):
    """``value`` is known within ``error``; the expected number must lie there (rounding of a double allowed)."""
    value, expected = float(value), float(expected)
    holds = abs(value - expected) <= error + _ROUNDING * max(1.0, abs(expected))
    return claim(text, holds, f"{value:.10g} ± {error:.1g}" if error else f"{value:.10g}", f"{expected:.10g}", source)


def printed(text, value, expected, decimals, source):
    """``value`` (a number or a matrix) rounds to the numbers printed in the source, with its number of decimals."""
    value, expected = np.asarray(value, float), np.asarray(expected, float)
    holds = np.all(np.abs(value - expected) <= 0.5 * 10.0**-decimals + 1e-12)
    return claim(text, holds, matrix(value, max(decimals + 2, 4)), matrix(expected, decimals + 1), source)


def matrix(value, digits=4):
    """A number or a matrix as text, rows separated by semicolons."""
    value = np.atleast_2d(value)
    rows = ("  ".join(f"{round(x, 12) + 0.0:.{digits}g}" for x in row) for row in value)
    return "; ".join(rows) if value.size == 1 else "(" + " ; ".join(rows) + ")"


def kinds(fp):
    """``{"stable": 2, "saddle": 2, ...}`` of a :class:`FixedPoints`."""
    names, counts = np.unique(fp.kind, return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def describe(counts):
    """Counts of kinds in words."""
    order = [k for k in ("stable", "saddle", "source", "undecided") if counts.get(k)]
    return ", ".join(f"{counts[k]} {k}" for k in order) or "none"


def count(portrait, expected, source, text=None):
    """Proved complete, with these kinds of fixed points."""
    fp, found = portrait.fixed_points, kinds(portrait.fixed_points)
    expected = {name: n for name, n in expected.items() if n}
    value = f"{describe(found)} ({'proved complete' if fp.complete else fp.status.value})"
    text = text or f"fixed points, {portrait.condition.label}"
    return claim(text, fp.complete and found == expected, value, describe(expected), source)


def located(portrait, expected, source=OURS, text="fixed points where the closed form puts them"):
    """Each expected (kappa, eigenvalues) lies in the proved enclosure of a fixed point, with its eigenvalues; and none
    is left over."""
    fp, worst, holds = portrait.fixed_points, 0.0, len(portrait.fixed_points) == len(expected)
    for kappa, eigenvalues in expected if len(fp) else ():
        k = int(np.argmin(np.linalg.norm(fp.kappa - kappa, axis=-1)))
        distance = np.abs(fp.kappa[k] - kappa)
        holds &= bool(np.all(distance <= fp.radius[k] + _ROUNDING * (1 + np.abs(kappa))))
        if eigenvalues is not None:
            error = fp.eigenvalue_error[k] + 1e-12
            holds &= bool(
                np.allclose(np.sort(fp.eigenvalues[k].real), np.sort(np.real(eigenvalues)), rtol=0, atol=error)
            )
        worst = max(worst, float(distance.max()))
    points = "; ".join("(" + ", ".join(f"{x + 0.0:.8g}" for x in kappa) + ")" for kappa, _ in expected)
    return claim(
        f"{text}, {portrait.condition.label}",
        holds,
        f"all within {max(worst, 1e-16):.0e}, inside the proved radii"
        if holds
        else f"{len(fp)} found, off by {worst:.2g}",
        points,
        source,
    )


def one_population(portrait, overlap, variance_m, source=OURS):
    """The closed form of one zero-mean Gaussian population against the portrait."""
    text = "positions and eigenvalues from <phi'>(Delta) = 1/lambda along the overlap's eigenvectors"
    return located(portrait, derivations.one_population(np.asarray(overlap, float), variance_m), source, text)


def bracket(c, transfer, name, amplitude, before, after, steps=(1e-7, 1e-8, 1e-9)):
    """Prove a change in the number of fixed points between amplitude - step and amplitude + step of one input.

    Returns
    -------
    float or None
        The smallest of ``steps`` for which both sides are proved complete with ``before`` and ``after`` fixed points.
    """
    proved = None
    for step in steps:
        sides = [fixed_points(reduce(c, transfer, {name: amplitude + sign * step})) for sign in (-1, 1)]
        if not all(side.complete for side in sides) or tuple(map(len, sides)) != (before, after):
            break
        proved = step
    return proved


def closed_orbit(portrait, text, source):
    """One stable limit cycle around a source, and no other attractor."""
    counts, cycles = kinds(portrait.fixed_points), portrait.cycles
    holds = portrait.fixed_points.complete and counts == {"source": 1} and len(cycles) == 1 and cycles[0].stable
    value = f"{describe(counts)}; {len(cycles)} cycle" + (
        f" of period {cycles[0].period:.9g} tau" if len(cycles) == 1 else "s"
    )
    if portrait.cycle_search is not None and portrait.cycle_search.guaranteed:
        value += " (that there is one is proved: Poincare-Bendixson)"
    return claim(text, holds, value, "1 source, 1 stable limit cycle", source)


def liouville(cycle):
    """The nontrivial multiplier is exp of the integral of the trace of the Jacobian, by the trapezoidal rule on the
    stored orbit."""
    orbit = np.asarray(cycle.orbit)[:-1]
    trace = np.trace(cycle.field.jacobian(orbit), axis1=-2, axis2=-1)
    # evenly spaced points of a smooth periodic function: the rule converges faster than any power
    exponent = trace.mean() * cycle.period
    found = float(np.log(np.abs(cycle.multipliers[1:]).max()))
    holds = exponent < 0 and abs(found - exponent) < 1e-5 * (1 + abs(exponent))
    return claim(
        "ln of its Floquet multiplier is the integral of the trace of the Jacobian",
        holds,
        f"{found:.7g}",
        f"{exponent:.7g} (1e-5)",
    )
