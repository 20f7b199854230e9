"""The mechanism as a ledger: what each population contributes to every effective overlap, and what changes it.

In a state (kappa, v) the drift is a sum over populations p and over sources b, the collective variables and the
inputs: :eq:`ledger`. The contributions add up exactly, for any mixture and, neuron by neuron, for any finite network.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from . import equations
from .conventions import check_array
from .finite_size.points import output_blocks
from .ledgers import words
from .ledgers.plots import plot_course, plot_overlaps
from .ledgers.silencing import silence
from .proof import bounds

__all__ = ["Comparison", "Ledger", "compare", "ledger", "plot_course", "plot_overlaps", "silence"]

#: Mean inputs smaller than this have the secant gain from <phi'> half way: both errors are then about 1e-11.
NEAR = 1e-5


@dataclass(frozen=True, eq=False)
class Ledger:
    """Who contributes what, in one state or along leading axes ``...`` of states, such as times.

    Rows a are the n and the readouts, columns b the m and the inputs; P populations.

    Attributes
    ----------
    label : str
        Of the condition, for people: a noun such as "input A".
    rows, columns, populations : tuple of str
    kappa, v : ndarray (..., R), (..., S)
    weights : ndarray (P,)
    mean, variance : ndarray (..., P)
        Of the input x over each population.
    rate, gain, secant : ndarray (..., P)
        <phi>, <phi'>, and the gain of a mean input, (<phi> - <phi>(mean 0)) / mean.
    spread_structure, mean_structure : ndarray (P, A, B)
        alpha sigma_ab and alpha mu_a mu_b: what the two gains multiply.
    spread, means : ndarray (..., P, A, B)
        What covariances and what means contribute to each effective overlap.
    base : ndarray (..., P, A)
        alpha mu_a <phi>(mean 0), which no source carries; 0 for odd phi.
    local : ndarray (..., P, A, B)
        Contributions to the derivative of the drift (without leak) and readouts by kappa_b or v_b.
    rest : ndarray (..., P, A)
        Finite networks by groups: what a Gaussian with the group's moments leaves out. 0 for a mixture.
    slope_bound : float
        The largest phi', or inf.
    """

    label: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    populations: tuple[str, ...]
    kappa: np.ndarray
    v: np.ndarray
    weights: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    rate: np.ndarray
    gain: np.ndarray
    secant: np.ndarray
    spread_structure: np.ndarray = field(repr=False)
    mean_structure: np.ndarray = field(repr=False)
    spread: np.ndarray = field(repr=False)
    means: np.ndarray = field(repr=False)
    base: np.ndarray = field(repr=False)
    local: np.ndarray = field(repr=False)
    rest: np.ndarray = field(repr=False)
    slope_bound: float = np.inf

    @property
    def state(self):
        """(kappa, v), what the overlaps are multiplied with: (..., B)."""
        return np.concatenate([self.kappa, self.v], axis=-1)

    @property
    def overlap(self):
        """Contribution of each population to each effective overlap, (..., P, A, B)."""
        return self.spread + self.means

    @property
    def total(self):
        """Effective overlaps, summed over populations: (..., A, B)."""
        return self.overlap.sum(-3)

    @property
    def terms(self):
        """Contributions to the drift (without leak) and readouts, by population and source: (..., P, A, B)."""
        return self.overlap * self.state[..., None, None, :]

    @property
    def contribution(self):
        """The same, summed over sources, with what no source carries: (..., P, A)."""
        return self.terms.sum(-1) + self.base + self.rest

    @property
    def drift(self):
        """tau dkappa/dt, (..., R)."""
        return self.contribution.sum(-2)[..., : self.kappa.shape[-1]] - self.kappa

    @property
    def readout(self):
        """Readouts z, (..., W)."""
        return self.contribution.sum(-2)[..., self.kappa.shape[-1] :]

    @property
    def functional_connectivity(self):
        """sum_p alpha_p sigma_ab <phi'>_p, what covariances alone give: (..., A, B)."""
        return self.spread.sum(-3)

    @property
    def saturation(self):
        """1 - <phi'>_p over the largest slope: 0 where a population is linear; nan where phi has no largest slope."""
        return 1 - self.gain / self.slope_bound if np.isfinite(self.slope_bound) else np.full_like(self.gain, np.nan)

    def at(self, index):
        """The ledger of one state, or of a range of them, along the leading axes."""
        names = ("kappa", "v", "mean", "variance", "rate", "gain", "secant")
        names += ("spread", "means", "base", "local", "rest")
        return replace(self, **{name: getattr(self, name)[index] for name in names})

    def grouped(self, labels, names=None):
        """Populations (or neurons) summed by group, ``labels`` (P,) of integers from 0; groups in their order.

        Contributions add up as before. Gains become means over the group; ``mean`` and ``variance`` those of x over it.

        Raises
        ------
        ValueError
            Not one label per population, or a group without any.
        """
        labels = _labels(labels, len(self.weights))
        count = int(labels.max()) + 1
        names = tuple(map(str, range(count))) if names is None else tuple(map(str, names))
        member = (labels == np.arange(count)[:, None]).astype(float)  # (Q, P)
        weights = member @ self.weights
        share = member * self.weights / weights[:, None]
        averaged = {name: getattr(self, name) @ share.T for name in ("mean", "rate", "gain", "secant")}
        square = (self.variance + self.mean**2) @ share.T
        summed = {
            name: np.moveaxis(np.tensordot(member, getattr(self, name), (1, getattr(self, name).ndim - back)), 0, -back)
            for name, back in _SUMMED.items()
        }
        variance = np.maximum(square - averaged["mean"] ** 2, 0.0)
        return replace(self, populations=names, weights=weights, variance=variance, **averaged, **summed)

    def __str__(self):
        return words.table(self)

    def __repr__(self):
        shape = f"{self.kappa.shape[:-1]} states, " if self.kappa.ndim > 1 else ""
        return f"Ledger({self.label!r}, {shape}{len(self.weights)} populations, rows {self.rows})"

    def _repr_html_(self):
        return words.html_table(self)

    def latex(self):
        """The overlaps' contributions as a LaTeX tabular (one state)."""
        return words.latex_table(self)


