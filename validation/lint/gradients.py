"""Second stage of a fit, gradients through time: the error of whole trajectories, not of one step ahead.

The network runs free from a recorded sample, :eq:`training-step` without noise, and the squared error of its rates on
all later samples is differentiated in m, n and I, :eq:`lint-window`. J is never formed. Needs the extra ``fit``.
"""

import enum
import functools
import math
import time
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from meanfield.conventions import check_array, check_integer, counted
from meanfield.progress import progress_bar
from meanfield.traced import double_precision, import_fit, traced_transfer

from ..networks import Network
from ..npz import check_number
from ..training.parametrisations import normal_form
from .prediction import squares_about_mean

#: An error so many times the first one (or 1, in units of the variance) counts as exploded.
EXPLODED = 1e4
#: The learning rate rises linearly over this share of the steps and falls to 0 after, as half a cosine.
RISE = 0.1


class DescentStatus(enum.Enum):
    """How a descent ended; the value is what a person reads."""

    OUT_OF_STEPS = "all steps taken"
    STOPPED_EARLY = "no better on the trials that are looked at"
    DIVERGED = "diverged"
    INTERRUPTED = "interrupted"


class Windows(NamedTuple):
    """Pieces of trajectories, trials last."""

    x: object  #: (N, B), x at the first sample
    u: object  #: (L, S, B), inputs of each step
    rates: object  #: (L, N, B), recorded after each step
    weight: object  #: (L, B), 1 where there is a sample and 0 where the trial has ended


@functools.cache
def squared_error(step, transfer):
    """A function (params, windows) -> (sum of squared errors of the rates, its gradients), for a tracer.

    Parameters
    ----------
    step : float
        dt / tau.
    transfer : str

    Returns
    -------
    callable
        ``params``: a dictionary with m, n (N, R) and I (N, S). The adjoint is written out: it keeps phi(x) alone.
    """
    jax, phi = import_fit().jax, traced_transfer(transfer)
    jnp = jax.numpy

    def evaluate(params, windows):
        size, rank = params["m"].shape
        targets = step * jnp.concatenate([params["m"], params["I"]], 1)
        sources = params["n"].T / size

        def forward(state, given):
            x, kappa = state
            u, rates, weight = given
            x = (1 - step) * x + targets @ jnp.concatenate([kappa, u], 0)
            r = phi.value(x)
            error = ((r - rates) ** 2).sum(0) @ weight
            return (x, sources @ r), (r if phi.by_value else x, kappa, error)

        start = phi.value(windows.x)
        _, (kept, kappa, errors) = jax.lax.scan(forward, (windows.x, sources @ start), windows[1:])

        def backward(state, given):
            x_bar, kappa_bar, d_targets, d_n = state
            stored, kappa_here, u, rates, weight = given
            r = stored if phi.by_value else phi.value(stored)
            r_bar = sources.T @ kappa_bar + 2 * weight * (r - rates)
            d_n = d_n + r @ kappa_bar.T
            x_bar = (1 - step) * x_bar + phi.slope(stored, r) * r_bar
            kappa_bar = targets[:, :rank].T @ x_bar
            d_targets = d_targets + x_bar @ jnp.concatenate([kappa_here, u], 0).T
            return (x_bar, kappa_bar, d_targets, d_n), None

        zero = (jnp.zeros_like(start), jnp.zeros_like(kappa[0]), jnp.zeros_like(targets), jnp.zeros_like(params["n"]))
        (_, kappa_bar, d_targets, d_n), _ = jax.lax.scan(backward, zero, (kept, kappa, *windows[1:]), reverse=True)
        d_targets = step * d_targets
        slopes = {"m": d_targets[:, :rank], "n": (d_n + start @ kappa_bar.T) / size, "I": d_targets[:, rank:]}
        return errors.sum(), slopes

    return evaluate


