"""Populations of 4096 neurons, rank 2, from 50 starts, beside scikit-learn's mixtures with as many; one thread.

The same whitened loadings, means free, no gauge (scikit-learn has none), and ours with the gauge too. The likelihoods
reached are compared. Last, mixtures that differ by covariance or by means modulo sign: which number of populations does
BIC choose? Run: python benchmarks/bench_populations.py [starts of scikit-learn]
"""

import sys
import warnings
from functools import partial

from pinned import medians, pin

pin()

import numpy as np  # noqa: E402
from meanfield.validation.networks import draw  # noqa: E402
from meanfield.validation.populations.fitting import fit_populations  # noqa: E402

import meanfield as mf  # noqa: E402

STARTS, NEURONS, POPULATIONS = 50, 4096, 4
MOST, TOLERANCE = 500, 1e-3  # scikit-learn's iterations, and its tolerance of the bound per neuron


def planted(seed, spread=1.0, n_populations=POPULATIONS, size=7):
    """A mixture of populations with random means and covariances."""
    rng = np.random.default_rng(seed)
    roots = rng.standard_normal((n_populations, size, size)) / np.sqrt(size)
    covariances = roots @ roots.swapaxes(1, 2) + 0.1 * np.eye(size)
    means = spread * rng.standard_normal((n_populations, size))
    rank = 2 if size == 7 else 1
    weights = np.linspace(2, 1, n_populations) / np.linspace(2, 1, n_populations).sum()
    return mf.Connectivity(weights, means, covariances, rank, ("A", "B") if size == 7 else ("A",), ("w",))


def speed(starts):
    """Seconds and log-likelihoods on the same loadings, taken in turns so that load slows all of them."""
    from sklearn.mixture import BayesianGaussianMixture, GaussianMixture

    options = {"n_components": POPULATIONS, "n_init": starts, "max_iter": MOST, "tol": TOLERANCE, "random_state": 0}
    for title, spread in (("well separated", 1.0), ("weakly separated", 0.3)):
        c = planted(5, spread)
        net = draw(c, NEURONS, 6)
        fits = {g: fit_populations(net, POPULATIONS, gauge=g, restarts=STARTS) for g in (False, True)}
        for gauge, fit in fits.items():
            reached, truth = f"{fit.log_likelihood:.1f}", f"{fit.log_likelihood_of(c):.1f}"
            print(f"{title}, gauge {gauge}: log-likelihood {reached}, the truth {truth}; {fit.restarts}")
        scale = fits[False].whitened
        models = {kind.__name__: kind(**options) for kind in (BayesianGaussianMixture, GaussianMixture)}
        jobs = {
            "ours": partial(fit_populations, net, POPULATIONS, gauge=False, restarts=STARTS),
            "ours with the gauge": partial(fit_populations, net, POPULATIONS, gauge=True, restarts=STARTS),
        }
        times = medians(3, jobs | {name: partial(model.fit, scale.y) for name, model in models.items()})
        for name, seconds in times.items():
            seconds *= STARTS / starts if name in models else 1
            words = f"{title}: {name}, {seconds:.2f} s for {STARTS} starts, {seconds / times['ours']:.1f} x ours"
            if name in models:
                level = models[name].score_samples(scale.y).sum() - NEURONS * scale.log_volume
                words += f", log-likelihood {level:.1f}"
            print(words, flush=True)


def choices():
    """The number of populations that BIC chooses, for mixtures that are hard in one way each."""
    from sklearn.mixture import GaussianMixture

    for title, c, net, options in hard_cases():
        ours = [fit_populations(net, k, seed=1, **options).bic for k in range(1, 5)]
        y = fit_populations(net, 1, gauge=False).whitened.y
        theirs = [GaussianMixture(k, n_init=STARTS, random_state=0).fit(y).bic(y) for k in range(1, 5)]
        print(f"{title}: {c.n_populations} planted, ours {1 + np.argmin(ours)}, scikit-learn {1 + np.argmin(theirs)}")


def hard_cases():
    """Title, mixture, network and options of the fit."""
    off = np.zeros((4, 4))
    off[0, 1] = off[1, 0] = 0.6
    off[2, 3] = off[3, 2] = 0.3
    pair = [np.eye(4) + off, np.eye(4) - off]
    c = mf.Connectivity([0.5, 0.5], np.zeros((2, 4)), pair, 1, ("A",), ("w",))
    yield "zero means, covariances differ", c, draw(c, 500, 0), {"means": False}
    c = planted(3, 1.2, 2, 4)
    net = draw(c, 1000, 2)
    signs = np.where(np.random.default_rng(3).random(1000) < 0.5, -1.0, 1.0)[:, None]
    flipped = type(net)(net.m * signs, net.n * signs, net.I * signs, net.w * signs)
    yield "means modulo sign", c, flipped, {}
    c = planted(8, 1.5, 3, 4)
    yield "well separated", c, draw(c, 1000, 4), {"gauge": False}


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    speed(int(sys.argv[1]) if len(sys.argv) > 1 else STARTS)
    choices()
