"""LINT: a low-rank network from trajectories of neurons (Valente, Pillow, Ostojic 2022), first stage in closed form.

The first stage is a regression, :eq:`lint-truncation`; further ones refine its network on whole trajectories, see
:mod:`~meanfield.validation.lint.stages`. Every stage starts from the :class:`LintFit` of the one before and ends in
:meth:`LintFit.with_network`.
"""

import enum
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from meanfield.conventions import brief, check_array, check_integer, closest, counted

from ..networks import Network, default_input_names
from ..npz import check_number
from .activity import Activity, prepare, split
from .prediction import Score, explained_by, free_score, step_errors, step_score
from .regression import Regression, moments
from .stages import METHODS, Stage, refine
from .unknown import learn_inputs

#: Columns of m and n below this share of the largest singular value of J are rounding.
SMALLEST = 1e-10
#: A free run that explains less than this of the held-out rates is no description of them.
POOR = 0.5


class Status(enum.Enum):
    """What a fit came to; the value is the sentence a person reads."""

    FITTED = "the network, running free, reproduces the held-out trials"
    POOR = (
        "running free, the network explains less than half of the held-out rates, however well one step is predicted: "
        "try another rank, more trials, or gradients (method='gradients')"
    )
    EXPLODED = "running free, the network explodes on held-out trials: try a larger ridge, or a bounded phi"


@dataclass(frozen=True, eq=False)
class LintFit:
    """A low-rank network fitted to activity; made by :func:`lint`.

    Attributes
    ----------
    network : Network
        J = (1/N) m n^T in the basis of :eq:`svd-normal-form`; ``noise_std`` is what one step leaves unexplained.
    r2, one_step : Score
        Of the held-out rates: free-running from the true first sample under the inputs, and one step ahead.
    train, held_out : ndarray of int
        Numbers of the trials.
    singular_values : ndarray
        Of the regression before it was cut to the rank, in the metric of the activity, decreasing: the first R + 10.
    ridge : float
        Relative to the mean of sum_t phi_i(t)^2.
    determined : float
        Along how many directions, out of N, the data determine n.
    expected_cosine : float
        Between the fitted and the true J, if the noise is private and white; nan after other stages.
    m_error, n_error, I_error : ndarray
        Standard errors of the loadings, see :class:`Loadings`.
    explained : float
        Share of the variance of x, held out, in the span of m and I.
    stages : tuple of Stage
    status : Status
    activity : Activity
        What was fitted; for later stages.
    """

    network: Network
    r2: Score
    one_step: Score
    train: np.ndarray
    held_out: np.ndarray
    singular_values: np.ndarray
    ridge: float
    determined: float
    expected_cosine: float
    m_error: np.ndarray
    n_error: np.ndarray
    I_error: np.ndarray
    explained: float
    stages: tuple
    status: Status
    activity: Activity

    @property
    def rank(self):
        """R."""
        return self.network.rank

    @property
    def input_loadings(self):
        """I, (N, S)."""
        return self.network.I

    @property
    def success(self):
        """True where the network, running free, reproduces the held-out trials."""
        return self.status is Status.FITTED

    @cached_property
    def axes(self):
        """Orthonormal basis (N, R + S) of the span of m and I, the axes of m first: where the dynamics take place."""
        return np.linalg.qr(np.hstack([self.network.m, self.network.I]))[0]

    def coordinates(self, x):
        """kappa (..., R) and v (..., S) of x (..., N): least-squares coordinates in x = m kappa + I v."""
        both = np.hstack([self.network.m, self.network.I])
        found = np.asarray(x, float) @ np.linalg.pinv(both).T
        return found[..., : self.rank], found[..., self.rank :]

    def with_network(self, network, stage):
        """The fit after a further stage: another network, scored anew on the held-out trials."""
        r2, one_step, explained, status = _scores(network, self.activity, self.held_out)
        unknown = {key: np.full(getattr(network, key[0]).shape, np.nan) for key in ("m_error", "n_error", "I_error")}
        return replace(
            self, network=network, r2=r2, one_step=one_step, explained=explained, status=status,
            expected_cosine=float("nan"), stages=(*self.stages, stage), **unknown,
        )  # fmt: skip

    def __str__(self):
        net = self.network
        inputs = counted(len(net.input_names), "input")
        lines = [
            f"rank {self.rank}, {net.n_neurons} neurons, {inputs}; fitted to {counted(len(self.train), 'trial')}",
            f"R^2 of held-out rates: running free {self.r2}; one step ahead {self.one_step}",
            f"n is determined along {self.determined:.0f} of {net.n_neurons} directions; {self._about_cosine()}",
            f"the span of m and I holds {self.explained:.1%} of the variance of x",
        ]
        return "\n".join([*lines, *map(str, self.stages), self.status.value])

    def _about_cosine(self):
        if np.isnan(self.expected_cosine):
            return "how close J is to the true one is not known"
        return f"expected cosine between fitted and true J: {self.expected_cosine:.3f}"

    def __repr__(self):
        return f"LintFit(rank {self.rank}, {self.network.n_neurons} neurons, held-out R^2 {self.r2.r2:.4f})"