@dataclass(frozen=True, eq=False)
class Descent:
    """A network refined by gradients; made by :func:`descend`.

    Attributes
    ----------
    network : Network
        The best of those that were looked at, the start among them; in normal form.
    error : ndarray (steps,)
        Squared error of the rates in units of their variance, 1 - R^2, of each step's windows.
    looked : ndarray (K,) of int
        Steps after which the trials held back for that were run free.
    r2 : ndarray (K,)
        Their R^2 then.
    seconds_at : ndarray (K,)
        Time since the start.
    status : DescentStatus
    message : str
    """

    network: Network
    error: np.ndarray
    looked: np.ndarray
    r2: np.ndarray
    seconds_at: np.ndarray
    status: DescentStatus
    message: str

    @property
    def success(self):
        """False where it diverged or was interrupted; the network is the best until then."""
        return self.status in (DescentStatus.OUT_OF_STEPS, DescentStatus.STOPPED_EARLY)

    @property
    def best(self):
        """Largest R^2 on the trials that were looked at."""
        return float(self.r2.max())

    def __str__(self):
        return (
            f"{counted(len(self.error), 'step')} of gradients through time in {self.seconds_at[-1]:.3g} s, "
            f"{self.message}; R^2 of trials held back for this from {self.r2[0]:.4f} to {self.best:.4f}"
        )

    def __repr__(self):
        return f"Descent({self.status.name}, {counted(len(self.error), 'step')}, R^2 {self.best:.4f})"


def descend(net, activity, train, look, *, steps=1000, batch=32, learning_rate=1e-2, clip=1.0, windows=(1.0,),
            look_every=50, patience=8, dtype="float32", seed=0, progress=None):  # fmt: skip
    """Refine m, n and I of a network by Adam on the squared error of its free runs.

    Parameters
    ----------
    net : Network
        The start, of low rank.
    activity : Activity
    train, look : sequence of int
        Trials to fit to, and trials that say which network is best and when to stop.
    steps, batch : int
        Steps, and windows of each, one per trial.
    learning_rate, clip : float
        The largest rate; the largest norm of the gradients of the error in units of the rates' variance.
    windows : sequence of float in (0, 1]
        Lengths of the windows, as shares of the longest trial, for as many steps each; they begin at random samples.
        Short ones first help a start whose free runs go astray; a good start needs whole trials alone.
    look_every, patience : int
        Steps between two looks; looks without a better network after which the descent ends.
    dtype : "float32" or "float64"
    seed : int
    progress : bool or None
        Show a bar; None: on a terminal only.

    Returns
    -------
    Descent

    Raises
    ------
    ImportError
        The extra ``fit`` is not installed.
    ValueError
        Arguments that make no sense, a phi that the tracer does not know, a network with a random part.
    """
    import_fit()
    for key, value in {"steps": steps, "batch": batch, "look_every": look_every, "patience": patience}.items():
        check_integer(key, value, 1)
    given = {"learning_rate": learning_rate, "clip": clip}
    rates = [check_number(key, value, positive=True) for key, value in given.items()]
    windows = np.atleast_1d(check_array("windows", windows))
    if windows.ndim != 1 or not windows.size or not ((windows > 0) & (windows <= 1)).all():
        raise ValueError(f"windows must be shares of the longest trial, in (0, 1]: got {windows.tolist()}")
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype must be 'float32' or 'float64': got {dtype!r}")
    if net.has_random:
        raise ValueError("only m, n and I are refined: this network has a random part too")
    with double_precision(dtype == "float64"):
        run = _Descent(net, _Samples(activity, train, dtype), _Samples(activity, look, dtype), *rates, steps)
        return run.loop(batch, windows, look_every, patience, np.random.default_rng(seed), progress)


class _Samples:
    """Trials of one length, filled up with zeros, from which windows are drawn."""

    def __init__(self, activity, trials, dtype):
        self.lengths = activity.lengths[trials]
        longest, N, S = int(self.lengths.max()), activity.n_neurons, len(activity.input_names)
        self.x, self.rates = (np.zeros((len(trials), longest, N), dtype) for _ in range(2))
        self.u = np.zeros((len(trials), longest - 1, S), dtype)
        for k, b in enumerate(trials):
            for whole, part in ((self.x, activity.x), (self.rates, activity.rates), (self.u, activity.inputs)):
                whole[k, : len(part[b])] = part[b]
        # per sample, all neurons together
        self.variance = float(squares_about_mean(activity, trials).sum() / (self.lengths - 1).sum())

    @property
    def steps(self):
        """Those of the longest trial."""
        return self.u.shape[1]

    def all(self):
        """Each trial from its first sample on."""
        return self._cut(np.arange(len(self.x)), np.zeros(len(self.x), int), self.steps)

    def draw(self, count, length, rng):
        """Windows of so many steps, in at most ``count`` trials."""
        trials = rng.choice(len(self.x), min(count, len(self.x)), replace=False)
        begin = rng.integers(0, np.maximum(self.lengths[trials] - 1 - length, 0) + 1)
        return self._cut(trials, begin, length)

    def _cut(self, trials, begin, length):
        after = begin[:, None] + np.arange(1, length + 1)
        weight = (after < self.lengths[trials, None]).astype(self.x.dtype)
        after = np.minimum(after, self.steps)
        u, rates = self.u[trials[:, None], after - 1], self.rates[trials[:, None], after]
        return Windows(self.x[trials, begin].T, u.transpose(1, 2, 0), rates.transpose(1, 2, 0), weight.T)