#: Fields that are summed over a group, and where their population axis stands, counted from the end.
_SUMMED = {"spread_structure": 3, "mean_structure": 3, "spread": 3, "means": 3, "base": 2, "local": 3, "rest": 2}


def _labels(labels, count):
    array = check_array("labels", labels, (count,), "(one per population)")
    whole = array.astype(int)
    if (whole != array).any() or set(whole) != set(range(whole.max() + 1)):
        raise ValueError(f"labels must be integers 0, 1, .. without gaps: got {sorted(set(array.tolist()))[:10]}")
    return whole


def ledger(f, kappa=None, v=None, label=""):
    """The ledger of a field in one state or many: :eq:`ledger` and :eq:`ledger-local`.

    Parameters
    ----------
    f : VectorField, DrivenField, or a Trajectory or FixedPoints of one
        What :func:`meanfield.reduce` gives, for a mixture or a finite network.
    kappa : array_like (..., R)
        Default: the states of the trajectory, or the fixed points. Otherwise required.
    v : array_like (..., S), optional
        Input variables; default those of the field, or of the trajectory.
    label : str
        Of the condition, a noun.

    Returns
    -------
    Ledger

    Raises
    ------
    ValueError
        No state, or one of another shape; a field without a mixture.
    """
    if kappa is None and hasattr(f, "kappa"):
        kappa, v = f.kappa, getattr(f, "v", None) if v is None else v
    f = getattr(f, "field", f)
    c = getattr(f, "connectivity", None)
    if c is None or kappa is None:
        raise ValueError("ledger needs a field and a state: ledger(reduce(c, ..), kappa), or a Trajectory, FixedPoints")
    if v is None:
        if not hasattr(f, "v"):
            raise ValueError("the inputs of this field change in time: pass v, or the trajectory itself")
        v = f.v
    kappa = _checked("kappa", kappa, c.rank)
    v = np.broadcast_to(_checked("v", v, len(c.inputs)), (*kappa.shape[:-1], len(c.inputs)))
    return _ledger(f if hasattr(f, "blocks") else f.frozen(np.zeros(len(c.inputs))), c, kappa, v, str(label))


def _checked(what, value, size):
    array = check_array(what, value)
    if not array.ndim or array.shape[-1] != size:
        raise ValueError(f"{what} must have shape (..., {size}): got {array.shape}")
    return array


