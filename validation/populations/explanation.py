"""Does the mean-field theory of a mixture explain a network? Portraits under every input, decisions, and the drift.

Three questions, each with its own answer: has the mixture the phase portrait of the network (number and kinds of all
fixed points, proved) under every input; does the infinite network decide every trial right that the network decides
right; is the drift of the network as near to the mixture's as that of another draw of as many neurons?
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from meanfield.connectivity import Connectivity
from meanfield.conventions import counted

from ..analysis import Statement
from ..decisions import RecordedTrials, chosen, euler_step, limit_on_trials, mean_readout, right, run_trials, states_of
from ..predictions import states
from .drift_error import DriftError, drift_error
from .portraits import PortraitPair, conditions_of, portrait_of, portraits_figure
from .readouts import readout_figure

#: Probability below which the drift of a network is taken for that of another mixture.
LEVEL = 0.01
#: Places along the network's own paths on the trials at which the drift is compared, at most.
STATES = 64
#: The criteria, in the order of the tables.
CRITERIA = ("portraits", "decisions", "drift")


@dataclass(frozen=True, eq=False)
class Facts:
    """What the network itself does; no mixture needed.

    Attributes
    ----------
    net : Network
    trials : Trials or None
    portraits : tuple of Portrait
        One per condition.
    kappa, v : (D, R), (D, S)
        States at which drifts are compared.
    start : pair of (R,), (S,), or None
        Where the trials start.
    z : (B, T + 1), or None
        Readout on the trials, without noise.
    right : (B,) of bool, or None
    """

    net: object
    trials: object
    portraits: tuple
    kappa: np.ndarray
    v: np.ndarray
    start: tuple | None = None
    z: np.ndarray | None = None
    right: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Explanation:
    """One mixture against one network; made by :func:`explain`.

    Attributes
    ----------
    facts : Facts
    net : Network
        With the mixture in question; ``meanfield.validation.trained.examine`` takes it.
    fit : PopulationFit or None
        Where the mixture comes from.
    pairs : tuple of PortraitPair
        One per condition.
    z : (B, T + 1), or None
        Readout of the infinite network on the trials.
    right : (B,) of bool, or None
    drift : DriftError
        Against draws of as many neurons from the mixture.
    level : float
        The drift is explained where ``drift.p`` is above.
    seed : int
        For the neurons that covariances of the drift are estimated from.
    not_compared : tuple of str
        Why something is missing.
    """

    facts: Facts = field(repr=False)
    net: object
    fit: object
    pairs: tuple
    z: np.ndarray | None
    right: np.ndarray | None
    drift: DriftError
    level: float = LEVEL
    seed: int = 0
    not_compared: tuple = ()

    @property
    def connectivity(self):
        """The mixture."""
        return self.net.mixture

    @property
    def n_populations(self):
        """P."""
        return self.net.mixture.n_populations

    @cached_property
    def closer(self):
        """The drift against what the fit leaves of the sampling error, None without a fit.

        Are these neurons a sample of the mixture? Trained networks seldom are, exactly; so it is no criterion.
        """
        if self.fit is None:
            return None
        return drift_error(self.net, self.facts.kappa, self.facts.v, self.fit, self.seed)

    @property
    def verdicts(self):
        """Criterion -> True, False, or None where it could not be compared."""
        same = [pair.same for pair in self.pairs]
        portraits = False if False in same else None if None in same else True
        decided = None if self.right is None else as_good(self.facts, self.right)
        return dict(zip(CRITERIA, (portraits, decided, self.drift.p > self.level), strict=True))

    @property
    def explains(self):
        """True where every criterion that could be compared holds."""
        return False not in self.verdicts.values() and True in self.verdicts.values()

    @property
    def reservation(self):
        """Empty, or that some portrait could not be compared, so that the other criteria alone decide."""
        unsettled = [pair.condition.label for pair in self.pairs if pair.same is None]
        return f", as far as it could be compared (portraits not settled: {', '.join(unsettled)})" if unsettled else ""

    @property
    def rejected_by(self):
        """The criteria that fail."""
        return tuple(name for name, holds in self.verdicts.items() if holds is False)

    @property
    def accuracy(self):
        """Share of the trials that the infinite network decides right, or nan."""
        return np.nan if self.right is None else float(self.right.mean())

    @property
    def odds(self):
        """For each condition, the probability that a draw of N neurons has the network's portrait."""
        return np.array([pair.odds for pair in self.pairs])

    def statements(self):
        """The comparison as lines of a report."""
        out, n = [], self.net.n_neurons
        for pair in self.pairs:
            expected = f"the same; probability of the network's in draws of {n} neurons: {pair.odds:.2g}"
            text = f"portrait of the mixture and of the network, {pair.condition.label}"
            out.append(Statement(text, pair.words, expected, pair.same, "proved fixed points of both"))
        if self.right is not None:
            missed = np.flatnonzero(self.facts.right & ~self.right)
            value = f"{self.right.sum()} of {len(self.right)} right"
            if len(missed):
                value += f"; wrong: {', '.join(self.facts.trials.labels[b] for b in missed[:4])}"
            expected = f"all {self.facts.right.sum()} that the network decides right"
            source = "reduced equations, same Euler rule"
            holds = self.verdicts["decisions"]
            out.append(Statement("decisions of the infinite network", value, expected, holds, source))
        expected = f"p above {self.level:g} in draws of {n} neurons"
        holds = self.verdicts["drift"]
        out.append(Statement("drift of the network", str(self.drift), expected, holds, "covariance of one neuron"))
        if self.closer is not None:
            text = "the same, with what the fit has used up taken out: are the neurons a sample of the mixture?"
            out.append(Statement(text, str(self.closer), "p not small", None, "scores of the likelihood"))
        out += [Statement("not compared", why, "", None, "the network") for why in self.not_compared]
        words = f"yes{self.reservation}" if self.explains else f"no, rejected by: {', '.join(self.rejected_by)}"
        text = f"does {counted(self.n_populations, 'population')} explain the network?"
        return (*out, Statement(text, words, "yes", self.explains, "all of the above"))

    def figures(self):
        """The portraits side by side, and the readouts along the trials."""
        shown = [portraits_figure(self.pairs)]
        if self.z is not None:
            shown.append(readout_figure(self.facts.trials, self.facts.z, self.z, chosen(self.facts.trials)))
        return tuple(shown)

    def __str__(self):
        lines = []
        for x in self.statements():
            mark = {True: "holds", False: "FAILS", None: "-"}[x.holds]
            lines.append(f"{mark:5s}  {x.text}: {x.value}" + (f" [{x.expected}]" if x.holds is not None else ""))
        return "\n".join(lines)

    def __repr__(self):
        what = "explains" if self.explains else f"rejected by {', '.join(self.rejected_by)}"
        return f"Explanation({counted(self.n_populations, 'population')}, {what})"


