"""Numbers of a network beside those of its mixture: drift, effective Jacobians, fixed points and their eigenvalues.

Each with the spread that the theory predicts for networks of its size drawn from the mixture; nothing is fitted.
"""

from dataclasses import dataclass, replace

import numpy as np

from meanfield.dynamics import reduce
from meanfield.finite_size.neurons import neuron
from meanfield.fluctuations import is_odd

from .analysis import Statement
from .decisions import by_input, drift_at
from .predictions import at_origin, eigenvalues_linear_from, partners, place
from .redrawn import NULL

#: More numbers than this are summed up in a statement.
MOST_SHOWN = 8
#: Numbers as close as this are equal: far above rounding and proved radii, far below any spread.
EXACT = 1e-9


@dataclass(frozen=True, eq=False)
class Score:
    """Numbers of the network beside those of the mixture, with the spread that the theory predicts at this N.

    Attributes
    ----------
    text : str
    found, expected, std : ndarray (Q,)
    p : float
        Probability of a deviation as large or larger, in a network drawn from the mixture.
    how : str
        The statistic behind ``p``.
    """

    text: str
    found: np.ndarray
    expected: np.ndarray
    std: np.ndarray
    p: float
    how: str

    @property
    def z(self):
        """Deviations in standard deviations, (Q,); 0 or infinite for a number that all draws have in common."""
        apart = self.found - self.expected
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.std > EXACT, apart / self.std, np.where(np.abs(apart) > EXACT, np.inf, 0.0))

    def statement(self, level, source):
        """As a line of a report; it holds when ``p`` is above ``level``."""
        if len(self.z) > MOST_SHOWN:
            value = f"|z| at most {np.abs(self.z).max():.2f}, root mean square {np.sqrt((self.z**2).mean()):.2f}"
            expected = "|z| about 1"
        else:
            value = f"{listed(self.found)}; z = {listed(self.z, 2)}"
            expected = f"{listed(self.expected)} ± {listed(self.std, 2)}"
        value += f"; {self.how}, p = {self.p:.2g}"
        return Statement(self.text, value, f"{expected}; p above {level:.1g}", bool(self.p > level), source)


def listed(values, digits=4):
    """Numbers for people, in brackets."""
    return "(" + ", ".join(f"{x + 0.0:.{digits}g}" for x in np.round(values, 9)) + ")"


def of_covariance(text, found, expected, covariance):
    """The score of numbers whose covariance is known: chi-square of their Mahalanobis distance."""
    from scipy.stats import chi2

    values, vectors = np.linalg.eigh(covariance)
    apart, random = (found - expected) @ vectors, values > max(NULL * values[-1], EXACT**2)
    value = float((apart[random] ** 2 / values[random]).sum())
    fits = not (np.abs(apart[~random]) > EXACT).any()
    freedom, std = int(random.sum()), np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
    p = float(chi2.sf(value, freedom)) if fits and freedom else float(fits)
    return Score(text, found, expected, std, p, f"chi-square {value:.2f} on {freedom}")


def of_largest(text, found, expected, std):
    """The score of numbers by the largest |z| of the single ones, valid whatever their correlation."""
    from scipy.special import ndtr

    score = Score(text, found, expected, std, 1.0, f"largest of {len(found)}")
    return replace(score, p=min(1.0, len(found) * 2 * float(ndtr(-np.abs(score.z).max()))))


def drift_score(net, kappa, v, matched="nothing"):
    """The network's drift at states kappa (D, R), v (D, S) against the mixture's.

    Parameters
    ----------
    net : Network
        With its ``mixture``, as for the functions below.
    matched : {"nothing", "sizes"}
        See :func:`~meanfield.validation.redrawn.how_drawn`.

    Returns
    -------
    Score
        Of D R numbers.
    """
    c, variance = net.mixture, np.empty(kappa.shape)
    for inputs, at in by_input(v):
        nu = neuron(reduce(c, net.transfer, dict(zip(c.inputs, inputs, strict=True))), kappa[at], matched)
        variance[at] = np.diagonal(nu.covariance[..., nu.drift, nu.drift], axis1=-2, axis2=-1)
    own, limit = (drift_at(x, net.transfer, kappa, v).ravel() for x in (net.connectivity, c))
    return of_largest(f"drift at {len(kappa)} states", own, limit, np.sqrt(variance.ravel() / net.n_neurons))


