"""The cross-check for networks with a random part: every state that attracts, against networks drawn with chi.

States at rest come with the spread that the theory predicts (:func:`meanfield.spread`). That of fluctuating states is
measured: it is estimated from the draws of all sizes together, falling like 1/sqrt(N), and their z-scores are those of
Student's t.
"""

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from meanfield import dmft
from meanfield.connectivity import Connectivity
from meanfield.dmft.field import StationaryField
from meanfield.fluctuations import spread
from meanfield.progress import progress_bar
from meanfield.transfer import get_transfer

from .activity import measure_activity
from .analysis import Condition
from .ensemble import Draw
from .landscape import Landscape, landscape, name_of, one_of_each_pair
from .lyapunov import lyapunov
from .networks import draw
from .planted import PLANTED, wrong_overlaps
from .predictions import Observable
from .simulation import relax
from .verdict import Outcome, Row, calibration_limits, row, scores, single_level
from .workers import over

SIZES, DRAWS = (400, 1000, 2500), 8
#: Time in tau over which fluctuating states are measured, and that before, to forget the start.
DURATION, DISCARD, TRIALS = 150.0, 60.0, 2
#: Lags, in tau, at which Delta(tau) is compared.
LAGS = (1.0, 3.0)
#: A state whose slowest rate, times tau, is below this is next to a transition: its fluctuations are large.
SLOW = 0.1
# Rest is where the units move by less than this; far below the spread of any network that is drawn.
_REST = 1e-6


@dataclass(frozen=True, eq=False)
class RandomCheck:
    """The verdict on a theory of networks with a random part, and all that it rests on.

    Attributes
    ----------
    outcome : Outcome
    rows : tuple of Row
        One per observable; where the spread is measured, ``z_std`` is nan.
    planted : str
        What the planted wrong theory was, and what became of it.
    rejected : bool or None
        Whether it was rejected; None where none was planted.
    landscape : Landscape
    states : tuple
        Those that were compared, as (state, name).
    draws : tuple of Draw
    sizes : tuple of int
    seed : int
    matched : str
        "moments" where loadings were drawn with exactly the overlaps of the mixture, else "nothing".
    """

    outcome: Outcome
    rows: tuple
    planted: str
    rejected: bool | None
    landscape: Landscape
    states: tuple
    draws: tuple = field(repr=False)
    sizes: tuple[int, ...]
    seed: int
    matched: str

    @property
    def agrees(self):
        """True when nothing contradicts the theory and the planted wrong one is rejected."""
        return self.outcome is Outcome.AGREES

    @property
    def predicted_rows(self):
        """Rows whose spread is predicted."""
        return tuple(r for r in self.rows if np.isfinite(r.z_std))

    @property
    def z_scores(self):
        """All z-scores of predicted rows about the mean of their size."""
        parts = [
            scores(r.observable, self.draws, dict(zip(self.sizes, r.mean, strict=True))) for r in self.predicted_rows
        ]
        return np.concatenate(parts) if parts else np.zeros(0)

    @property
    def calibration(self):
        """Standard deviation of these z-scores."""
        freedom = sum(r.z_count - np.isfinite(r.mean).sum() for r in self.predicted_rows)
        return float(np.sqrt((self.z_scores**2).sum() / freedom)) if freedom else np.nan

    @property
    def failures(self):
        """Everything that contradicts the theory, as sentences."""
        found = [f"{r.observable.label}: {why}" for r in self.rows for why in r.failures]
        if self.predicted_rows:
            low, high = calibration_limits(self.predicted_rows, self.draws)
            if not low <= self.calibration <= high:
                found.append(
                    f"the z-scores have standard deviation {self.calibration:.3f}, not {low:.2f} to {high:.2f}"
                )
        return tuple(found)

    @property
    def remarks(self):
        """What happened in draws, with how often; and which states lie next to a transition."""
        counts = Counter(text for d in self.draws for text in d.remarks)
        found = [f"{number} draws: {text}" for text, number in counts.most_common()]
        if not self.states:
            found.append("no state attracts: a cycle, a ring, or all units explode")
        elif not self.rows:
            found.append("nothing to compare: the only state that attracts is silent in every network")
        slow = [name for state, name in self.states if _slow(state)]
        return (*found, *(f"the {name} lies next to a transition: its fluctuations are large" for name in slow))

    @property
    def summary(self):
        """The plain-language line."""
        good = sum(r.agrees for r in self.rows)
        text = f"{self.outcome.value[0].upper()}{self.outcome.value[1:]}: {good} of {len(self.rows)} observables fit"
        if len(self.z_scores):
            text += f"; {len(self.z_scores)} z-scores have standard deviation {self.calibration:.3f}"
        slopes = np.array([r.slope for r in self.rows if np.isfinite(r.slope)])
        if len(slopes):
            text += f"; the spread falls like N^{slopes.mean():.2f}"
        return text + (f"; planted error, {self.planted}" if self.planted else "") + "."

    def __str__(self):
        columns = ("theory", "measured", "spread", "predicted", "z", "sd z", "slope in N")
        lines = [self.summary, f"{f'observable, at N = {self.sizes[-1]}':48s}" + "".join(f"{x:>11s}" for x in columns)]
        for r in self.rows:
            known = np.isfinite(r.z_std)
            numbers = (r.observable.value, r.mean[-1], r.std[-1], r.predicted_std[-1] if known else None, r.z)
            numbers += (r.z_std if known else None,)
            digits = zip(numbers, (4, 4, 4, 4, 2, 2), strict=True)
            line = "".join(f"{'measured' if d == 4 else '-':>11s}" if x is None else f"{x:11.{d}f}" for x, d in digits)
            slope = f"{r.slope:.2f}+-{r.slope_error:.2f}" if np.isfinite(r.slope) else ""
            lines.append(f"{r.observable.label[:48]:48s}{line}  {slope:>11s}" + ("" if r.agrees else "  <--"))
        lines += [f"contradiction: {text}" for text in self.failures]
        return "\n".join([*lines, *(f"remark: {text}" for text in self.remarks)])


