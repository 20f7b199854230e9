"""A fitted network against its teacher: connectivities, the part that activity identifies, decisions, fixed points.

Products of connectivities are taken through their factors: no N x N matrix is formed.
"""

from dataclasses import dataclass, replace

import numpy as np

from meanfield.conventions import counted
from meanfield.dynamics import reduce
from meanfield.fixed_points import fixed_points
from meanfield.transfer import get_transfer

from ..analysis import Condition
from ..simulation import simulate
from ..tasks.trials import mean_in
from .fitting import LintFit
from .prediction import Score


@dataclass(frozen=True, eq=False)
class Rest:
    """All fixed points of both networks under one condition.

    Attributes
    ----------
    condition : Condition
    fitted, teacher : FixedPoints
    apart : float
        Largest distance from a point of either to the nearest of its kind of the other, in x (root mean square over the
        neurons); inf where the other has none of its kind.
    """

    condition: Condition
    fitted: object
    teacher: object
    apart: float

    @property
    def same(self):
        """Whether both have as many points of each kind."""
        return sorted(self.fitted.kind.tolist()) == sorted(self.teacher.kind.tolist())

    def __str__(self):
        return (
            f"fixed points, {self.condition.label}: {len(self.fitted)} of the fit, {len(self.teacher)} of the teacher, "
            f"at most {self.apart:.3g} apart in x"
        )


@dataclass(frozen=True, eq=False)
class Comparison:
    """A fitted network beside its teacher; made by :func:`compare_connectivity`.

    Attributes
    ----------
    cosine, correlation : float
        Between the entries of the two J; the correlation takes their means off.
    identifiable_cosine, identifiable_correlation : float
        The same of J restricted to the span of m and I, each network's own: :eq:`lint-identifiable`.
    angles : dict of str to ndarray
        Principal angles in degrees, increasing, between the spans of "m", "n", "I" and "m, I".
    overlaps, teacher_overlaps : ndarray (R, R + S)
        (1/N) n.(m, I) of the fit, in the teacher's basis of rank space, and of the teacher; None where ranks differ.
    eigenvalues, teacher_eigenvalues : ndarray
        Of (1/N) n.m, by decreasing real part: the same in every basis.
    expected_cosine : float
        What the fit itself expects; nan where it does not say.
    same_decisions, right, teacher_right : ndarray (B,) of bool, or None without trials
        On noise-free runs of both networks.
    r2 : Score or None
        Of the fit's rates against the teacher's on these runs.
    rest : tuple of Rest
    """

    cosine: float
    correlation: float
    identifiable_cosine: float
    identifiable_correlation: float
    angles: dict
    overlaps: np.ndarray | None
    teacher_overlaps: np.ndarray | None
    eigenvalues: np.ndarray
    teacher_eigenvalues: np.ndarray
    expected_cosine: float
    same_decisions: np.ndarray | None
    right: np.ndarray | None
    teacher_right: np.ndarray | None
    r2: Score | None
    rest: tuple

    def __str__(self):
        degrees = ", ".join(f"{k}: {', '.join(f'{x:.2g}' for x in v)}" for k, v in self.angles.items() if len(v))
        expected = "" if np.isnan(self.expected_cosine) else f" (the fit expects {self.expected_cosine:.3f})"
        lines = [
            f"J: cosine {self.cosine:.4f}{expected}, correlation {self.correlation:.4f}",
            f"J on the span of m and I: cosine {self.identifiable_cosine:.4f}, correlation "
            f"{self.identifiable_correlation:.4f}",
            f"angles between spans in degrees: {degrees}",
            f"eigenvalues of n.m/N: {_values(self.eigenvalues)}; teacher {_values(self.teacher_eigenvalues)}",
        ]
        if self.r2 is not None:
            lines.append(
                f"{counted(len(self.right), 'trial')} without noise: R^2 of the rates {self.r2.r2:.5f} +- "
                f"{self.r2.error:.1g}, same decisions on {self.same_decisions.sum()}, right {self.right.sum()} "
                f"(teacher {self.teacher_right.sum()})"
            )
        return "\n".join([*lines, *map(str, self.rest)])

    def __repr__(self):
        return f"Comparison(cosine {self.cosine:.4f}, identifiable {self.identifiable_cosine:.4f})"


