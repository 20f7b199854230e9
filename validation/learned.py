"""What a network has learned: the change J - J0 as a low-rank structure beside the random J0 that it started from.

The change is cut to its significant singular values, (1/N) m n^T in the scaling of :eq:`svd-normal-form`. The theory of
g chi + (1/N) m n^T takes m and n to be independent of chi; whether a learned structure is independent of J0 is tested
on t_k = (1/N) n^T J0^k m (:eq:`learned-overlaps`), which also give the outliers of J where it is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from meanfield.connectivity import Connectivity
from meanfield.conventions import check_array, check_integer, rounding_tolerance
from meanfield.mixture.transformations import _dominant
from meanfield.transfer import get_transfer

from .networks import Network, default_input_names, default_readout_names
from .npz import check_number
from .outliers import bulk_margin, find_outliers, series_roots, show_values
from .random_matrices import (
    LARGEST_SHARE,
    POWERS,
    dependence,
    overlaps_with_powers,
    randomness,
    significance,
    strength,
)

#: Fewer neurons than this say nothing about a distribution.
FEWEST_NEURONS = 20


@dataclass(frozen=True, eq=False)
class LearnedStructure:
    """The change J - J0 of a trained network as (1/N) m n^T, and how it relates to J0; made by
    :func:`learned_structure`.

    Attributes
    ----------
    m, n : ndarray (N, R)
        In the basis of :eq:`svd-normal-form`: (1/N) m^T m = (1/N) n^T n = diag of the R largest singular values.
    I, w : ndarray (N, S), (N, W)
    input_names, readout_names : tuple of str
    singular_values : ndarray (N,)
        Of the change, decreasing.
    threshold : float
        Singular values above are significant, :eq:`learned-edge`.
    floor : float
        Standard deviation of the entries of the noise in the change; 0 where it is below rounding.
    significant : int or None
        Number of significant singular values; None where the change has no gap, and ``rank`` had to be given.
    g, g_error : float
        Strength of J0, sqrt(N Var J0_ij), and its standard error.
    g_rest : float
        The same of J - (1/N) m n^T; more than g where the change has a noise floor.
    randomness : dict str -> float
        z-scores of J0 against independent entries of one law with mean 0: see :func:`randomness`.
    overlaps : ndarray (4, R, R)
        t_k = (1/N) n^T J0^k m for k = 0 to 3.
    z : ndarray (3, R + W, R + S)
        z-scores of (1/N) a.J0^k b for k = 1 to 3, with a from (n, w) and b from (m, I), if J0 is independent of them.
    p_value : float
        Probability of deviations as large as these, for independent J0 (chi-square of all of them).
    level : float
        ``independent`` is True where p_value is above.
    random : ndarray (N, N)
        J - (1/N) m n^T, so that nothing of J is lost: J0, and the rest of the change.
    labels : ndarray (N,) or None
        Population of each neuron.
    transfer : str
    tau : float
    """

    m: np.ndarray
    n: np.ndarray
    I: np.ndarray
    w: np.ndarray
    input_names: tuple[str, ...]
    readout_names: tuple[str, ...]
    singular_values: np.ndarray
    threshold: float
    floor: float
    significant: int | None
    g: float
    g_error: float
    g_rest: float
    randomness: dict
    overlaps: np.ndarray
    z: np.ndarray
    p_value: float
    level: float
    random: np.ndarray
    labels: np.ndarray | None
    transfer: str
    tau: float

    @property
    def n_neurons(self):
        """N."""
        return len(self.m)

    @property
    def rank(self):
        """R, the number of singular values that are kept."""
        return self.m.shape[1]

    @property
    def explained(self):
        """Fraction of the change's squared norm in its 1, 2, .., N largest singular values, (N,)."""
        squares = self.singular_values**2
        return np.cumsum(squares) / squares.sum()

    @property
    def participation_ratio(self):
        """(sum s^2)^2 / sum s^4 over the singular values: R for R equal ones."""
        squares = self.singular_values**2
        return float(squares.sum() ** 2 / (squares**2).sum())

    @property
    def independent(self):
        """True when nothing speaks against a structure that is independent of J0, at ``level``."""
        return self.p_value > self.level

    @property
    def suspicious(self):
        """Names in ``randomness`` that speak against independent entries of J0, all together at ``level``."""
        from scipy.special import ndtri

        limit = -ndtri(self.level / 2 / len(self.randomness))
        return tuple(name for name, z in self.randomness.items() if abs(z) > limit)

    @property
    def looks_random(self):
        """True when J0 looks like independent entries of mean 0 and variance g^2/N."""
        return not self.suspicious

    @property
    def largest(self):
        """The overlap that deviates most from independence and its z-score, e.g. ``("n1 J0 m1", 45.2)``."""
        k, a, b = np.unravel_index(np.argmax(np.abs(self.z)), self.z.shape)
        ranks = range(1, self.rank + 1)
        left = [*(f"n{r}" for r in ranks), *self.readout_names][a]
        right = [*(f"m{r}" for r in ranks), *self.input_names][b]
        return f"{left} J0{f'^{POWERS[k]}' if k else ''} {right}", float(self.z[k, a, b])

    @cached_property
    def connectivity(self):
        """Connectivity: the mixture with the moments of the loadings, one population per label, and g = ``g_rest``."""
        loadings = np.hstack([self.m, self.n, self.I, self.w])
        names = {"inputs": self.input_names, "readouts": self.readout_names}
        return Connectivity.from_samples(loadings, self.labels, rank=self.rank, **names, g=self.g_rest)

    @cached_property
    def network(self):
        """The trained network itself, with all of J: a :class:`~meanfield.validation.Network` with a random part."""
        population = None if self.labels is None else np.unique(self.labels, return_inverse=True)[1]
        return Network(
            self.m, self.n, self.I, self.w, self.input_names, self.readout_names, tau=self.tau, name="learned",
            transfer=self.transfer, mixture=self.connectivity, population=population, random=self.random,
        )  # fmt: skip

    @property
    def bulk_edge(self):
        """Modulus beyond which an eigenvalue of J does not belong to the bulk: ``g_rest`` and a margin for chance."""
        return self.g_rest * (1 + bulk_margin(self.n_neurons))

    @cached_property
    def outliers(self):
        """:class:`Outliers`: the eigenvalues of J beyond the bulk, exact and predicted; takes a dense eigenproblem."""
        return find_outliers(self.m, self.n, self.random, self.bulk_edge)

    def __str__(self):
        found, N, R = self.significant, self.n_neurons, self.rank
        share = f"{100 * self.explained[R - 1]:.3g} % of its squared norm"
        of = "no gap among the singular values" if found is None else f"significant singular values: {found} of {N}"
        floor = f", noise floor {self.floor:.2g} per entry" if self.floor else ""
        return "\n".join(
            [
                f"the change has rank {R} ({share}); {of}{floor}",
                f"g = {self.g:.4f} +- {self.g_error:.1g}; {self._about_j0()}",
                self._about_independence(),
                f"overlap n.m/N: eigenvalues {show_values(np.linalg.eigvals(self.overlaps[0]))}; beyond the bulk, "
                f"with J0 up to the power 3: {self._beyond()}",
            ]
        )

    def __repr__(self):
        dependence = "independent of" if self.independent else "correlated with"
        return f"LearnedStructure({self.n_neurons} neurons, rank {self.rank}, g = {self.g:.4g}, {dependence} J0)"

    def _about_j0(self):
        if self.looks_random:
            return "J0 looks like independent entries of mean 0"
        what = ", ".join(f"{name} (z = {self.randomness[name]:.3g})" for name in self.suspicious)
        return f"J0 does not look like independent entries of one law with mean 0: {what}"

    def _about_independence(self):
        p = f"= {self.p_value:.2g}" if self.p_value > 1e-12 else "< 1e-12"
        if self.independent:
            then = "applies" if self.looks_random else "would apply, were J0 what it takes it for"
            return (
                f"nothing speaks against a structure independent of J0 (p {p}): "
                f"the theory of g chi + (1/N) m n^T {then}"
            )
        name, z = self.largest
        return (
            f"the structure is correlated with J0 (p {p}, largest: {name}, z = {z:.3g}): "
            "the theory of g chi + (1/N) m n^T leaves that out"
        )

    def _beyond(self):
        series = series_roots(self.overlaps)
        return show_values(series[np.abs(series) > self.bulk_edge]) or "none"


