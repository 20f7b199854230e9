"""How well trials are decided: accuracy, and the psychometric curve with its logistic fit, each with its error.

A decision is the sign of the mean readout in the window; a mean that is 0 or nan is none, is counted on its own, and is
never right.
"""

import enum
import math
from dataclasses import dataclass

import numpy as np

from meanfield import plotting

from ..analysis import Figure

#: Conditions over which a psychometric curve is drawn, where trials have one.
GRADED = ("coherence",)

# The fit is at its maximum where a step would gain less than this in log likelihood; more steps are never needed.
_GAIN, _STEPS = 1e-12, 200
# A level says something of the slope where the logistic function differs from 0 and 1 by more than this.
_SATURATED = 1e-6
# A slope, over the largest level, that is rounding.
_ROUNDING = 1e-12
# Points of a line that looks smooth.
_POINTS = 201


def binomial(successes, number):
    """Share of successes and its standard error, Wilson's: not 0 where all or none succeed."""
    share = successes / number
    return share, np.sqrt(share * (1 - share) / number + 1 / (4 * number**2)) / (1 + 1 / number)


@dataclass(frozen=True)
class Accuracy:
    """Right decisions on some trials.

    Attributes
    ----------
    share, error : float
        Share of right decisions, and its binomial standard error (Wilson's).
    right, undecided, count : int
        Numbers of trials: decided right, with a mean readout of 0 or nan, all.
    chance : float
        What giving the more frequent answer on every trial would reach.
    """

    share: float
    error: float
    right: int
    undecided: int
    count: int
    chance: float

    def __str__(self):
        ties = f", {self.undecided} undecided" if self.undecided else ""
        digits = max(3, -math.floor(math.log10(self.error)))
        share = f"{self.share:.{digits}f} ± {self.error:.{digits}f}"
        return f"{share} ({self.right} of {self.count} right{ties}; chance {self.chance:.2f})"


def accuracy(trials, z):
    """Share of right decisions.

    Parameters
    ----------
    trials : Trials
    z : array_like (B, T)
        Readout after each step, without the start.

    Returns
    -------
    Accuracy
    """
    decided = _decisions(trials, z)
    right, count = int((decided == np.sign(trials.target)).sum()), len(trials)
    share, error = binomial(right, count)
    plus = float((trials.target > 0).mean())
    return Accuracy(share, float(error), right, int((decided == 0).sum()), count, max(plus, 1 - plus))


class Fit(enum.Enum):
    """How a logistic fit ended; the value is the sentence a person reads."""

    CONVERGED = "converged"
    ONE_ANSWER = "all decisions are the same: no bias and no slope; take levels on both sides of the change"
    JUMP = "the answer changes within one distance of levels: no slope; take levels closer to the change, or add noise"
    FLAT = "the answer does not depend on the level: no bias; take levels farther apart, or more trials"
    NO_LEVELS = "fewer levels with decisions than parameters; take more levels"
    STOPPED = "no maximum of the likelihood was found; take more trials, or lapse=False"

    @property
    def success(self):
        """Whether the parameters are those of the maximum."""
        return self is Fit.CONVERGED