def _values(values):
    return ", ".join(f"{v.real:.4g}" + (f"{v.imag:+.2g}i" if abs(v.imag) > 1e-12 else "") for v in values)


def compare_connectivity(fit, teacher, trials=None, conditions=None):
    """Compare a fitted network with the one whose activity it was fitted to.

    Parameters
    ----------
    fit : LintFit or Network
    teacher : Network
        With the same neurons and inputs; J may have a random part.
    trials : tasks.Trials or decisions.Trials, optional
        Both networks run on these without noise, from the teacher's start. A fit without readout is read by the
        teacher's.
    conditions : sequence of Condition, optional
        Constant inputs under which all fixed points of both are found; default: none. Low rank only.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        Networks of different size or inputs.
    """
    net = fit.network if isinstance(fit, LintFit) else fit
    if net.I.shape != teacher.I.shape:
        ours, theirs = ((x.n_neurons, x.I.shape[1]) for x in (net, teacher))
        raise ValueError(f"neurons and inputs of the fit are {ours}, those of the teacher {theirs}: compare the same")
    whole = [_factors(x) for x in (net, teacher)]
    seen = [identifiable_factors(x) for x in (net, teacher)]
    overlaps, basis = _in_teachers_basis(net, teacher)
    eigenvalues = [_sorted(np.linalg.eigvals(x.n.T @ x.m / x.n_neurons)) for x in (net, teacher)]
    decided = _on_trials(net, teacher, trials) if trials is not None else (None,) * 4
    return Comparison(
        cosine(*whole), correlation(*whole), cosine(*seen), correlation(*seen), _angles(net, teacher), overlaps,
        _overlaps(teacher) if basis is not None else None, *eigenvalues, getattr(fit, "expected_cosine", float("nan")),
        *decided, tuple(_rest(net, teacher, c) for c in conditions or ()),
    )  # fmt: skip


def _factors(net):
    """(left, right, dense): J = left right^T + dense."""
    return net.m / net.n_neurons, net.n, net.random


def identifiable_factors(net):
    """J on the span of m and I, :eq:`lint-identifiable`, as (left, right, None): left right^T = J P.

    What J does with states in that span, as long as phi is about linear there or the loadings are Gaussian; the n of
    this part is the projection of n on the span.
    """
    basis, s, _ = np.linalg.svd(np.hstack([net.m, net.I]), full_matrices=False)
    basis = basis[:, s > s[0] * len(basis) * np.finfo(float).eps]
    seen = net.m @ (net.n.T @ basis) / net.n_neurons
    if net.random is not None:
        seen = seen + net.random @ basis
    return seen, basis, None


def inner(a, b):
    """Sum over the entries of the product of two matrices, each (left, right, dense or None)."""
    total = ((a[0].T @ b[0]) * (a[1].T @ b[1])).sum()
    for (left, right, _), (_, _, dense) in ((a, b), (b, a)):
        if dense is not None:
            total += (left * (dense @ right)).sum()
    if a[2] is not None and b[2] is not None:
        total += (a[2] * b[2]).sum()
    return float(total)


def _mean(a):
    """Mean of the entries."""
    dense = 0.0 if a[2] is None else a[2].mean()
    return float(a[0].mean(0) @ a[1].mean(0) + dense)


def cosine(a, b):
    """Cosine between the entries of two matrices, as of :func:`inner`."""
    norm = np.sqrt(inner(a, a) * inner(b, b))
    return inner(a, b) / norm if norm else float("nan")


