"""Fluctuating networks, drawn and simulated: what several cases measure on them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from meanfield import dmft

from ..activity import APART, BLOCKS, measure_activity
from ..lyapunov import lyapunov
from ..networks import draw

#: Lags in units of tau at which Delta is compared.
LAGS = np.arange(0.0, 10.1, 1.0)
# Single precision rounds by far less than chaos forgets, and reads the matrix in half the time.
_DTYPE = "float32"


@dataclass(frozen=True, eq=False)
class Job:
    """One network to be drawn and simulated.

    Attributes
    ----------
    g : float
    n_neurons, number : int
    kappa : ndarray (R,);  variance : float
        Where it starts: m kappa + I u plus independent numbers of this variance.
    matched : bool
        Whether the overlaps of the draw are those of the mixture.
    exponent : bool
        Whether the largest Lyapunov exponent is measured too.
    noise : float
    inputs : mapping name -> number
    step : float
        Of the integrator, in tau.
    """

    g: float
    n_neurons: int
    number: int
    kappa: np.ndarray
    variance: float
    matched: bool = False
    exponent: bool = False
    noise: float = 0.0
    inputs: Mapping = field(default_factory=dict)
    step: float = 0.2

    def key(self, seed):
        """What all its random numbers come from."""
        driven = [round(1000 * x) for x in (self.noise, *self.inputs.values()) if x]
        return [seed, self.n_neurons, self.number, round(1000 * self.g), int(self.matched), *driven]


def measured(shared, job):
    """A worker's job: kappa, Delta_0, Delta_inf, Delta at ``LAGS``, and the exponent of one network, by name.

    ``shared`` is (connectivity, options, seed); the options are ``duration`` and ``discard`` in units of tau, and
    ``trials``, which share each product with the matrix, and ``exponent_trials``.
    """
    c, options, seed = shared
    key = job.key(seed)
    net = draw(replace(c, g=job.g), job.n_neurons, key, job.matched)
    strength, kick = split_noise(job.noise, job.step)
    times = {"duration": options["duration"], "discard": options["discard"], "dt": job.step, "inputs": job.inputs}
    times |= {"start_variance": job.variance, "noise": strength, "seed": key, "dtype": _DTYPE, "progress": False}
    run = measure_activity(net, max_lag=LAGS[-1], kappa=_starts(job, options["trials"]), **times)
    delta = np.interp(LAGS, run.lags, run.delta[0]) - kick * np.exp(-LAGS)
    found = {"kappa": run.kappa[0], "delta": delta, "delta0": delta[0], "delta_inf": run.delta_inf[0]}
    if job.exponent:
        found["lyapunov"] = lyapunov(net, kappa=_starts(job, options["exponent_trials"]), **times).values[0]
    return found


def _starts(job, trials):
    return np.tile(job.kappa, (trials, 1))


def split_noise(noise, step):
    r"""(strength, variance): what makes the noise of a finite step second order instead of first.

    A step is the flow F of the network, exact in its leak, followed by a kick K of independent numbers. The sequence
    F K F K .. is half a kick, then steps of half a kick, F, half a kick, which split the noise symmetrically and are of
    second order; alone they keep up the variance :math:`s^2/2` if a whole kick has :math:`s^2\tanh(dt)`. So the
    integrator is asked for that strength, and all that is recorded has half a kick too much, of the variance returned,
    which a neuron among many independent ones forgets as :math:`e^{-lag}`. Exponents are the same for both.

    Parameters
    ----------
    noise : float
        s, for tau = 1.
    step : float
    """
    return noise * np.sqrt(1 + np.tanh(step)), 0.5 * noise**2 * np.tanh(step)


def expected(c, job, options):
    """What :func:`measured` has of an infinite network, by name: the two-time theory of its start, in the same window.

    Networks start from independent numbers. What chaos remembers over long lags comes slowly, the more so next to the
    onset, and a finite window takes for frozen what the activity still remembers: both are in here. Options are those
    of :func:`measured`, and ``theory_step``: 0.2 is off by less than 1 % at all lags, 0.1 by a quarter of that.
    """
    step = options["theory_step"]
    before = options["discard"] + LAGS[-1]
    run = dmft.transient(
        replace(c, g=job.g), "tanh", job.inputs, duration=before + options["duration"], dt=step,
        kappa=job.kappa, delta=job.variance, noise=job.noise, progress=False,
    )  # fmt: skip
    first = round(before / step)
    at, covariance = np.arange(first + 1, len(run.t)), run.covariance[..., 0]
    back = np.rint(LAGS / step).astype(int)
    delta = np.array([covariance[at, at - k].mean() for k in back])
    block = np.arange(len(at)) * BLOCKS // len(at)
    means = (np.arange(BLOCKS)[:, None] == block) / np.bincount(block)[:, None]
    across = means @ covariance[first + 1 :, first + 1 :] @ means.T
    far = np.abs(np.subtract.outer(np.arange(BLOCKS), np.arange(BLOCKS))) >= APART
    return {"kappa": run.kappa[at, 0].mean(), "delta": delta, "delta0": delta[0], "delta_inf": across[far].mean()}


def gather(values, names):
    """Arrays (draws, ...) by name, of the dicts of several draws."""
    return {name: np.array([v[name] for v in values]) for name in names}


def mean_and_error(values):
    """Mean over draws (D, ...), and its standard error."""
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))