def _ledger(f, c, kappa, v, label):
    b = output_blocks(f)  # rows are n and w
    mean = equations.mean(b, kappa, v)
    variance = np.maximum(equations.variance(b, kappa, v), 0.0)
    gain = bounds.gains(b, f.transfer, mean, variance, 3 if b.spread else 1)
    at_zero = bounds.gains(b, f.transfer, np.zeros_like(mean), variance, 0)[0]
    secant = _secant(f.transfer, b, mean, variance, gain[0], at_zero)
    cov = np.concatenate([b.cov_nm, b.cov_nI], axis=-1)
    sources = np.concatenate([b.mean_m, b.mean_I], axis=-1)
    spread_structure = c.weights[:, None, None] * cov
    mean_structure = c.weights[:, None, None] * b.mean_n[:, :, None] * sources[:, None, :]
    base = c.weights[:, None] * b.mean_n * at_zero[..., None]
    return Ledger(
        label, (*c.names[c.slice("n")], *c.readouts), (*c.names[c.slice("m")], *c.inputs),
        tuple(map(str, range(c.n_populations))), kappa, v, c.weights, mean, variance, gain[0], gain[1], secant,
        spread_structure, mean_structure, spread_structure * gain[1][..., None, None],
        mean_structure * secant[..., None, None], base, _local(b, kappa, v, gain), np.zeros_like(base),
        f.transfer.bounds[1],
    )  # fmt: skip


def _secant(transfer, b, mean, variance, rate, at_zero):
    """(<phi> - <phi>(mean 0)) / mean, by the gain half way where the difference would be rounding."""
    near = np.abs(mean) < NEAR
    apart = np.where(near, 1.0, mean)
    out = (rate - at_zero) / apart
    return np.where(near, bounds.gains(b, transfer, mean / 2, variance, 1)[1], out) if near.any() else out


def _local(b, kappa, v, gain):
    """Each population's part of the derivatives by (kappa, v): the equations of P mixtures of one population each."""
    alone = {name: getattr(b, name)[:, None] for name in b._fields if name not in ("weights", "spread")}
    one = b._replace(weights=np.ones(1), **alone)
    kappa, v, gain = kappa[..., None, :], v[..., None, :], [g[..., None] for g in gain]
    by_kappa = equations.jacobian(one, kappa, v, gain, np.zeros((b.mean_n.shape[1], kappa.shape[-1])))
    parts = [by_kappa]
    if v.shape[-1]:
        parts.append(equations.input_jacobian(one, kappa, v, gain))
    return b.weights[:, None, None] * np.concatenate(parts, axis=-1)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two conditions of the same populations, and the difference in parts that add up exactly: :eq:`ledger-change`.

    Attributes
    ----------
    before, after : Ledger
    """

    before: Ledger
    after: Ledger

    @property
    def overlap(self):
        """Change of each population's contribution to each effective overlap, (..., P, A, B)."""
        return self.after.overlap - self.before.overlap

    @property
    def by_gain(self):
        """The part of ``overlap`` that is due to changed gains, (..., P, A, B)."""
        pairs = (("spread_structure", "gain"), ("mean_structure", "secant"))
        return sum(
            0.5 * (getattr(self.before, s) + getattr(self.after, s)) * self._change(g)[..., None, None]
            for s, g in pairs
        )

    @property
    def by_structure(self):
        """The part of ``overlap`` that is due to changed loadings, as by silencing; 0 when they are the same."""
        return self.overlap - self.by_gain

    def terms(self):
        """Change of the contributions to drift and readouts, (..., P, A) each: a dict that sums to the whole.

        ``"gain"`` and ``"structure"``: changed overlaps; ``"state"``: changed kappa and v; ``"base"``: what no source
        carries.
        """
        middle = 0.5 * (self.before.state + self.after.state)[..., None, None, :]
        mean_overlap = 0.5 * (self.before.overlap + self.after.overlap)
        return {
            "gain": (self.by_gain * middle).sum(-1),
            "structure": (self.by_structure * middle).sum(-1),
            "state": (mean_overlap * self._change("state")[..., None, None, :]).sum(-1),
            "base": self._change("base") + self._change("rest"),
        }

    def sentences(self, most=4):
        """The largest effects in words; none where what changes is small against what cancels."""
        return words.sentences(self, most)

    def _change(self, name):
        return getattr(self.after, name) - getattr(self.before, name)

    def __str__(self):
        return words.comparison_table(self)

    def __repr__(self):
        return f"Comparison({self.before.label!r} -> {self.after.label!r})"

    def _repr_html_(self):
        return words.html_comparison(self)


def compare(before, after):
    """What changes between two ledgers with the same rows, columns and populations.

    Raises
    ------
    ValueError
        Other rows, columns, or another number of populations: silence both in part, or group them first.
    """
    for name in ("rows", "columns", "populations"):
        ours, theirs = getattr(before, name), getattr(after, name)
        if ours != theirs:
            raise ValueError(f"compare needs the same {name}: got {ours} and {theirs}; group the populations first")
    return Comparison(before, after)