def correlation(a, b):
    """Correlation of the entries of two matrices, as of :func:`inner`."""
    size = len(a[0]) ** 2
    covariance, *variances = (inner(x, y) / size - _mean(x) * _mean(y) for x, y in ((a, b), (a, a), (b, b)))
    norm = np.sqrt(max(variances[0], 0.0) * max(variances[1], 0.0))
    return covariance / norm if norm else float("nan")


def _angles(net, teacher):
    from scipy.linalg import subspace_angles

    spans = {"m": lambda x: x.m, "n": lambda x: x.n, "I": lambda x: x.I, "m, I": lambda x: np.hstack([x.m, x.I])}
    return {
        name: np.rad2deg(np.sort(subspace_angles(of(net), of(teacher)))) if of(net).shape[1] else np.zeros(0)
        for name, of in spans.items()
    }


def _sorted(values):
    values = values.astype(complex)
    return values[np.lexsort((-values.imag, -values.real))]


def _overlaps(net):
    return net.n.T @ np.hstack([net.m, net.I]) / net.n_neurons


def _in_teachers_basis(net, teacher):
    """Overlaps of the fit with its m as close to the teacher's as another basis can bring it, and that basis."""
    if net.rank != teacher.rank:
        return None, None
    basis = np.linalg.lstsq(net.m, teacher.m)[0]
    if np.linalg.cond(basis) > 1 / np.sqrt(np.finfo(float).eps):
        return None, None
    turned = replace(net, m=net.m @ basis, n=net.n @ np.linalg.inv(basis).T, mixture=None)
    return _overlaps(turned), basis


def _on_trials(net, teacher, trials):
    """Which decisions agree, which are right, and R^2 of the rates against the teacher's, without noise."""
    if net.w.shape[1] == 0:
        net = replace(net, w=teacher.w, readout_names=teacher.readout_names, readout_transfer=teacher.readout_transfer)
    dt = teacher.dt or net.dt
    if dt is None:
        raise ValueError("neither network knows its Euler step: dataclasses.replace(net, dt=...) sets it")
    steps = trials.u.shape[1]
    runs = [
        simulate(x, trials.u, steps * dt, dt, start=teacher.x0, method="euler", record_x=True, progress=False)
        for x in (net, teacher)
    ]
    ours, theirs = (get_transfer(x.transfer)(run.x[:, 1:]) for x, run in zip((net, teacher), runs, strict=True))
    score = Score.of(((ours - theirs) ** 2).sum((1, 2)), ((theirs - theirs.mean((0, 1))) ** 2).sum((1, 2)))
    signs = [np.sign(mean_in(run.z[:, 1:, 0], trials.window)) for run in runs]
    right = [sign == np.sign(trials.target) for sign in signs]
    return signs[0] == signs[1], *right, score


def _rest(net, teacher, condition):
    # the fit knows its inputs by their place
    named = dict(zip(teacher.input_names, net.input_names, strict=True))
    inputs = [{named[name]: u for name, u in condition.inputs.items()}, dict(condition.inputs)]
    found = [fixed_points(reduce(x.connectivity, x.transfer, u)) for x, u in zip((net, teacher), inputs, strict=True)]
    states = [
        f.kappa @ x.m.T + x.I @ np.array([u.get(name, 0.0) for name in x.input_names])
        for f, x, u in zip(found, (net, teacher), inputs, strict=True)
    ]
    apart = max(_farthest(states, found, 0, 1), _farthest(states, found, 1, 0))
    return Rest(condition, *found, apart)


def _farthest(states, found, i, j):
    """Largest distance from a point of i to the nearest of its kind of j."""
    largest = 0.0
    for x, kind in zip(states[i], found[i].kind, strict=True):
        others = states[j][found[j].kind == kind]
        near = np.sqrt(((others - x) ** 2).mean(-1)).min() if len(others) else np.inf
        largest = max(largest, float(near))
    return largest
