"""The stages of a fit after the closed form: the same on projected activity, and gradients through time.

Each is tried on trials that are kept to look at, and taken where it is better there: no stage makes a fit worse. What
the noise alone lets a free run miss, no stage can gain: a replica of the activity, by the fitted network with its own
noise, says how much that is.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from meanfield.conventions import closest
from meanfield.traced import import_fit

from .activity import split
from .gradients import descend
from .prediction import Score, difference_error, free_errors, squares_about_mean
from .projection import ProjectedRegression, Projection

#: How far to go. "auto": as far as there is something to gain.
METHODS = ("auto", "closed form", "projected", "gradients")

#: Share of the trials to fit to that are looked at, and how many at most.
LOOKED, MOST_LOOKED = 0.2, 32
#: "auto" projects where that could add so much to R^2, and takes gradients where so much is missing beside the noise.
WORTH_PROJECTING, WORTH_GRADIENTS = 0.005, 0.01


@dataclass(frozen=True)
class Stage:
    """What one stage of a fit did, for people and in numbers."""

    name: str
    text: str
    numbers: dict = field(default_factory=dict)

    def __str__(self):
        return f"{self.name}: {self.text}"


def refine(fit, method="auto", *, seed=0, progress=None, **options):
    """Further stages for a fit in closed form.

    Parameters
    ----------
    fit : LintFit
    method : {"auto", "projected", "gradients"}
        The last stage. "auto" leaves out those that have nothing to gain, and gradients where their extra is missing.
    seed : int
        Of the choice of trials to look at, and of batches.
    progress : bool or None
        Show a bar; None: on a terminal only.
    **options
        Of :func:`~meanfield.validation.lint.gradients.descend`.

    Returns
    -------
    LintFit

    Raises
    ------
    ImportError
        Gradients are asked for, and the extra ``fit`` is not installed.
    ValueError
        An unknown method, and as for :func:`~meanfield.validation.lint.gradients.descend`.
    """
    if method not in METHODS or method == "closed form":
        raise ValueError(f"unknown method {method!r} of refining a fit; {closest(method, METHODS)}")
    if method == "gradients":
        import_fit()  # before anything takes time
    trials = _Trials.of(fit, seed)
    auto = method == "auto"
    if auto and trials.missing(fit, Projection.of(fit.activity, trials.look, fit.rank)) <= WORTH_PROJECTING:
        return fit
    projection = Projection.of(fit.activity, fit.train, fit.rank)
    fit = _projected(fit, trials, projection)
    if method == "projected" or (auto and _missing_beside_noise(fit, trials, projection, seed) <= WORTH_GRADIENTS):
        return fit
    if auto:
        try:
            import_fit()
        except ImportError as error:
            return _noted(fit, Stage("gradients", f"left out: {error}"))
    return _descended(fit, trials, seed, progress, options)


@dataclass(frozen=True, eq=False)
class _Trials:
    """Those that decide between networks, and those that gradients are taken on: the others, where there are two."""

    look: np.ndarray
    rest: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, fit, seed):
        rest = look = fit.train
        if len(fit.train) > 1:
            share = min(LOOKED, MOST_LOOKED / len(fit.train))
            rest, look = (fit.train[part] for part in split(len(fit.train), share, seed))
        return cls(look, rest, squares_about_mean(fit.activity, look))

    def errors(self, fit):
        """Squared errors (B,) of the rates on those to look at."""
        return free_errors(fit.network, fit.activity, self.look)

    def missing(self, fit, projection):
        """What R^2 lacks of that of the activity in the projection's directions."""
        return projection.bound(fit.rank, self.look).r2 - Score.of(self.errors(fit), self.squares).r2

    def better(self, errors, before):
        """Whether the errors are smaller by more than a standard error of the difference."""
        if not np.isfinite(errors).all():
            return False
        if not np.isfinite(before).all():
            return True
        spread = difference_error((errors, self.squares), (before, self.squares))
        return (before - errors).sum() / self.squares.sum() > (0.0 if math.isnan(spread) else spread)