def learned_structure(J, J0, inputs=None, readouts=None, *, rank=None, labels=None, transfer="tanh", tau=1.0,
                      level=1e-3):  # fmt: skip
    """The learned structure of a network that was trained from the random connectivity J0 to J.

    Parameters
    ----------
    J, J0 : (N, N) array
        ``tau dx/dt = -x + J phi(x) + I u``; rows are targets.
    inputs, readouts : (N,) or (N, S) array, or mapping name -> (N,), optional
        Loadings I and w, in the scaling z = (1/N) w.phi(x).
    rank : int, optional
        Singular values to keep. By default those above the edge of the noise in the change, :eq:`learned-edge`, and
        above rounding.
    labels : (N,) array, optional
        Population of each neuron, for ``connectivity``.
    transfer, tau
        Of the network.
    level : float
        Of the tests: how often each rejects a network for which all holds.

    Returns
    -------
    LearnedStructure

    Raises
    ------
    ValueError
        Matrices that are not square, of one size and finite, or with fewer than 20 neurons; J0 without variance; J
        equal to J0; a change without a significant singular value, or with more than N/10, unless ``rank`` is given.
    """
    dtypes = [np.asarray(matrix).dtype for matrix in (J, J0)]
    J, J0 = _square("J", J), _square("J0", J0)
    if J.shape != J0.shape:
        raise ValueError(f"J and J0 must have one shape: got {J.shape} and {J0.shape}; was one of them cut or padded?")
    N = len(J)
    level = check_number("level", level, positive=True)
    if level >= 1:
        raise ValueError(f"level must lie between 0 and 1: got {level}")
    I, input_names = _loadings("inputs", inputs, N, default_input_names)
    w, readout_names = _loadings("readouts", readouts, N, default_readout_names)
    if not np.var(J0) > rounding_tolerance(N) * np.mean(J0**2):
        raise ValueError("J0 does not vary: without a random part, all of J is structure; decompose J itself")
    u, s, vt = np.linalg.svd(J - J0)
    rounding = _rounding(J, J0, s, dtypes)
    if s[0] <= rounding:
        raise ValueError(f"J equals J0 within rounding (largest singular value of J - J0: {s[0]:.3g}): nothing learned")
    significant, threshold, floor = significance(s, rounding)
    R = _rank(rank, significant, s)
    m, n = u[:, :R] * np.sqrt(N * s[:R]), vt[:R].T * np.sqrt(N * s[:R])
    sign = np.sign(m[_dominant(m), np.arange(R)])
    m, n = m * sign, n * sign
    g, g_error = strength(J0)
    random = J - m @ n.T / N
    z, p_value = dependence(J0, g, (n, w), (m, I))
    labels = None if labels is None else _labels(labels, N)
    for array in (m, n, s, random):
        array.setflags(write=False)
    return LearnedStructure(
        m, n, I, w, input_names, readout_names, s, threshold, floor, significant, g, g_error, strength(random)[0],
        randomness(J0), overlaps_with_powers(n, J0, m), z, p_value, level, random, labels, get_transfer(transfer).name,
        check_number("tau", tau, positive=True),
    )  # fmt: skip


