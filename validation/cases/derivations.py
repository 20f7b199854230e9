"""What the examples should give, derived a second time: closed forms and one-dimensional roots.

Nothing here uses the averages, the reduced equations or the solvers of the package, so that an agreement means
something. All averages are of tanh.
"""

import numpy as np

# Composite Gauss-Legendre rule on 12 standard deviations, accurate to rounding up to variance 100: there the pole of
# tanh stands 0.157 from the real line, beyond the half width of a panel.
_PANELS, _NODES = 96, 20
_EDGES = np.linspace(-12.0, 12.0, _PANELS + 1)
_X, _W = np.polynomial.legendre.leggauss(_NODES)
_Z = (0.5 * (_EDGES[1:] + _EDGES[:-1])[:, None] + 0.5 * np.diff(_EDGES)[:, None] * _X).ravel()
_DENSITY = np.tile(_W, _PANELS) * 0.5 * np.diff(_EDGES)[0] * np.exp(-0.5 * _Z**2) / np.sqrt(2 * np.pi)


def gain(order, variance, mean=0.0):
    """<tanh^(order)> over N(mean, variance) for order 0 to 3 and variance up to 100."""
    t = np.tanh(mean + np.sqrt(variance) * _Z)
    s = 1 - t * t
    return float((t, s, -2 * t * s, s * (6 * t * t - 2))[order] @ _DENSITY)


def root(function, start, end):
    """The zero of a function between two points where it has opposite signs, to rounding."""
    from scipy.optimize import brentq

    return brentq(function, start, end, xtol=1e-16, rtol=4 * np.finfo(float).eps)


def variance_at_gain(target):
    """The variance Delta with <tanh'>(Delta) = target, for 0.1 < target < 1."""
    return root(lambda variance: gain(1, variance) - target, 1e-8, 100.0)


def one_population(overlap, variance_m):
    """Fixed points of one zero-mean Gaussian population with distinct real overlap eigenvalues: [(kappa, eigenvalues),
    ..].

    They are 0 and, for each eigenvalue lambda > 1 of the overlap matrix with eigenvector e, +-kappa along e with
    kappa^T C kappa = Delta (C the covariance of m) and <phi'>(Delta) = 1/lambda. Stability eigenvalues: lambda Delta
    <phi'''> along e, lambda_j/lambda - 1 across it. (Insert kappa = r e into the drift; differentiate once.)

    Parameters
    ----------
    overlap : ndarray (R, R)
    variance_m : float
        C = variance_m times the unit matrix.
    """
    values, vectors = np.linalg.eig(overlap)
    if np.iscomplexobj(values) or np.min(np.abs(values[:, None] - values + np.eye(len(values)))) < 1e-9:
        raise ValueError(f"the closed form needs distinct real eigenvalues of the overlap matrix: got {values}")
    points = [(np.zeros(len(values)), values - 1)]
    for i, value in enumerate(values):
        if value > 1:
            variance = variance_at_gain(1 / value)
            kappa = vectors[:, i] * np.sqrt(variance / variance_m) / np.linalg.norm(vectors[:, i])
            radial = value * variance * gain(3, variance)
            eigenvalues = np.array([radial, *np.delete(values, i) / value - 1])
            points += [(kappa, eigenvalues), (-kappa, eigenvalues)]
    return points


def kind(eigenvalues):
    """The thesis's word for a fixed point with these eigenvalues."""
    growing = sum(value.real > 0 for value in eigenvalues)
    return {0: "stable", len(eigenvalues): "source"}.get(growing, "saddle")


def period(overlap):
    """Period of the cycle of one zero-mean Gaussian population with overlap eigenvalues a +- ib, a > 1: 2 pi a / b
    (tau = 1).

    Where L is the overlap matrix, dkappa/dt = -kappa + <phi'> L kappa. In coordinates where L is a rotation by b and a
    growth by a, the angle turns at the rate b <phi'> and ln r grows at a <phi'> - 1. Over one turn ln r returns: the
    integral of <phi'> is T/a; the angle grows by 2 pi: it is 2 pi/b.
    """
    value = np.linalg.eigvals(overlap)[0]
    if abs(value.imag) == 0 or value.real <= 1:
        raise ValueError(f"a cycle needs complex overlap eigenvalues with real part above 1: got {value}")
    return 2 * np.pi * value.real / abs(value.imag)


def saddle_node_amplitude(overlap, input_overlap):
    """Amplitude u of an input aligned with n at which two of the three fixed points merge: (u, kappa there). Rank 1,
    unit variances.

    A fixed point obeys kappa (1 - overlap g) = input_overlap g u with g = <phi'>(Delta), Delta = kappa^2 + u^2; so
    with e = 1 - overlap g and a = input_overlap g it is kappa = a u/e, and u^2 = Delta/(1 + a^2/e^2). The branch that
    opposes the input has e < 0; its largest u is where e^3 + a^2 e = 2 Delta a a' (a' the derivative in Delta,
    <phi'''>/2 times the input overlap).
    """

    def parts(variance):
        g = gain(1, variance)
        return 1 - overlap * g, input_overlap * g

    def stationarity(variance):
        e, a = parts(variance)
        return e**3 + a * a * e - variance * a * input_overlap * gain(3, variance)

    variance = root(stationarity, 1e-8, variance_at_gain(1 / overlap))
    e, a = parts(variance)
    amplitude = np.sqrt(variance / (1 + (a / e) ** 2))
    return amplitude, a / e * amplitude


def bimodal_pair(size, both):
    """Rank-2 bimodal network (means +-size, unit variances): s = kappa_1 + kappa_2 of a fixed point with s > 0.

    With s = kappa_1 + kappa_2 and d = kappa_1 - kappa_2 the drift of thesis 4.2 is ds/dt = -s + size <phi>(size s,
    Delta), the same for d, with Delta = (s^2 + d^2)/2. ``both``: s = d, on an axis of kappa; otherwise d = 0, on a
    diagonal.
    """
    share = 1.0 if both else 0.5
    return root(lambda s: -s + size * gain(0, share * s * s, mean=size * s), 0.05, size + 1.0)