@dataclass(frozen=True, eq=False)
class PsychometricCurve:
    """Share of +1 decisions at each level of a condition, and P(+1 | x) = l + (1 - 2 l) / (1 + exp(-s (x - b))).

    Attributes
    ----------
    condition : str
    levels : ndarray (L,)
    count, undecided : ndarray (L,) of int
        Trials at each level; those with a mean readout of 0 or nan, which are left out of the shares.
    share, error : ndarray (L,)
        Of the decided trials; nan where there are none. The error is Wilson's.
    bias, slope, lapse : float
        b, in the unit of the condition; s, in its inverse; l, 0 where it was not fitted. nan where the fit gave none.
    bias_error, slope_error, lapse_error : float
        Standard errors from the Fisher information; nan for what was not fitted, or ended at its bound.
    between : (float, float)
        For a jump: the levels between which the answer changes; nan otherwise.
    status : Fit
    """

    condition: str
    levels: np.ndarray
    count: np.ndarray
    undecided: np.ndarray
    share: np.ndarray
    error: np.ndarray
    bias: float
    slope: float
    lapse: float
    bias_error: float
    slope_error: float
    lapse_error: float
    between: tuple[float, float]
    status: Fit

    @property
    def success(self):
        """Whether the logistic fit converged."""
        return self.status.success

    def at(self, x):
        """The fitted P(+1 | x); nan where the fit gave none."""
        return _curve(_both(x) @ np.array([-self.slope * self.bias, self.slope]), self.lapse)

    def figure(self):
        """Shares with their errors, and the fit where there is one.

        Returns
        -------
        Figure
        """
        x = np.linspace(self.levels.min(), self.levels.max(), _POINTS)
        data = {key: getattr(self, key) for key in ("levels", "share", "error")} | {"x": x, "fit": self.at(x)}
        caption = f"Psychometric curve: share of +1 decisions against {self.condition}, with its standard error"
        caption += f"; line: logistic fit, {self._fit()}" if self.success else f"; no logistic fit: {self.status.value}"
        return Figure("psychometric", caption + ".", lambda: _draw(data, self.condition), data)

    def _fit(self):
        text = f"bias {self.bias:.3g} ± {self.bias_error:.2g}, slope {self.slope:.3g} ± {self.slope_error:.2g}"
        return text + (
            f", lapse {self.lapse:.3g} ± {self.lapse_error:.2g}" if self.lapse or self.lapse_error >= 0 else ""
        )

    def __str__(self):
        pairs = zip(self.levels, self.share, self.error, strict=True)
        text = "share of +1: " + ", ".join(f"{x:g}: {share:.3f} ± {error:.3f}" for x, share, error in pairs)
        if self.undecided.any():
            text += f"; {self.undecided.sum()} of {self.count.sum()} undecided, left out"
        where = f" (between {self.between[0]:g} and {self.between[1]:g})" if self.status is Fit.JUMP else ""
        return f"{text}; fit: {self._fit() if self.success else self.status.value + where}"

    def __repr__(self):
        return f"PsychometricCurve({self.condition!r}, {len(self.levels)} levels, {self.status.name})"


def psychometric_curve(trials, z, condition="coherence", lapse=False):
    """Share of +1 decisions against a condition, and a logistic function fitted to it by maximum likelihood.

    Parameters
    ----------
    trials : Trials
    z : array_like (B, T)
        Readout after each step, without the start.
    condition : str
        One of ``trials.conditions``.
    lapse : bool
        Fit a share of random errors that does not depend on the level, too.

    Returns
    -------
    PsychometricCurve

    Raises
    ------
    ValueError
        The trials have no such condition; z of another shape.
    """
    decided, values = _decisions(trials, z), trials.condition(condition)
    levels, which = np.unique(values, return_inverse=True)
    plus, minus, none = (np.bincount(which[decided == sign], minlength=len(levels)) for sign in (1, -1, 0))
    number = plus + minus
    share, error = binomial(plus, np.where(number > 0, number, np.nan))
    fitted = _fitted(levels, plus, minus, lapse)
    return PsychometricCurve(condition, levels, number + none, none, share, error, **fitted)


def _decisions(trials, z):
    decided = trials.decisions(z)
    if decided.ndim != 1:
        raise ValueError(f"z: got shape {np.shape(z)}, expected (B, T): score one network at a time")
    return decided


def _fitted(levels, plus, minus, lapse):
    """Parameters, errors, between and status by name."""
    nothing = np.full(3, np.nan)
    kept = plus + minus > 0
    x, plus, minus = levels[kept], plus[kept], minus[kept]
    jump = _jump(x, plus, minus)
    if not (plus.any() and minus.any()):
        return _named(nothing, nothing, Fit.ONE_ANSWER)
    if len(x) < 2 + lapse:
        return _named(nothing, nothing, Fit.NO_LEVELS)
    if jump is not None:
        return _named(nothing, nothing, Fit.JUMP, jump)
    scale = np.abs(x).max()
    theta, converged = _maximum(x / scale, plus, minus, np.zeros(2))
    if lapse and converged:
        theta, converged = _maximum(x / scale, plus, minus, np.array([*theta, 0.02]))
    if abs(theta[1]) <= _ROUNDING:
        return _named(nothing, nothing, Fit.FLAT)
    logistic = _curve(_both(x / scale) @ theta[:2], 0.0)
    if (np.minimum(logistic, 1 - logistic) > _SATURATED).sum() < 2:
        at = -theta[0] / theta[1] * scale
        pair = x[x < at].max(initial=-np.inf), x[x >= at].min(initial=np.inf)
        return _named(nothing, nothing, Fit.JUMP if np.isfinite(pair).all() else Fit.STOPPED, pair)
    if not converged:
        return _named(nothing, nothing, Fit.STOPPED)
    return _named(*_errors(x / scale, plus + minus, theta, scale), Fit.CONVERGED)