def _missing_beside_noise(fit, trials, projection, seed):
    """What R^2 lacks on the trials to look at, less what it lacks on a replica of them by the noisy network itself.

    Less the standard error of the difference too: how far noise leads a few trials astray is itself a matter of chance.
    """
    found = trials.missing(fit, projection)
    if found <= WORTH_GRADIENTS or not math.isfinite(found):
        return found
    noise = step_residual(fit.network, fit.activity, trials.look, white=True)
    activity = replica(replace(fit.network, noise_std=noise), fit.activity.at(trials.look), seed)
    every = np.arange(len(activity))
    errors, squares = free_errors(fit.network, activity, every), squares_about_mean(activity, every)
    bound, noisy = Projection.of(activity, every, fit.rank).bound(fit.rank), Score.of(errors, squares)
    error = math.hypot(noisy.error, Score.of(trials.errors(fit), trials.squares).error)
    return found - (bound.r2 - noisy.r2) - (error if math.isfinite(error) else 0.0)


def replica(net, activity, seed):
    """The activity that the network would have, with its private noise, from the same first samples and inputs."""
    rng, x = np.random.default_rng(seed), []
    a, std = activity.alpha, net.noise_std or 0.0
    for b, inputs in enumerate(activity.inputs):
        course = [activity.x[b][0]]
        for u in inputs:
            drive = net.m @ (net.n.T @ activity.transfer(course[-1])) / net.n_neurons + net.I @ u
            course.append((1 - a) * course[-1] + a * drive + std * rng.standard_normal(net.n_neurons))
        x.append(np.array(course))
    return replace(activity, x=tuple(x), rates=tuple(activity.transfer(one) for one in x))


def _projected(fit, trials, projection):
    before = trials.errors(fit)
    found = ProjectedRegression(projection, fit.rank).fit(fit.network, trials.look)
    old, new = (Score.of(errors, trials.squares) for errors in (before, found.errors))
    text = (
        f"the regression on x projected on {fit.rank} directions beside those of the inputs (ridge {found.ridge:.0e}); "
        f"R^2 of {len(trials.look)} of the trials to fit to from {old.r2:.4f} to {new.r2:.4f}; the projection itself "
        f"has {found.bound.r2:.4f} on all of them"
    )
    numbers = {"ridge": found.ridge, "r2_before": old.r2, "r2": new.r2, "bound": found.bound.r2}
    return _taken(fit, found.network, trials.better(found.errors, before), Stage("projected", text, numbers))


def _descended(fit, trials, seed, progress, options):
    descent = descend(fit.network, fit.activity, trials.rest, trials.look, seed=seed, progress=progress, **options)
    numbers = {key: getattr(descent, key) for key in ("error", "looked", "r2", "seconds_at")}
    numbers["status"] = descent.status
    return _taken(fit, descent.network, descent.best > descent.r2[0], Stage("gradients", str(descent), numbers))


def _taken(fit, network, better, stage):
    if not better:
        return _noted(fit, replace(stage, text=f"{stage.text}; not taken, since it is not better"))
    noise = step_residual(network, fit.activity, fit.train)
    return fit.with_network(replace(network, noise_std=noise), stage)


def _noted(fit, stage):
    return replace(fit, stages=(*fit.stages, stage))


def step_residual(net, activity, trials, white=False):
    """Root mean square, over steps and neurons, of what one Euler step of the network leaves of x.

    With ``white``, of that part alone which is new at each step, as noise is: what a network of too low a rank misses
    lasts. That part of the square is c_0 - 2 c_1 + c_2, for residuals of autocovariance c_k at lag k, whose lasting
    part is extrapolated to lag 0 along a line.
    """
    products, counts = np.zeros(3), np.zeros(3)
    for b in trials:
        ((phi, u, y),) = activity.steps([b])
        rest = y - (phi @ net.n / net.n_neurons) @ net.m.T - u @ net.I.T
        for k in range(min(3, len(rest))):
            products[k] += (rest[k:] * rest[: len(rest) - k]).sum()
            counts[k] += rest[k:].size
    c = products / np.maximum(counts, 1)
    square = min(max(c @ [1, -2, 1], 0.0), c[0]) if white and counts.all() else c[0]
    return activity.alpha * float(np.sqrt(square))
