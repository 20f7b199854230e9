"""The connectivity of a low-rank network as statistics of its loadings: a Gaussian mixture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .conventions import (
    KINDS,
    check_array,
    check_covariances,
    check_integer,
    check_weights,
    closest,
    counted,
    loading_names,
    loading_slices,
    shorten,
)
from .equations import Blocks
from .mixture import modelfile, sampling, transformations
from .mixture.overlaps import mixture_from_overlaps


@dataclass(frozen=True, eq=False, repr=False)
class Connectivity:
    """J = g chi + (1/N) sum_r m_r n_r^T, where the loadings (m, n, I, w) of a neuron are drawn from a Gaussian mixture.

    Parameters
    ----------
    weights : (P,) array
        alpha_p, the fraction of neurons in each population: positive, summing to 1 within 1e-9. They are stored as
        given.
    means : (P, A) array
        mu_a^p, with A = 2R + S + W loadings in the order m1..mR, n1..nR, inputs, readouts.
    covariances : (P, A, A) array
        sigma_ab^p, centred and within the population: symmetric within rounding (then made exactly so) and positive
        semi-definite within rounding (then kept as it is). The tolerance is ``4 A eps`` times the largest entry or
        eigenvalue.
    rank : int
        R.
    inputs, readouts : sequences of str
        Their names; see :func:`~meanfield.conventions.loading_names` for what a name may be.
    g : float or (P, P) array
        Strength of the random part: chi_ij has variance 1/N; ``g[p, q]`` scales the weights from population q to
        population p.

    All arrays are copied, float64 and read-only. Populations are counted from 0. Covariances that vanish altogether
    take no memory.

    Raises
    ------
    ValueError
        Wrong shapes or names, NaN or infinity, weights that are not positive or do not sum to 1, negative g, a
        covariance that is not symmetric or not positive semi-definite: the message names the population and the
        smallest eigenvalue. Nothing is repaired silently.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    rank: int
    inputs: tuple[str, ...] = ()
    readouts: tuple[str, ...] = ()
    g: float | np.ndarray = 0.0

    def __post_init__(self):
        """Check everything once; the fields stay as they are from here on."""
        # a rank that does not fit the means may be too large for a list of names
        columns = np.shape(self.means)[-1:] or (0,)
        if check_integer("rank", self.rank, 1) > columns[0]:
            raise ValueError(f"rank {self.rank} needs means of at least {2 * self.rank} loadings: got {columns[0]}")
        names = loading_names(self.rank, self.inputs, self.readouts)
        weights = check_weights(self.weights)
        size = len(weights)
        means = check_array("means", self.means, (size, len(names)), f"(populations, loadings {shorten(names)})")
        covariances = check_covariances(self.covariances, size, names)
        g = check_array("g", self.g)
        if g.shape not in ((), (size, size)):
            raise ValueError(f"g: got shape {g.shape}, expected a number or {(size, size)}, (populations, populations)")
        if (g < 0).any():
            raise ValueError(f"g must not be negative: got {g.min()}; the sign of a random matrix means nothing")
        g = g if g.ndim else float(g)
        checked = (weights, means, covariances, int(self.rank), tuple(self.inputs), tuple(self.readouts), g)
        for field, value in zip(self.__dataclass_fields__, checked, strict=True):
            object.__setattr__(self, field, value)

    @classmethod
    def from_overlaps(
        cls,
        populations: Sequence[Mapping[str, float]],
        rank: int,
        inputs: Sequence[str] = (),
        readouts: Sequence[str] = (),
        g=0.0,
    ) -> "Connectivity":
        """A mixture from the few numbers a person would write: ``[{"weight": 0.5, "n1 m1": 3.0, "mean n1": 1.0}, ..]``.

        Keys are ``"weight"``, ``"mean n1"`` and pairs such as ``"n1 m1"`` in either order. Unlisted variances of m
        and of inputs are 1, all other unlisted means and covariances 0, except that n and w are the linear functions
        of (m, I) with the listed covariances: their own variances and covariances follow, unless listed (see
        :mod:`meanfield.mixture.overlaps`). A single population needs no weight.

        Raises
        ------
        ValueError
            An unknown key (with the closest known ones), one listed twice, an impossible covariance, and all of
            :class:`Connectivity`.
        """
        names = loading_names(rank, inputs, readouts)
        weights, means, covariances = mixture_from_overlaps(populations, names, rank, len(tuple(inputs)))
        return cls(weights, means, covariances, rank, inputs, readouts, g)

    @classmethod
    def from_network(cls, net) -> "Connectivity":
        """The finite network itself: N populations of weight 1/N, one neuron each, without any covariance (g = 0).

        ``net`` has ``m`` (N, R), ``n`` (N, R), ``I`` (N, S), ``w`` (N, W) or (N,), ``input_names`` and
        ``readout_names``, all in the scaling J = (1/N) m n^T, z = (1/N) w.phi(x). The reduced equations of the result
        are exact for this network, not only for large N. A network with a random part is refused: no finite set of
        equations is exact for it.
        """
        if getattr(net, "random", None) is not None:
            raise ValueError(
                "this network has a random part, and then no finite set of equations for kappa is exact: take the "
                "theory of its mixture, or dataclasses.replace(net, random=None) for its low-rank part alone"
            )
        m, n = (check_array(kind, getattr(net, kind)) for kind in "mn")
        if m.ndim != 2 or m.shape != n.shape or not m.size:
            raise ValueError(f"a network needs m and n of one shape (neurons, rank): got {m.shape} and {n.shape}")
        blocks = [m, n]
        for kind in "Iw":
            value = getattr(net, kind, None)
            block = np.zeros((len(m), 0)) if value is None else check_array(kind, value)
            block = block[:, None] if block.ndim == 1 else block
            if block.ndim != 2 or len(block) != len(m):
                raise ValueError(f"{kind}: got shape {block.shape}, expected ({len(m)} neurons, number of {kind})")
            blocks.append(block)
        names = [getattr(net, field, None) for field in ("input_names", "readout_names")]
        for i, (kind, block) in enumerate(zip("Iw", blocks[2:], strict=True)):
            if names[i] is None:
                names[i] = (kind,) if block.shape[1] == 1 else tuple(f"{kind}{s + 1}" for s in range(block.shape[1]))
            if len(names[i]) != block.shape[1]:
                raise ValueError(f"{kind} has {block.shape[1]} columns, but {len(names[i])} names: {tuple(names[i])}")
        means = np.hstack(blocks)
        zero = np.broadcast_to(0.0, (len(m), means.shape[1], means.shape[1]))
        return cls(np.full(len(m), 1 / len(m)), means, zero, m.shape[1], *names)

    @classmethod
    def from_samples(
        cls, loadings, labels=None, *, rank: int, inputs: Sequence[str] = (), readouts: Sequence[str] = (), g=0.0
    ) -> "Connectivity":
        """The mixture with the sample means and covariances of neurons: ``loadings`` (N, A), ``labels`` (N,).

        One population per label, in the sorted order of the labels, with the fraction of neurons as weight.
        Covariances are sums divided by the number of neurons, so that ``overlap(a, b)`` is exactly (1/N) a.b of the
        sample. Without labels there is one population.

        Raises
        ------
        ValueError
            Wrong shapes, NaN, fewer than A + 1 neurons with one label.
        """
        names = loading_names(rank, inputs, readouts)
        return cls(*sampling.sample_moments(loadings, labels, names), rank, inputs, readouts, g)

    @property
    def n_populations(self) -> int:
        """P."""
        return len(self.weights)

    @property
    def names(self) -> tuple[str, ...]:
        """Names along the loading axis: m1..mR, n1..nR, inputs, readouts."""
        return (*(f"{kind}{r}" for kind in "mn" for r in range(1, self.rank + 1)), *self.inputs, *self.readouts)

    @property
    def point_masses(self) -> bool:
        """Whether all covariances are exactly zero, so that a population is one value of the loadings (a neuron)."""
        return not self.covariances.any()

    def index(self, name: str) -> int:
        """Place of a loading on the loading axis, e.g. of ``"n1"`` or of an input."""
        try:
            return self.names.index(name)
        except ValueError:
            raise ValueError(f"unknown loading {name!r}; {closest(name, self.names)}") from None

    def slice(self, kind: str) -> slice:
        """Places of all loadings of a kind, ``"m"``, ``"n"``, ``"I"`` or ``"w"``, on the loading axis."""
        if kind not in KINDS:
            raise ValueError(f"unknown kind of loadings {kind!r}; known: {', '.join(KINDS)}")
        return loading_slices(self.rank, len(self.inputs), len(self.readouts))[kind]

    def mean(self, a: str) -> np.ndarray:
        """mu_a of each population: (P, R) for a kind such as ``"m"``, (P,) for a single name such as ``"m1"``."""
        return self.means[:, self._select(a)]

    def covariance(self, a: str, b: str) -> np.ndarray:
        """sigma_ab of each population: (P, A, B) for two kinds; a single name instead of a kind drops its axis."""
        return self.covariances[:, self._select(a)][..., self._select(b)]

    def overlap(self, a: str, b: str) -> np.ndarray:
        """sum_p alpha_p (sigma_ab + mu_a mu_b), the limit of (1/N) a.b (:eq:`total-overlap`).

        (A, B) for two kinds of loadings; a single name instead of a kind drops its axis.
        """
        i, j = self._select(a), self._select(b)
        weighted = self.weights[:, None] * self.means
        total = np.zeros(()) if self.point_masses else np.tensordot(self.weights, self.covariances, 1)[i][..., j]
        left, right = weighted[:, i], self.means[:, j]
        return total + left.T @ right

    def blocks(self) -> Blocks:
        """The statistics that enter the reduced equations, for :mod:`meanfield.equations`."""
        pairs = ("mm", "mI", "II", "nm", "nI")
        covariances = (self.covariance(a, b) for a, b in pairs)
        means = (np.ascontiguousarray(self.mean(kind)) for kind in "mnI")
        return Blocks(self.weights, *means, *covariances, spread=not self.point_masses)

    def save(self, path, title: str | None = None, transfer: str | None = None) -> None:
        """Write a model file (TOML) that ``meanfield.load`` reads back exactly (:mod:`meanfield.mixture.modelfile`)."""
        modelfile.write(path, modelfile.dumps(self, title, transfer))

    eigen = transformations.eigen
    rotate = transformations.rotate
    svd_normal_form = transformations.svd_normal_form
    split = transformations.split
    merge = transformations.merge
    flip = transformations.flip
    permute = transformations.permute
    with_inputs = transformations.with_inputs
    scale_overlap = transformations.scale_overlap
    sample = sampling.sample

    def _select(self, name: str) -> "slice | int":
        return self.slice(name) if name in KINDS else self.index(name)

    def __reduce__(self):
        """Pickle and copy through the constructor, so that arrays come back checked and read-only."""
        return type(self), tuple(getattr(self, field) for field in self.__dataclass_fields__)

    def __repr__(self) -> str:
        words = [counted(self.n_populations, "population"), f"rank {self.rank}"]
        for what, names in (("inputs", self.inputs), ("readouts", self.readouts)):
            if names:
                words.append(f"{what} {' '.join(names)}")
        if np.any(self.g):
            words.append(f"g = {self.g:g}" if np.ndim(self.g) == 0 else "g per pair of populations")
        return f"Connectivity({', '.join(words)})"

    def _repr_html_(self) -> str:
        """One line per population with what is worth listing, as in a model file."""
        import html

        rows = []
        for p in range(min(self.n_populations, 8)):
            entries = modelfile.entries(self, p)
            text = ", ".join(f"{key} = {value:.4g}" for key, value in entries[:24]) + ", .." * (len(entries) > 24)
            rows.append(f"<tr><td>{self.weights[p]:.4g}</td><td style='text-align:left'>{html.escape(text)}</td></tr>")
        if self.n_populations > 8:
            rows.append(f"<tr><td colspan='2'>and {self.n_populations - 8} more</td></tr>")
        head = "<tr><th>weight</th><th style='text-align:left'>listed entries</th></tr>"
        return f"<div>{html.escape(repr(self))}<table>{head}{''.join(rows)}</table></div>"