def random_crosscheck(c, transfer="tanh", inputs=None, sizes=SIZES, draws=DRAWS, seed=0, *, theory=None, known=None,
                      box=None, planted=True, matched="nothing", duration=DURATION, workers=None,
                      progress=None):  # fmt: skip
    """Draw networks with a random part and compare every state that attracts them with the theory.

    Of states at rest: kappa, mean and variance over neurons, readouts, and the balance of the equations at the measured
    values. Of fluctuating states: kappa, mean and variance, the frozen part of the variance, Delta at two lags, and the
    largest Lyapunov exponent.

    Parameters
    ----------
    c : Connectivity
        With g > 0.
    transfer, inputs, sizes, draws, seed, theory, box, planted, workers, progress
        As for :func:`meanfield.validation.crosscheck`; the planted error is in the overlap that matters most, or in g.
    known : Landscape, optional
        Of the theory under these inputs, where it has been worked out already.
    matched : {"nothing", "moments"}
        Draw loadings freely, or with exactly the overlaps of the mixture.
    duration : float
        Over which fluctuating states are measured, in tau.

    Returns
    -------
    RandomCheck
    """
    theory = c if theory is None else theory
    transfer = get_transfer(transfer)
    if matched not in ("nothing", "moments"):
        raise ValueError(f"matched must be 'nothing' or 'moments': got {matched!r}")
    condition = Condition("", dict(inputs or {}))
    scape = known or landscape(theory, transfer, condition, box=box)
    states = tuple((s, name_of(s)) for s in one_of_each_pair(scape.attractors))
    shared = (c, transfer, [_plain(s) for s, _ in states], dict(condition.inputs), duration, matched)
    measured = _measure_all(shared, sizes, draws, seed, workers, progress)
    measured = [balanced(d, [s for s, _ in states]) for d in measured]
    rows = table([o for i, (s, name) in enumerate(states) for o in observables(s, name, i, matched)], measured, sizes)
    text, rejected = "", None
    if planted and rows:
        text, rejected = _planted(theory, transfer, condition, states, measured, sizes, matched)
    outcome = Outcome.WEAK if rejected is False or not rows else Outcome.AGREES
    check = RandomCheck(outcome, rows, text, rejected, scape, states, tuple(measured), tuple(sizes), seed, matched)
    return replace(check, outcome=Outcome.DISAGREES) if check.failures else check


def _plain(state):
    """What a worker needs of a state: kappa, the variance to start with, and whether it is at rest."""
    bulk = np.mean(state.delta0 - state.problem.structure_variance(state.kappa))
    return state.kappa, float(max(bulk, 0.0)), hasattr(state, "outliers")


def _slow(state):
    """Next to a transition: the slowest rate of a state at rest, or the exponent of a fluctuating one."""
    rate = state.growth if hasattr(state, "growth") else state.lyapunov
    return abs(rate) * state.problem.tau < SLOW