def lint(rates, inputs, rank, *, dt=None, tau=1.0, variable="rate", transfer="tanh", clip=None, ridge="evidence",
         held_out=0.2, seed=0, method="auto", conditions=None, n_unknown=1, w=None, gradients=None,
         progress=None):  # fmt: skip
    """Fit a low-rank network to recorded or simulated activity.

    Parameters
    ----------
    rates : ndarray (B, T, N), list of (T_b, N), or Recording
        Trials of N neurons; a list where they differ in length.
    inputs : ndarray (B, T, S) or (B, T - 1, S), list, mapping name -> (B, T), None or "unknown"
        Input t is held from sample t to sample t + 1 (the last of T is not used). None: there are none, or those of the
        Recording. "unknown": learned as far as they repeat between trials of one of the ``conditions``,
        :eq:`lint-unknown`.
    rank : int
    dt : float
        Time between two samples; a Recording may know it.
    tau : float, or sequence of float
        Time constant, in the unit of dt. Of several, the one whose network predicts some of the trials to fit to best,
        one step ahead.
    variable : {"rate", "current"}
        What was recorded: phi(x), which is inverted, or x.
    transfer : str
        Name of phi.
    clip : float, optional
        Rates beyond phi(clip) are taken to be phi(clip), and likewise below. Default: 10, or 3 where some rates lie
        beyond what phi can give.
    ridge : "evidence" or float
        "evidence": the most likely one, :eq:`lint-evidence`; a number is relative to the mean of sum_t phi_i(t)^2.
    held_out : float or sequence of int
        Share of the trials that is held out, or which.
    seed : int
        Of the choice of these.
    method : {"auto", "closed form", "projected", "gradients"}
        The last stage: the regression alone; the same on projected activity, which is better where the activity is of
        higher rank than the fit; gradients through time, which need the extra ``fit``. "auto": as far as there is
        something to gain beside the noise. No stage is taken that makes the fit worse.
    conditions : sequence of B labels, optional
        With unknown inputs: which trials had the same. Default: all trials.
    n_unknown : int
        Number of unknown inputs S.
    w : array_like (N,) or (N, W), optional
        Readout of the network, taken along as it is.
    gradients : dict, optional
        Options of :func:`~meanfield.validation.lint.gradients.descend`.
    progress : bool or None
        Show a bar for gradients; None: on a terminal only.

    Returns
    -------
    LintFit

    Raises
    ------
    ImportError
        ``method="gradients"`` without the extra ``fit``.
    ValueError
        What does not fit together (trials, neurons, inputs), NaN, dt missing, more ranks than neurons, one trial only.
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; {closest(method, METHODS)}")
    problem = Problem.of(
        rates, inputs, dt, tau, variable, transfer, clip, held_out, seed, conditions, n_unknown, w, ridge, rank
    )
    fit = problem.fit(rank)
    return fit if method == "closed form" else refine(fit, method, seed=seed, progress=progress, **(gradients or {}))


@dataclass(frozen=True, eq=False)
class Problem:
    """Activity to fit to, checked and split; ``fit(rank)`` for every rank from one pass over the data."""

    activity: Activity
    train: np.ndarray
    held_out: np.ndarray
    ridge: object
    conditions: np.ndarray | None
    n_unknown: int
    w: np.ndarray
    notes: tuple = ()

    @classmethod
    def of(cls, rates, inputs, dt, tau, variable, transfer, clip, held_out, seed, conditions, n_unknown, w, ridge,
           largest=None):  # fmt: skip
        """As for :func:`lint`; ``largest`` is the largest rank that will be asked for."""
        unknown = isinstance(inputs, str) and inputs == "unknown"
        taus = np.atleast_1d(check_array("tau", tau))
        if taus.ndim > 1 or not len(taus):
            raise ValueError(f"tau must be a number, or a list of numbers to choose from: got {brief(tau)}")
        activity = prepare(rates, None if unknown else inputs, dt, float(taus[0]), variable, transfer, clip)
        train, test = split(len(activity), held_out, seed)
        if ridge != "evidence":
            ridge = check_number("ridge", ridge)
        if not unknown and conditions is not None:
            raise ValueError("conditions are for inputs='unknown' only: with known inputs they have no use")
        labels = _labels(conditions, len(activity)) if unknown else None
        N = activity.n_neurons
        w = np.zeros((N, 0)) if w is None else check_array("w", w)
        w = w[:, None] if w.ndim == 1 else w
        if len(w) != N:
            raise ValueError(f"w: got shape {w.shape}, expected ({N} neurons, readouts)")
        problem = cls(activity, train, test, ridge, labels, check_integer("n_unknown", n_unknown, 1), w)
        return problem if len(taus) == 1 else problem._best_tau(taus, seed, largest)

    def _best_tau(self, taus, seed, rank):
        """The same problem with the tau whose regression predicts a part of the trials to fit to best."""
        inner, check = split(len(self.train), 0.2, seed)
        errors = []
        for tau in taus:
            if tau < self.activity.dt:
                raise ValueError(f"tau must be at least dt = {self.activity.dt:g}: got {tau:g} among those to try")
            other = replace(self.activity, tau=float(tau))
            data = moments(other.steps(self.train[inner]))
            found = Regression(data).fit(min(rank, other.n_neurons), self.ridge)
            net = Network(found.m, found.n, found.I, self.w, other.input_names, transfer=other.transfer.name)
            errors.append(step_errors(net, other, self.train[check]).sum())
        best = int(np.argmin(errors))
        listed = ", ".join(f"{tau:g}: {e / min(errors):.4f}" for tau, e in zip(taus, errors, strict=True))
        note = f"tau = {taus[best]:g}, chosen one step ahead on part of the trials to fit to (errors {listed})"
        if best in (0, len(taus) - 1) and len(taus) > 1:
            note += "; it is the first or last of those tried: try more beyond"
        return replace(self, activity=replace(self.activity, tau=float(taus[best])), notes=(*self.notes, note))

    @cached_property
    def regression(self):
        """The sums over the trials to fit to."""
        return Regression(moments(self.activity.steps(self.train)))

    def fit(self, rank):
        """The first stage at that rank, scored on the held-out trials.

        Returns
        -------
        LintFit
        """
        rank, N = check_integer("rank", rank, 1), self.activity.n_neurons
        if rank > N:
            raise ValueError(f"rank must be at most the number of neurons, {N}: got {rank}")
        activity, regression, extra = self._known() if self.conditions is None else self._unknown(rank)
        found = regression.fit(rank, self.ridge)
        m, n, notes = found.m, found.n, [*self.notes, *extra]
        strength = (m**2).sum(0)
        kept = strength > SMALLEST * strength[0] if strength[0] > 0 else np.zeros(rank, bool)
        if not kept.any():
            raise ValueError("the activity follows from its inputs and the leak alone: no recurrence is seen in it")
        if not kept.all():
            notes.append(f"the data determine rank {kept.sum()} only: the rest of J is rounding and left out")
            m, n = m[:, kept], n[:, kept]
        a = activity
        net = Network(
            m, n, found.I, self.w, a.input_names, tau=a.tau, dt=a.dt, transfer=a.transfer.name, name="fitted",
            noise_std=a.alpha * float(np.sqrt((found.noise**2).mean())),
        )  # fmt: skip
        r2, one_step, explained, status = _scores(net, a, self.held_out)
        stage = self._stage(found, net.rank, notes)
        return LintFit(
            net, r2, one_step, self.train, self.held_out, found.singular_values, found.ridge, found.determined,
            found.expected_cosine, found.m_error[:, kept], found.n_error[:, kept], found.I_error, explained, (stage,),
            status, a,
        )  # fmt: skip

    def _known(self):
        idle, number = self.regression.idle_inputs, self.regression.data.inputs
        text = f"{counted(idle, 'input')} of {number} never on, or a combination of others: loading of least norm"
        return self.activity, self.regression, [text] if idle else []

    def _unknown(self, rank):
        a = self.activity
        courses, rest = learn_inputs(a, self.train, self.conditions, rank, self.ridge, self.n_unknown)
        for b, c in enumerate(self.conditions.tolist()):
            if c not in courses or len(courses[c]) != a.lengths[b] - 1:
                raise ValueError(
                    f"unknown inputs: trial {b} has no trial of its condition and length among those to fit to: hold "
                    "out others, or give the inputs"
                )
        names = default_input_names(self.n_unknown)
        activity = a.with_inputs([courses[c] for c in self.conditions.tolist()], names)
        text = (
            f"{counted(self.n_unknown, 'unknown input')} in {counted(len(courses), 'condition')} from what differences "
            f"between trials leave of the means, up to an invertible matrix; {rest:.1%} of their squares left out"
        )
        return activity, Regression(moments(activity.steps(self.train))), [text]

    def _stage(self, found, rank, notes):
        a = self.activity
        steps = int((a.lengths[self.train] - 1).sum())
        how = "by the evidence" if self.ridge == "evidence" else "as told"
        text = (
            f"ridge regression on {steps} steps of phi(x) and the inputs (ridge {found.ridge:.1e} of the mean square, "
            f"{how}), cut to rank {rank} in the metric of the activity"
        )
        if a.clip is not None:
            text += f"; x from rates within phi(+-{a.clip:g}), {a.clipped:.2%} beyond"
        numbers = {"steps": steps, "ridge": found.ridge, "determined": found.determined, "clipped": a.clipped}
        return Stage("closed form", "; ".join([text, *notes]), numbers)


def _labels(conditions, count):
    if conditions is None:
        return np.zeros(count, int)
    labels = np.asarray(conditions)
    if labels.shape != (count,):
        raise ValueError(f"conditions: got shape {labels.shape}, expected one label per trial, {(count,)}")
    return np.unique(labels, return_inverse=True)[1]


def _scores(net, activity, trials):
    r2, one_step = free_score(net, activity, trials), step_score(net, activity, trials)
    explained = explained_by(np.linalg.qr(np.hstack([net.m, net.I]))[0], activity, trials)
    status = Status.EXPLODED if r2.exploded else Status.POOR if r2.r2 < POOR else Status.FITTED
    return r2, one_step, explained, status