def jacobian_score(net, condition, matched="nothing"):
    """The network's effective Jacobian F'(I) at kappa = 0, v = the inputs, against the mixture's: R^2 numbers by rows.

    In units of 1/tau: the overlaps seen through the gains, minus 1 (thesis eq. 4.4 and 4.14).
    """
    f, own = (reduce(c, net.transfer, condition.inputs) for c in (net.mixture, net.connectivity))
    text = f"effective Jacobian at kappa = 0, row by row, {condition.label}"
    return _there(f, own, np.zeros(f.rank), net.n_neurons, matched, text)[1]


def _there(f, own, kappa, n_neurons, matched, text=""):
    """Scores of the network's drift and Jacobian at one place: means over its neurons, so Gaussian at any distance."""
    nu, rank = neuron(f, kappa, matched), f.rank
    slopes = slice(nu.slope.start, nu.slope.start + rank**2)
    covariance = nu.covariance / n_neurons
    return (
        of_covariance(text, own(kappa), f(kappa), covariance[nu.drift, nu.drift]),
        of_covariance(text, own.jacobian(kappa).ravel(), f.jacobian(kappa).ravel(), covariance[slopes, slopes]),
    )


def point_scores(net, mixture, own, sp):
    """Each fixed point of the mixture against the network's nearest of its kind: positions, then eigenvalues.

    The probabilities are those of the network's drift and Jacobian at the mixture's point. To first order these say the
    same as its displacement and its eigenvalues, and they hold where a displacement is not small: next to a fold.

    Parameters
    ----------
    net : Network
    mixture : Portrait
        Of the mixture, complete.
    own : FixedPoints
        Of the network.
    sp : FixedPointSpread
        Of the mixture's points.

    Returns
    -------
    scores : list of Score
        Of a mirror pair (odd phi, no input) only one. A position is expected at its mean over draws,
        :eq:`fixed-point-bias`.
    left_out : list of str
        What has none, and why.
    """
    theory, n, found, left_out = mixture.fixed_points, net.n_neurons, [], []
    field = reduce(net.connectivity, net.transfer, mixture.field.inputs)
    for k, partner in enumerate(partners(theory, own)):
        kappa = theory.kappa[k]
        group = f"the {theory.kind[k]} point {place(kappa)}, {mixture.condition.label}"
        if is_odd(theory.field) and kappa[np.abs(kappa).argmax()] < -EXACT:
            continue
        drift, jacobian = _there(theory.field, field, kappa, n, sp.matched, f"drift at {group}")
        if partner < 0 or not np.isfinite(sp.covariance[k]).all():
            found += [] if at_origin(theory.field, kappa) else [drift]
            why = "the network has none of its kind" if partner < 0 else "its Jacobian is singular"
            left_out.append(f"position of {group}: {why}")
            continue
        if not at_origin(theory.field, kappa):
            moved = of_covariance(f"kappa of {group}", own.kappa[partner], sp.mean(n)[k], sp.covariance[k] / n)
            found.append(replace(moved, p=drift.p, how=f"{moved.how}, of the drift there {drift.how}"))
        values, width = theory.eigenvalues[k], sp.eigenvalue_std(n)[k]
        least = eigenvalues_linear_from(theory, sp, k)[:, 0].max()
        if least <= n:
            found.append(_eigenvalues(values, own.eigenvalues[partner], width, group, jacobian))
        else:
            left_out.append(f"eigenvalues of {group}: not linear in the fluctuations at N < {least:.3g}")
    return found, left_out


def _eigenvalues(values, own, width, group, jacobian):
    """The score of the eigenvalues at one point, of a complex pair only one."""
    from scipy.optimize import linear_sum_assignment

    own = own[linear_sum_assignment(np.abs(np.subtract.outer(values, own)))[1]]
    upper, turning = values.imag >= 0, values.imag > 0
    found, expected, std = (
        np.concatenate([real[upper], imaginary[turning]])
        for real, imaginary in ((own.real, own.imag), (values.real, values.imag), width.T)
    )
    parts = "eigenvalues, real and then imaginary parts," if turning.any() else "eigenvalues"
    return Score(f"{parts} at {group}", found, expected, std, jacobian.p, f"of the Jacobian there {jacobian.how}")