def _named(values, errors, status, between=(np.nan, np.nan)):
    names = ("bias", "slope", "lapse")
    out = dict(zip(names, map(float, values), strict=True))
    out |= {f"{name}_error": float(error) for name, error in zip(names, errors, strict=True)}
    return out | {"between": tuple(map(float, between)), "status": status}


def _jump(x, plus, minus):
    """The levels between which all answers change at once, or None; a level with both answers may stand there alone."""
    ends = [(x[minus > 0].max(initial=-np.inf), x[plus > 0].min(initial=np.inf))]
    ends.append((x[plus > 0].max(initial=-np.inf), x[minus > 0].min(initial=np.inf)))
    return next((pair for pair in ends if pair[0] <= pair[1]), None)


def _both(x):
    """1 and x, (..., 2)."""
    x = np.asarray(x, dtype=float)
    return np.stack([np.ones_like(x), x], axis=-1)


def _curve(slanted, lapse):
    """lapse + (1 - 2 lapse) / (1 + exp(-slanted)), without overflow."""
    return lapse + (1 - 2 * lapse) * (1 + np.tanh(slanted / 2)) / 2


def _probability(x, theta):
    """P(+1) at x, and its derivatives (L, K) in theta = (intercept, slope) or (intercept, slope, lapse)."""
    lapse = theta[2] if len(theta) > 2 else 0.0
    logistic = _curve(_both(x) @ theta[:2], 0.0)
    slopes = ((1 - 2 * lapse) * logistic * (1 - logistic))[:, None] * _both(x)
    if len(theta) > 2:
        slopes = np.hstack([slopes, (1 - 2 * logistic)[:, None]])
    return np.clip(lapse + (1 - 2 * lapse) * logistic, 1e-300, 1 - 1e-16), slopes


def _likelihood(x, plus, minus, theta):
    p = _probability(x, theta)[0]
    return plus @ np.log(p) + minus @ np.log1p(-p)


def _maximum(x, plus, minus, theta):
    """Fisher scoring with halved steps; the lapse stays in [0, 1/2). Returns theta and whether it is a maximum."""
    value = _likelihood(x, plus, minus, theta)
    for _ in range(_STEPS):
        p, slopes = _probability(x, theta)
        weight = 1 / (p * (1 - p))
        score = slopes.T @ ((plus - (plus + minus) * p) * weight)
        free = np.ones(len(theta), bool)
        free[2:] = (theta[2:] > 0) | (score[2:] > 0)
        information = (slopes.T * (weight * (plus + minus))) @ slopes
        step = np.zeros(len(theta))
        step[free] = np.linalg.lstsq(information[np.ix_(free, free)], score[free], rcond=None)[0]
        if score @ step < _GAIN:
            return theta, True
        for _ in range(_STEPS):
            trial = theta + step
            trial[2:] = np.clip(trial[2:], 0.0, 0.49)
            found = _likelihood(x, plus, minus, trial)
            if found > value:
                break
            step /= 2
        else:
            return theta, False
        if found - value < _GAIN:
            return trial, True
        theta, value = trial, found
    return theta, False


def _errors(x, number, theta, scale):
    """(bias, slope, lapse) and their standard errors, from the Fisher information at the maximum."""
    p, slopes = _probability(x, theta)
    free = np.array([True, True, *(theta[2:] > 0)])
    information = ((slopes.T * (number / (p * (1 - p)))) @ slopes)[np.ix_(free, free)]
    covariance = np.linalg.pinv(information)
    intercept, slope = theta[:2]
    bias = -intercept / slope
    gradient = np.array([-1 / slope, -bias / slope])
    errors = np.sqrt([gradient @ covariance[:2, :2] @ gradient, covariance[1, 1]])
    lapse, lapse_error = (theta[2], np.nan) if len(theta) > 2 else (0.0, np.nan)
    if free[2:].any():
        lapse_error = np.sqrt(covariance[2, 2])
    return (bias * scale, slope / scale, lapse), (errors[0] * scale, errors[1] / scale, lapse_error)


def _draw(data, condition):
    with plotting.style():
        figure, axes = plotting.figure(1, 1, width=4.0, height=3.2)
        ax = axes.flat[0]
        ax.plot(data["x"], data["fit"], color=plotting.COLOURS[0])
        ax.errorbar(data["levels"], data["share"], data["error"], color=plotting.COLOURS[0], ls="", marker="o")
        ax.axhline(0.5, color="0.7", lw=0.8, zorder=0)
        ax.set(xlabel=condition, ylabel="share of +1 decisions", ylim=(-0.05, 1.05))
    return figure