def observables(state, name, i, matched="nothing"):
    """What is compared of a state: :class:`~meanfield.validation.predictions.Observable`, nan variance: measured."""
    group, R, P = f"of the {name}", len(state.kappa), len(state.delta0)
    several = P > 1

    def one(label, key, value, variance=np.nan):
        return Observable(label, group, (key[0], i, *key[1:]), float(value), float(variance))

    def of(p):
        return f", population {p + 1}" if several else ""

    if not hasattr(state, "outliers"):
        mean = state.problem.mean(state.kappa)
        found = [one(f"kappa_{r + 1}", ("kappa", r), state.kappa[r]) for r in range(R)]
        for p in range(P):
            found += [one(f"mean{of(p)}", ("mean", p), mean[p])] if _has_mean(state) else []
            found.append(one(f"Delta_0{of(p)}", ("delta0", p), state.delta0[p]))
            found.append(one(f"Delta_inf{of(p)}", ("delta_inf", p), state.delta_inf[p]))
            lags = np.array(LAGS) * state.problem.tau
            for k, value in enumerate(state.delta(lags)[:, p]):
                found.append(one(f"Delta({LAGS[k]:g}){of(p)}", ("delta", k, p), value))
        return [*found, one("lambda_max", ("lyapunov",), state.lyapunov)]
    sp = spread(state, matched)
    variance, balance = np.diagonal(sp.covariance), np.diagonal(sp.balance_covariance)
    found = [one(f"balance of kappa_{r + 1}", ("balance", r), 0.0, balance[r]) for r in range(R)]
    found += [one("balance of <phi^2>", ("balance", R + k), 0.0, x) for k, x in enumerate(balance[R:])]
    found += [one(f"kappa_{r + 1}", ("kappa", r), state.kappa[r], variance[r]) for r in range(R)]
    for p in range(P):
        found.append(one(f"mean{of(p)}", ("mean", p), state.mean[p], sp.mean_covariance[p, p]))
        found.append(one(f"Delta_0{of(p)}", ("delta0", p), state.delta0[p], sp.delta0_covariance[p, p]))
    for j, label in enumerate(state.problem.connectivity.readouts):
        found.append(one(f"readout {label}", ("readout", j), state.readout[j], sp.readout_covariance[j, j]))
    return found


def balanced(d, states):
    """A draw with the balance of each state at rest: the theory's joint field at the measured (kappa, <phi^2>).

    It tests the equations without the amplification by the network, so it finds errors that the spread of kappa hides.
    For a block g, mean squares of populations count with the fraction of neurons that the draw has there.
    """
    values = dict(d.values)
    for i, state in enumerate(states):
        if hasattr(state, "outliers") and ("sent", i, 0) in values:
            R, K = len(state.kappa), len(state.handed_on)
            y = [values["kappa", i, r] for r in range(R)] + [values["sent", i, k] for k in range(K)]
            field = StationaryField(state.problem)
            values |= {("balance", i, r): x for r, x in enumerate(field.tau * field(np.array(y)))}
    return replace(d, values=values)


def _has_mean(state):
    """Whether the mean of x over neurons tells anything: loadings with means, or an input that has one."""
    b = state.problem.blocks
    return bool(b.mean_m.any() or (b.mean_I * state.problem.v).any())


def table(found, draws, sizes):
    """Rows of observables; where the variance is nan it is estimated from the draws, with Student's t for z."""
    found = [o for o in found if not o.variance <= 1e-12 and not _certain(o, draws)]
    level = single_level(len(found), len(sizes))
    return tuple(_row(o, draws, sizes, level) for o in found)


def _certain(o, draws):
    """True of what is the same number in all networks as in the theory: kappa where n vanishes."""
    values = [d.values.get(o.key, np.nan) for d in draws]
    return bool(values) and all(x == o.value for x in values)


def _row(o, draws, sizes, level):
    if np.isfinite(o.variance):
        return row(o, draws, sizes, level)
    from scipy.stats import norm, t

    groups = [
        np.array([d.values[o.key] for d in draws if d.n_neurons == n and np.isfinite(d.values.get(o.key, np.nan))])
        for n in sizes
    ]
    squares = sum(n * ((v - v.mean()) ** 2).sum() for n, v in zip(sizes, groups, strict=True) if len(v) > 1)
    freedom = sum(len(v) - 1 for v in groups if len(v) > 1)
    if freedom < 4 or squares == 0 or min(map(len, groups)) < 2:
        failed = (f"measured in {sum(map(len, groups))} draws only, with no spread to compare with",)
        nan, count = np.full(len(sizes), np.nan), np.array([len(v) for v in groups])
        return Row(o, count, nan, nan, nan, *[np.nan] * 2, int(count.sum()), *[np.nan] * 2, nan, nan, *[np.nan] * 2,
                   failed)  # fmt: skip
    found = row(replace(o, variance=squares / freedom), draws, sizes, level)
    z = float(np.sign(found.z) * norm.isf(t.sf(abs(found.z), freedom)))
    far = norm.isf(level / 2)
    off = bool(abs(z) > far)
    failures = (f"the mean is {z:+.1f} standard errors off",) if off else ()
    if abs(found.slope + 0.5) > far * found.slope_error + 0.05:
        failures += (f"the spread falls like N^{found.slope:.2f}",)
    return replace(found, z=z, z_std=np.nan, failures=failures, off=off)


