"""Fluctuating networks, drawn and simulated: what several cases measure on them."""

from dataclasses import replace

import numpy as np

from ..activity import measure_activity
from ..lyapunov import lyapunov
from ..networks import draw

#: Step and lags in units of tau: with this step averages differ by less than their errors from those with a quarter.
STEP, LAGS = 0.2, np.arange(0.0, 10.1, 1.0)


def measured(shared, job):
    """One drawn network of (g, N, number, matched, kappa, variance), simulated: its statistics by name."""
    c, options, seed, exponent = shared
    g, n_neurons, number, matched, kappa, variance = job
    key = [seed, n_neurons, number, round(1000 * g)]
    net = draw(replace(c, g=g), n_neurons, key, matched)
    start = {"kappa": np.tile(kappa, (options["trials"], 1)), "start_variance": variance, "dt": STEP, "seed": key}
    times = {name: options[name] for name in ("duration", "discard")}
    run = measure_activity(net, max_lag=LAGS[-1], progress=False, **times, **start)
    found = {"kappa": run.kappa[0], "delta0": run.delta0[0], "delta_inf": run.delta_inf[0]}
    found["delta"] = np.interp(LAGS, run.lags, run.delta[0])
    if exponent:
        found["lyapunov"] = lyapunov(net, progress=False, **times, **start).values[0]
    return found


def gather(values, names):
    """Arrays (draws, ...) by name, of the dicts of several draws."""
    return {name: np.array([v[name] for v in values]) for name in names}


def mean_and_error(values):
    """Mean over draws (D, ...), and its standard error."""
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))