def facts_of(net, trials=None, conditions=None):
    """What a network does under the conditions and on the trials.

    Parameters
    ----------
    net : Network
        Without a random part.
    trials : Trials, optional
    conditions : sequence of Condition, optional
        Default: no input, and every constant input that occurs in the trials (:func:`conditions_of`).

    Raises
    ------
    ValueError
        Trials of another number of inputs, or a step other than the network's.
    """
    conditions = tuple(conditions) if conditions is not None else conditions_of(net, trials)
    portraits = tuple(portrait_of(net.connectivity, net.transfer, condition) for condition in conditions)
    if trials is None:
        kappa = np.concatenate([states(p.fixed_points) for p in portraits])
        return Facts(net, None, portraits, kappa, np.repeat([p.field.v for p in portraits], 2, axis=0))
    run = run_trials(net, trials)
    if isinstance(trials, RecordedTrials) and trials.drift_kappa is not None:
        kappa, v = states_of(trials)
    else:
        kappa, v = _along(run.kappa, run.v)
    z = run.z[..., 0]
    return Facts(net, trials, portraits, kappa, v, (run.kappa[0, 0], run.v[0, 0]), z, right(z, trials))


def _along(kappa, v):
    """STATES places, evenly over all trials and times."""
    kappa, v = (x.reshape(-1, x.shape[-1]) for x in (kappa[:, 1:], v[:, 1:]))
    at = np.unique(np.linspace(0, len(kappa) - 1, STATES).round().astype(int))
    return kappa[at], v[at]


def explain(net, mixture, trials=None, conditions=None, level=LEVEL, seed=0):
    """Whether the mean-field theory of a mixture explains a network.

    Parameters
    ----------
    net : Network, or Facts
        Facts of one network serve for many mixtures.
    mixture : PopulationFit or Connectivity
        A fit also says what of the sampling error it has used up (``closer``).
    trials : Trials, optional
        Without them, there are no decisions.
    conditions : sequence of Condition, optional
        Constant inputs under which the portraits are compared; default :func:`conditions_of`.
    level : float
        Of the test of the drift.
    seed : int
        For the neurons that the covariance of the drift is estimated from.

    Returns
    -------
    Explanation

    Raises
    ------
    ValueError
        A mixture of other loadings; a network with a random part.
    """
    if not isinstance(mixture, Connectivity) and not hasattr(mixture, "responsibilities"):
        raise ValueError(
            f"mixture must be a Connectivity or a PopulationFit: got {type(mixture).__name__}; "
            "fit_populations(net, n_populations) makes one"
        )
    facts = net if isinstance(net, Facts) else facts_of(net, trials, conditions)
    fit = None if isinstance(mixture, Connectivity) else mixture
    c = mixture if fit is None else fit.connectivity
    examined = replace(facts.net, mixture=c, population=None)
    pairs = tuple(
        PortraitPair(portrait_of(c, facts.net.transfer, own.condition), own, facts.net.n_neurons)
        for own in facts.portraits
    )
    z, correct, missing = _on_trials(examined, facts)
    drift = drift_error(examined, facts.kappa, facts.v, None, seed)
    return Explanation(facts, examined, fit, pairs, z, correct, drift, level, seed, missing)


def _on_trials(net, facts):
    """Readout and right decisions of the infinite network, or None and why."""
    trials = facts.trials
    if trials is None:
        return None, None, ("decisions: there are no trials",)
    if net.readout_transfer != net.transfer:
        words = f"decisions: the readout is of {net.readout_transfer}(x), that of the theory of {net.transfer}(x)"
        return None, None, (words,)
    z = limit_on_trials(net.mixture, net.transfer, trials, euler_step(net, trials), *facts.start).z
    return z, right(z, trials), ()


def as_good(facts, correct):
    """Whether all trials that the network decides right are among the ``correct`` (B,)."""
    return bool((correct | ~facts.right).all())


def decides(facts, c):
    """Whether the infinite network of a mixture decides right what the network does; True where it cannot be said."""
    correct = _on_trials(replace(facts.net, mixture=c, population=None), facts)[1]
    return correct is None or as_good(facts, correct)


def margins(explanation):
    """Mean readout in the window times the sign of the target, (B,): above 0 where the decision is right."""
    trials = explanation.facts.trials
    return mean_readout(explanation.z, trials.window) * np.sign(trials.target)