def _measure_all(shared, sizes, draws, seed, workers, progress):
    jobs = [(n, k, seed) for n in sorted(sizes, reverse=True) for k in range(draws)]
    with progress_bar(len(jobs), "network", progress) as bar:
        return over(_measured, shared, jobs, workers, bar.update)


def _measured(shared, job):
    (c, transfer, states, inputs, duration, matched), (n_neurons, number, seed) = shared, job
    net = draw(c, n_neurons, [seed, n_neurons, number], matched == "moments", transfer)
    values, remarks = {}, []
    for i, (kappa, bulk, rest) in enumerate(states):
        measure = _at_rest if rest else _moving
        measure(net, inputs, i, kappa, bulk, duration, [seed, n_neurons, number, i], values, remarks)
    return Draw(n_neurons, number, values, remarks=tuple(remarks))


def _at_rest(net, inputs, i, kappa, bulk, duration, seed, values, remarks):
    end = relax(net, kappa, inputs, tolerance=_REST, progress=False)
    if not end.success:
        remarks.append(f"simulated from the state {i + 1} at rest: {end.status}")
        return
    phi = get_transfer(net.transfer)(end.x)
    square = phi**2
    sent = [square.mean()] if np.ndim(net.mixture.g) == 0 else [square[m].mean() for m in _members(net)]
    values |= {("kappa", i, r): x for r, x in enumerate(end.kappa)} | {("sent", i, k): x for k, x in enumerate(sent)}
    values |= {("readout", i, j): x for j, x in enumerate(net.w.T @ phi / net.n_neurons)}
    for p, members in enumerate(_members(net)):
        x = end.x[members]
        values |= {("mean", i, p): x.mean(), ("delta0", i, p): x.var()}


def _moving(net, inputs, i, kappa, bulk, duration, seed, values, remarks):
    options = {"duration": duration * net.tau, "discard": DISCARD * net.tau, "seed": seed, "progress": False}
    start = {"kappa": np.tile(kappa, (TRIALS, 1)), "start_variance": bulk}
    run = measure_activity(net, inputs, max_lag=max(LAGS) * net.tau, **options, **start)
    if not run.success:
        remarks.append(f"fluctuating state {i + 1}: {run.status.value}")
    values |= {("kappa", i, r): x for r, x in enumerate(run.kappa)}
    for p in range(len(run.mean)):
        values |= {("mean", i, p): run.mean[p], ("delta0", i, p): run.delta0[p], ("delta_inf", i, p): run.delta_inf[p]}
        for k, lag in enumerate(LAGS):
            values["delta", i, k, p] = np.interp(lag * net.tau, run.lags, run.delta[p])
    found = lyapunov(net, inputs, **options, **start)
    values["lyapunov", i] = float(np.mean(found.values))


def _members(net):
    """Indices of the neurons of each population."""
    if net.population is None:
        return [slice(None)]
    count = net.mixture.n_populations if net.mixture is not None else net.population.max() + 1
    return [np.flatnonzero(net.population == p) for p in range(count)]


def _planted(theory, transfer, condition, states, measured, sizes, matched):
    """The wrong theory's own numbers, against the same draws: (text, rejected)."""
    what, wrong = wrong_theory(theory, states)
    scape = Landscape(
        condition,
        dmft.stationary(wrong, transfer, condition.inputs),
        dmft.chaotic(wrong, transfer, condition.inputs),
    )
    theirs = one_of_each_pair(scape.attractors)
    found, matching = [], []
    for i, (state, name) in enumerate(states):
        rest = hasattr(state, "outliers")
        same = [s for s in theirs if hasattr(s, "outliers") == rest]
        if not same:
            return f"{what}: rejected, it has no {name}", True
        nearest = min(same, key=lambda s: np.abs(s.kappa - state.kappa).max())
        matching.append(nearest)
        found += observables(nearest, name, i, matched)
    rows = table(found, [balanced(d, matching) for d in measured], sizes)
    worst = max(rows, key=lambda r: np.nan_to_num(abs(r.z)), default=None)
    rejected = any(r.off for r in rows)
    by = f" by {worst.observable.label} (z = {abs(worst.z):.1f})" if worst is not None else ""
    return f"{what}: {'rejected' if rejected else 'not rejected'}{by}", rejected


def wrong_theory(c: Connectivity, states):
    """What is wrong in the planted theory, and the mixture: one overlap where some state has kappa, else g."""
    structured = any(np.abs(s.kappa).max() > 1e-6 for s, _ in states)
    if structured:
        found = next(wrong_overlaps(c, states[0][0].problem.v), None)
        if found is not None:
            (a, b), wrong = found
            return f"{a} {b} larger by {PLANTED - 1:.0%}", wrong
    return f"g larger by {PLANTED - 1:.0%}", replace(c, g=PLANTED * np.asarray(c.g))
