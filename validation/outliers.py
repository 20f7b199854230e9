"""Eigenvalues of a random matrix with a low-rank structure, B + (1/N) m n^T, beyond the bulk of B."""

import math
from dataclasses import dataclass

import numpy as np

from .random_matrices import POWERS, overlaps_with_powers

#: The bulk of N neurons reaches over its edge by a few 1/sqrt(N) of its radius; with this many, an independent random
#: matrix of 1000 to 10000 neurons shows a false outlier once in some 10^5 draws.
EDGE = 3.0

# Newton's method on the determinant: steps at most, and the relative step at which it has converged.
_STEPS, _CONVERGED = 50, 1e-12


@dataclass(frozen=True, eq=False)
class Outliers:
    """Eigenvalues of J = B + (1/N) m n^T beyond the bulk of B; complex, the largest real part first.

    Attributes
    ----------
    eigenvalues : ndarray (K,)
        Of J, by a dense solver: all of those with modulus above ``edge``.
    roots : ndarray
        Roots of det(1 - (1/N) n^T (lambda - B)^-1 m), :eq:`learned-determinant`, that Newton's method reaches from
        ``by_series``. The same numbers, unless some were missed.
    by_overlap : ndarray
        Eigenvalues of (1/N) n^T m beyond the edge: all there is, if B is independent of m and n.
    by_series : tuple of ndarray
        The same with the overlaps up to B^1, B^2 and B^3, :eq:`learned-series`.
    edge : float
        g_rest (1 + 3/sqrt(N)), :func:`bulk_margin`.
    """

    eigenvalues: np.ndarray
    roots: np.ndarray
    by_overlap: np.ndarray
    by_series: tuple
    edge: float

    def __str__(self):
        rows = [("eigenvalues of J", self.eigenvalues), ("roots of the determinant", self.roots)]
        rows += [("by the overlap alone", self.by_overlap)]
        rows += [(f"with B up to the power {k}", found) for k, found in zip(POWERS, self.by_series, strict=True)]
        head = f"outliers of J, beyond {self.edge:.4g}"
        return "\n".join([head, *(f"  {name:26}{show_values(values) or 'none'}" for name, values in rows)])


def bulk_margin(N):
    """3/sqrt(N): eigenvalues of N neurons no farther beyond the bulk, relative to its radius, belong to it."""
    return EDGE / math.sqrt(max(N, 1))


def resolvent(eigenvalue, m, n, rest):
    """(1/N) n^T (lambda - B)^-1 m and (1/N) n^T (lambda - B)^-2 m, (R, R) each, :eq:`learned-determinant`."""
    from scipy.linalg import lu_factor, lu_solve

    factors = lu_factor(eigenvalue * np.eye(len(rest)) - rest)
    once = lu_solve(factors, m)
    return n.T @ once / len(m), n.T @ lu_solve(factors, once) / len(m)


def series_roots(overlaps):
    """Roots lambda of det(1 - sum_k t_k / lambda^(k+1)) for t_k (K, R, R), :eq:`learned-series`; largest real first."""
    K, R, _ = overlaps.shape
    companion = np.eye(K * R, k=-R)
    companion[:R] = overlaps.transpose(1, 0, 2).reshape(R, K * R)
    return sort_values(np.linalg.eigvals(companion))


def find_outliers(m, n, rest, edge):
    """:class:`Outliers` of rest + (1/N) m n^T, (N, R) and (N, N), beyond ``edge``; takes a dense eigenproblem."""
    overlaps = overlaps_with_powers(n, rest, m)
    eigenvalues, *series = (
        found[np.abs(found) > edge]
        for found in (
            sort_values(np.linalg.eigvals(rest + m @ n.T / len(m))),
            *(series_roots(overlaps[: k + 1]) for k in (0, *POWERS)),
        )
    )
    roots = []
    for start in series[-1][series[-1].imag >= 0]:
        found = _root(start, m, n, rest, edge)
        if found is not None and all(abs(found - other) > 1e-8 * edge for other in roots):
            roots += [found, found.conjugate()] if abs(found.imag) > 1e-12 * edge else [found]
    return Outliers(eigenvalues, sort_values(np.array(roots, dtype=complex)), series[0], tuple(series[1:]), edge)


def _root(start, m, n, rest, edge):
    """Newton's method on the determinant: lambda -> lambda - 1/tr(F^-1 F'), F = 1 - (1/N) n^T (lambda - B)^-1 m."""
    value = complex(start)
    for _ in range(_STEPS):
        once, twice = resolvent(value if value.imag else value.real, m, n, rest)
        try:
            slope = np.trace(np.linalg.solve(np.eye(len(once)) - once, twice))
        except np.linalg.LinAlgError:  # exactly at a root
            return value
        step = 1 / slope if slope else math.inf
        value -= step
        if not abs(value) > edge:
            return None
        if abs(step) < _CONVERGED * abs(value):
            return value
    return None


def sort_values(values):
    """Complex values, the largest real part first, of a pair the one with positive imaginary part."""
    values = np.asarray(values, dtype=complex)
    return values[np.lexsort((-values.imag, -np.round(values.real, 9)))]


def show_values(values):
    """Complex values as text."""
    return ", ".join(
        f"{x.real:.4g}" if abs(x.imag) < 1e-9 else f"{x.real:.4g}{x.imag:+.4g}i" for x in sort_values(values)
    )