def _square(what, value):
    matrix = check_array(what, value)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"{what} must be a square matrix, (target neurons, source neurons): got shape {matrix.shape}")
    if len(matrix) < FEWEST_NEURONS:
        raise ValueError(f"{what} has {len(matrix)} neurons, at least {FEWEST_NEURONS} are needed to speak of a law")
    return matrix


def _loadings(what, value, N, default_names):
    """Loadings (N, S) and their names, from an array or a mapping."""
    if isinstance(value, Mapping):
        columns = [check_array(f"{what} {key!r}", column, (N,)) for key, column in value.items()]
        return check_array(what, np.reshape(columns, (-1, N)).T), tuple(value)
    value = np.zeros((N, 0)) if value is None else check_array(what, value)
    value = value[:, None] if value.ndim == 1 else value
    if value.ndim != 2 or len(value) != N:
        raise ValueError(f"{what}: got shape {value.shape}, expected ({N} neurons, number of {what})")
    return value, default_names(value.shape[1])


def _labels(labels, N):
    labels = np.asarray(labels)
    if labels.shape != (N,):
        raise ValueError(f"labels: got shape {labels.shape}, expected one label per neuron, {(N,)}")
    return labels


def _rounding(J, J0, s, dtypes):
    """Bound on a singular value that is nothing but rounding: of the entries as stored, and of the decomposition."""
    eps = max([np.finfo(t).eps for t in dtypes if t.kind == "f"], default=0.0)
    return float(eps / 2 * (np.linalg.norm(J) + np.linalg.norm(J0)) + rounding_tolerance(len(s)) * s[0])


def _rank(rank, significant, s):
    if rank is not None:
        rank = check_integer("rank", rank, 1)
        if rank >= len(s) or s[rank - 1] <= rounding_tolerance(len(s)) * s[0]:
            most = int(np.count_nonzero(s > rounding_tolerance(len(s)) * s[0]))
            raise ValueError(f"rank must be at most that of the change, {most}, and below N: got {rank}")
        return rank
    participation = (s**2).sum() ** 2 / (s**4).sum()
    about = f"participation ratio {participation:.3g}, largest singular values {', '.join(f'{x:.3g}' for x in s[:5])}"
    if significant is None:
        raise ValueError(
            f"the change has no gap: more than {LARGEST_SHARE:.0%} of its {len(s)} singular values stand out from the "
            f"others ({about}); look at them and pass rank="
        )
    if significant == 0:
        raise ValueError(f"the change looks like noise without structure ({about}); pass rank= to cut it anyway")
    return significant
