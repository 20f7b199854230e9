"""The drift of a network against that of a mixture, and how far apart chance alone would put them.

A mixture that was fitted to the very neurons of the network is nearer to them than to those of another draw: what the
fit has used up is taken out of the sampling error (:eq:`fitted-drift-covariance`).
"""

from dataclasses import dataclass

import numpy as np

from ..decisions import drift_at
from ..redrawn import contributions, redraw
from .mixture_em import evaluate, problem

#: Neurons that the covariance of a neuron's contribution is estimated from, and how many are held at once.
NEURONS, TOGETHER = 1 << 15, 1 << 12
#: Scores along directions below this share of the largest say nothing new: they are rounding.
NULL = 1e-10


@dataclass(frozen=True, eq=False)
class DriftError:
    """The drift of a network at D states beside that of a mixture.

    Attributes
    ----------
    rms : float
        Root mean square of the difference over states and components, in the unit of kappa.
    sampling : float
        The same for networks of as many neurons, drawn from the mixture and treated as this one: root mean square.
    z : ndarray (D, R)
        Each difference in its own standard deviations.
    p : float
        Probability of an ``rms`` as large or larger, if the neurons are drawn from the mixture.
    freedom : float
        Degrees of freedom of its law, a multiple of a chi-square: how many independent numbers the states compare.
    fitted : bool
        Whether the mixture was fitted to these neurons, and the sampling error is what the fit leaves of it.
    """

    rms: float
    sampling: float
    z: np.ndarray
    p: float
    freedom: float
    fitted: bool

    def __str__(self):
        how = "what a fit leaves" if self.fitted else "of independent draws"
        return (
            f"drift error {self.rms:.4f}, sampling error {self.sampling:.4f} ({how}), "
            f"p = {self.p:.2g} ({self.freedom:.1f} degrees of freedom)"
        )


def drift_error(net, kappa, v, fit=None, seed=0):
    """How far the drift of a network is from that of its mixture, and how far chance puts it.

    The sum of squares is compared with that of a Gaussian vector of covariance C/N: a multiple of a chi-square with
    its mean tr C and variance 2 tr C^2 (Satterthwaite). C is the covariance of a neuron's contribution n phi(x), or,
    with a fit, of what is left of it after regression on the scores of the likelihood, :eq:`fitted-drift-covariance`.

    Parameters
    ----------
    net : Network
        With its ``mixture``.
    kappa, v : (D, R), (D, S)
        States x = m kappa + I v.
    fit : PopulationFit, optional
        Where the mixture comes from a fit to these neurons.
    seed : int
        For the neurons that C is estimated from.

    Returns
    -------
    DriftError
    """
    from scipy.special import gammaincc

    apart = drift_at(net.connectivity, net.transfer, kappa, v) - drift_at(net.mixture, net.transfer, kappa, v)
    covariance = neuron_covariance(net, kappa, v, fit, seed) / net.n_neurons
    mean, variance = np.trace(covariance), 2 * (covariance**2).sum()
    squares = float((apart**2).sum())
    std = np.sqrt(np.maximum(np.diagonal(covariance), 0.0)).reshape(apart.shape)
    # without any sampling error (as of a network of point masses) only equality is likely
    p = float(gammaincc(mean**2 / variance, squares * mean / variance)) if mean > 0 else float(squares == 0)
    return DriftError(
        rms=float(np.sqrt(squares / apart.size)),
        sampling=float(np.sqrt(mean / apart.size)),
        z=np.divide(apart, std, out=np.zeros_like(apart), where=std > 0),
        p=p,
        freedom=float(2 * mean**2 / variance) if mean > 0 else 0.0,
        fitted=fit is not None,
    )


def neuron_covariance(net, kappa, v, fit=None, seed=0):
    """Covariance (D R, D R) of one neuron's contributions to the drift at the states, given what a fit has matched.

    To first order, a maximum of the likelihood makes the mean over the neurons of every score vanish. So it takes away
    of the fluctuations what the scores explain: C_gg - C_gs C_ss^-1 C_sg.
    """
    parts = []
    for k in range(0, NEURONS, TOGETHER):
        some = redraw(net, TOGETHER, [seed, k], "nothing")
        columns = [contributions(some, kappa, v)]
        if fit is not None:
            columns.append(scores(fit, np.hstack([some.m, some.n, some.I, some.w])))
        parts.append(np.hstack(columns))
    together = np.cov(np.concatenate(parts).T, bias=True).reshape((parts[0].shape[1],) * 2)
    g, s = np.split(np.arange(len(together)), [kappa.size])
    if not len(s):
        return together
    used = together[np.ix_(g, s)] @ np.linalg.pinv(together[np.ix_(s, s)], rcond=NULL, hermitian=True)
    return together[np.ix_(g, g)] - used @ together[np.ix_(s, g)]


def scores(fit, loadings):
    """The scores of a fit's likelihood at neurons (N, A), up to constants and linear combinations: (N, F).

    They are what is expected of the statistics of each population, given the neuron: responsibilities times 1, y and
    y_a y_b, with the expected sign in front of y (:eq:`em-update`).
    """
    y = (loadings - fit.whitened.centre) @ np.linalg.pinv(fit.whitened.basis, rcond=1e-9).T
    p = problem(y, fit.gauge, fit.means)
    _, share, signed = (part[0] for part in evaluate(p, fit.stats[None]))
    plain, linear, square = np.split(p.features, [1, 1 + p.size])
    blocks = [share[:, None] * plain, share[:, None] * square]
    if fit.means:
        blocks.append(signed[:, None] * linear)
    return np.concatenate([block.reshape(-1, len(y)) for block in blocks]).T
