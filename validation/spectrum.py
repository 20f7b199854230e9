"""Eigenvalues of a finite network about a state: the bulk that the random part makes, and the outliers beside it."""

import math
from dataclasses import dataclass

import numpy as np

from meanfield.conventions import check_array, counted
from meanfield.transfer import get_transfer

from .npz import check_number
from .outliers import bulk_margin

#: Eigenvalues of N x N matrices taken at once, in bytes; dense, so a few thousand neurons at most.
MOST_BYTES = 1 << 31

# The radius of the bulk is found to this, relatively, by at most so many products; it is off by 1/sqrt(N) anyway.
_ACCURACY, _ITERATIONS = 1e-9, 1000


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues of the Jacobian of N units about one state, in units of 1/time.

    Attributes
    ----------
    eigenvalues : ndarray (N,) of complex
        The rightmost first.
    centre, radius : float
        The disc of the bulk about -1/tau, from the variances of the entries: :func:`bulk_radius`. 0 for low rank.
    outliers : ndarray (K,) of complex
        Those beyond it, :func:`outliers`.
    """

    eigenvalues: np.ndarray
    centre: float
    radius: float
    outliers: np.ndarray

    @property
    def bulk_edge(self):
        """Where the bulk ends on the right, centre + radius."""
        return self.centre + self.radius

    @property
    def stable(self):
        """Whether all eigenvalues have a negative real part."""
        return bool((self.eigenvalues.real < 0).all())

    def __str__(self):
        found = ", ".join(f"{value:.4g}" for value in self.outliers[:6])
        what = f"{counted(len(self.outliers), 'outlier')}{' (' * bool(found)}{found}{', ..' * (len(self.outliers) > 6)}"
        return (
            f"{counted(len(self.eigenvalues), 'eigenvalue')}, bulk of radius {self.radius:.4g} about {self.centre:.4g}"
            f", {what}{')' * bool(found)}; rightmost {self.eigenvalues[0]:.4g}"
        )

    def __repr__(self):
        return f"Spectrum({self})"


def jacobian_spectrum(net, x, margin=None):
    """Eigenvalues about a state, with the radius of the bulk and the outliers.

    Parameters
    ----------
    net : Network
    x : array_like (N,)
        Any state; at a fixed point, :func:`~meanfield.validation.relax`, the eigenvalues decide on its stability.
    margin : float, optional
        As for :func:`outliers`.

    Returns
    -------
    Spectrum
    """
    values, radius, centre = jacobian_eigenvalues(net, x), bulk_radius(net, x), -1 / net.tau
    return Spectrum(values, centre, radius, outliers(values, radius, centre, margin))


def jacobian_eigenvalues(net, x):
    """Eigenvalues of (-1 + J diag(phi'(x))) / tau, the rightmost first.

    Dense with a random part, N^3: 4000 neurons take a minute. Of low rank, N - R of them are -1/tau and the others
    those of the R x R matrix (1/N) n^T diag(phi'(x)) m, less 1.

    Parameters
    ----------
    net : Network
    x : array_like (N,)

    Returns
    -------
    ndarray (N,) of complex

    Raises
    ------
    ValueError
        Wrong shape, NaN, or a matrix that takes more than 2 GiB.
    """
    slope, N = _slope(net, x), net.n_neurons
    if net.has_random:
        if 8 * N**2 > MOST_BYTES:
            raise ValueError(
                f"eigenvalues of {N} neurons need a dense matrix of {8 * N**2} bytes, more than {MOST_BYTES}: "
                "take a network of a few thousand"
            )
        full = net.m @ (net.n.T / N)
        full += net.random
        full *= slope
        values = np.linalg.eigvals(full)
    else:
        small = np.linalg.eigvals((net.n * slope[:, None]).T @ net.m / N)
        values = np.concatenate([small, np.zeros(max(N - net.rank, 0))])[:N]
    values = (values.astype(complex) - 1) / net.tau
    return values[np.lexsort((-values.imag, -values.real))]


def bulk_radius(net, x):
    """Radius of the bulk about -1/tau, from the variances of the entries of the random part, in units of 1/time.

    Its square is the largest eigenvalue of the matrix with the entries ``random_ij^2 phi'(x_j)^2``: for independent
    entries of any profile of variances, that of {g_pq^2 alpha_q <phi'^2>_q} as N grows (Rajan and Abbott 2006;
    Aljadeff, Stern and Sharpee 2015).

    Parameters
    ----------
    net : Network
    x : array_like (N,)

    Returns
    -------
    float

    Raises
    ------
    ValueError
        Wrong shape, or NaN.
    """
    slope = _slope(net, x)
    if not net.has_random:
        return 0.0
    vector, size = np.full(net.n_neurons, 1 / net.n_neurons), 0.0
    for _ in range(_ITERATIONS):
        image = np.einsum("ij,ij,j->i", net.random, net.random, slope**2 * vector)
        total = image.sum()
        if total == 0:
            return 0.0
        vector, before, size = image / total, size, total
        if abs(size - before) <= _ACCURACY * size:
            break
    return math.sqrt(size) / net.tau


def outliers(eigenvalues, radius, centre=-1.0, margin=None):
    """The eigenvalues that lie farther from ``centre`` than ``radius (1 + margin)``, as they are ordered.

    Parameters
    ----------
    eigenvalues : array_like (N,)
    radius, centre : float
        Of the bulk.
    margin : float, optional
        Default 3 / sqrt(N), what the edge of the bulk of N neurons may do by chance.

    Returns
    -------
    ndarray (K,) of complex

    Raises
    ------
    ValueError
        No vector of finite numbers, or a negative radius or margin.
    """
    values = np.asarray(eigenvalues, complex)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(f"eigenvalues must be a vector of finite numbers: got shape {values.shape}")
    margin = bulk_margin(len(values)) if margin is None else check_number("margin", margin)
    reach = check_number("radius", radius) * (1 + margin) + 1e-9 * (1 + abs(centre))
    return values[np.abs(values - centre) > reach]


def _slope(net, x):
    """phi'(x) (N,) of a checked state."""
    return get_transfer(net.transfer)(check_array("x", x, (net.n_neurons,)), 1)