@functools.cache
def _compiled(step, transfer, clip):
    """Adam's first state, one step of it, and the error of windows; compiled once for each shape of the data."""
    fit = import_fit()
    jax, optax, evaluate = fit.jax, fit.optax, squared_error(step, transfer)
    adam = optax.chain(optax.clip_by_global_norm(clip), optax.scale_by_adam())

    def update(params, state, windows, variance, rate):
        value, slopes = evaluate(params, windows)
        scale = 1 / (windows.weight.sum() * variance)
        change, state = adam.update(jax.tree.map(lambda slope: slope * scale, slopes), state, params)
        return jax.tree.map(lambda param, one: param - rate * one, params, change), state, value * scale

    return adam.init, jax.jit(update), jax.jit(lambda params, windows: evaluate(params, windows)[0])


class _Descent:
    """One descent: where it stands, and its loop."""

    def __init__(self, net, train, look, learning_rate, clip, steps):
        self.net, self.train, self.look, self.steps, self.rate = net, train, look, steps, learning_rate
        init, self.update, self.measure = _compiled(net.dt / net.tau, net.transfer, clip)
        self.params = {key: import_fit().numpy.asarray(getattr(net, key), train.x.dtype) for key in "mnI"}
        self.state = init(self.params)

    def loop(self, batch, windows, look_every, patience, rng, progress):
        """Take the steps; what is best so far is kept whatever happens."""
        self.errors, self.looks, self.best, self.began = [], [], self.params, time.perf_counter()
        self.whole = self.look.all()
        lengths = np.maximum(np.round(windows * self.train.steps).astype(int), 1)
        status = DescentStatus.OUT_OF_STEPS
        try:
            with progress_bar(self.steps, "step", progress) as bar:
                self._look(0, bar)
                for step in range(self.steps):
                    stage = step * len(lengths) // self.steps
                    if not self._step(self.train.draw(batch, int(lengths[stage]), rng)):
                        status = DescentStatus.DIVERGED
                        break
                    bar.update()
                    if (step + 1) % look_every == 0 or step + 1 == self.steps:
                        waited = self._look(step + 1, bar)
                        if waited >= patience and stage == len(lengths) - 1:
                            status = DescentStatus.STOPPED_EARLY
                            break
        except KeyboardInterrupt:
            status = DescentStatus.INTERRUPTED
        return self._result(status)

    def _rate(self, step):
        rise = math.ceil(RISE * self.steps)
        if step < rise:
            return self.rate * (step + 1) / rise
        return self.rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(self.steps - rise, 1)))

    def _step(self, windows):
        rate = self._rate(len(self.errors))
        params, state, error = self.update(self.params, self.state, windows, self.train.variance, rate)
        error = float(error)
        if not error <= EXPLODED * max(1.0, self.errors[0] if self.errors else 1.0):
            self.exploded = error
            return False
        self.params, self.state, _ = params, state, self.errors.append(error)
        return True

    def _look(self, step, bar):
        """Run the trials held back; how many looks ago the best one was."""
        r2 = 1 - float(self.measure(self.params, self.whole)) / (self.whole.weight.sum() * self.look.variance)
        r2 = r2 if np.isfinite(r2) else -np.inf
        if not self.looks or r2 > max(value for _, value, _ in self.looks):
            self.best, self.best_look = self.params, len(self.looks)
        self.looks.append((step, r2, time.perf_counter() - self.began))
        bar.set_postfix(r2=f"{r2:.4f}")
        return len(self.looks) - 1 - self.best_look

    def _result(self, status):
        message = status.value
        if status is DescentStatus.DIVERGED:
            message += (
                f": the error is {self.exploded:.3g} times the variance at step {len(self.errors)}; take a lower "
                f"learning_rate (now {self.rate:g}) or shorter windows first, e.g. windows=(0.1, 0.3, 1); the best "
                "network before is kept"
            )
        elif status is DescentStatus.INTERRUPTED:
            message += f" after {counted(len(self.errors), 'step')}; the best network before is kept"
        looked, r2, seconds = (np.array(values) for values in zip(*self.looks, strict=True))
        net = replace(self.net, **{key: np.asarray(value, float) for key, value in self.best.items()})
        return Descent(normal_form(net), np.array(self.errors), looked, r2, seconds, status, message)
