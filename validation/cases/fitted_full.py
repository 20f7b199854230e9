"""LINT on trained networks of full rank: which rank their activity has, and which their learning."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from meanfield import dmft

from ..analysis import Condition
from ..decisions import run_trials
from ..fitted.store import STORED, fitted, task_of
from ..learned import learned_structure
from ..lint.curves import rank_curve, subsampling
from ..lint.fitting import lint
from ..networks import draw
from ..sections import EXAMPLES, network_section, worked_out
from ..simulation import simulate
from ..tasks.scores import accuracy
from ..training.learned import learned_by, start_of
from . import full_figures, full_statements
from .record import FittedCase

NAME = "lint-full-rank"
#: The network of the section is the fit to the first, of this rank.
TEACHERS, RANK = ("full-dms", "full-context"), 2
#: So many times the trials to fit to: those of the second are that much shorter.
TIMES = {"full-dms": 1, "full-context": 4}
#: Without jax too; gradients add little here, see the page on LINT.
METHOD = "projected"
#: Rest that a network is given to settle, in tau; ends closer than this in x, root mean square, are one state.
REST, SAME = 200.0, 0.2


@dataclass(frozen=True)
class Effort:
    """Trials to fit to and held out; ranks; shares of neurons, subsets of each; random J0 drawn anew; trials done by
    what was learned; neurons of networks drawn from its statistics.
    """

    trials: int = 100
    tested: int = 100
    ranks: tuple = (1, 2, 3, 4, 5)
    shares: tuple = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02)
    subsets: int = 3
    draws: int = 8
    learned: int = 200
    large: int = 1600


QUICK = Effort(50, 100, (1, 2, 3), (0.5, 0.1), 2, 4, 120, 800)


@dataclass(frozen=True, eq=False)
class Learned:
    """What training changed, of a network that began with the random J0.

    Attributes
    ----------
    structure : LearnedStructure
        Of the change cut to RANK.
    refusal : str
        What is said where no rank is given; empty where a rank is found.
    ranks : (K,) of int
    beside, alone, fresh : (K,) of Accuracy, (K,) of Accuracy, (D, K) of Accuracy
        Of the change cut to each rank: beside J0, without it, and beside another random J0 of the same strength.
    p_values : (D,)
        Of independence from those others.
    states : StationaryStates
        Of the theory of a structure independent of J0, without input.
    left : (D,)
        Root mean square of x that is left of the trials' ends after REST without input, largest over trials, beside
        another J0.
    left_large, large : (D,), int
        The same, from random starts, in networks drawn from the mixture of the structure with so many neurons.
    """

    structure: object
    refusal: str
    ranks: np.ndarray
    beside: tuple
    alone: tuple
    fresh: tuple
    p_values: np.ndarray
    states: object
    left: np.ndarray
    left_large: np.ndarray
    large: int


@dataclass(frozen=True, eq=False)
class Findings:
    """All that the page is made of: curves by teacher, whose first is that of the section; states (E, N) in which
    the teacher and the fit settle without input, one of each; both on the grid of trials.
    """

    net: object
    trained: object
    measured: object
    curves: dict
    shuffled: object
    subsets: object
    learned: Learned
    ends: np.ndarray
    fit_ends: np.ndarray
    grid: object
    course: tuple

    @property
    def fit(self):
        """The fit of the section."""
        curve = self.curves[TEACHERS[0]]
        return curve.fits[curve.ranks.index(RANK)]


def curve_of(name, effort, seed):
    """Fits to a teacher by rank; and its trials to fit to, and held out."""
    trained = fitted(name)
    task = task_of(trained)
    trials, test = task.trials(TIMES[name] * effort.trials, [seed, 1]), task.trials(effort.tested, [seed, 2])
    return rank_curve(trained.network, trials, test, effort.ranks, method=METHOD, seed=seed), trials, test


def readout(net, trials, noise_std=0.0, seed=None):
    """z (B, T) after each step."""
    return run_trials(net, trials, noise_std, seed).z[:, 1:, 0]


def settled(net, x, tau=REST):
    """Where a network settles without input from x (B, N)."""
    return simulate(net, None, tau * net.tau, net.tau / 5, start=x, record_x=False, progress=False).end


def largest(x):
    """Root mean square over the neurons, largest of states (B, N)."""
    return np.sqrt((x**2).mean(-1)).max()


def forgotten(net, seed, starts=4):
    """What is left of random starts of x, of variance 1, after a rest."""
    x = np.random.default_rng(seed).standard_normal((starts, net.n_neurons))
    return largest(settled(net, x, REST / 2))


def distinct(x):
    """One of each (E, N) of states (B, N) that are closer than SAME."""
    kept = []
    for one in x:
        if all(np.sqrt(((one - other) ** 2).mean()) > SAME for other in kept):
            kept.append(one)
    return np.array(kept)


def shuffled_fit(net, trials, test, seed):
    """The fit of the section's rank to activity with the inputs of other trials."""
    x = np.concatenate([run_trials(net, t, record_x=True).x for t in (trials, test)])
    u = np.concatenate([trials.u[np.random.default_rng([seed, 3]).permutation(len(trials))], test.u])
    options = {"dt": net.dt, "tau": net.tau, "variable": "current", "transfer": net.transfer, "w": net.w}
    return lint(x, u, RANK, held_out=range(len(trials), len(x)), method=METHOD, **options)


def learning(trained, test, ends, effort, seed):
    """The :class:`Learned` of a training; ``ends`` (B, N): x where trials end, which a memory would keep."""
    net, J0 = trained.network, start_of(trained)
    refusal = ""
    try:
        learned_by(trained)
    except ValueError as error:
        refusal = str(error)
    s, ranks = learned_by(trained, rank=RANK), np.array([1, 2, 3])
    cuts = [replace(net, m=one.m, n=one.n, random=J0) for one in (learned_by(trained, rank=k) for k in ranks)]
    chi = [
        s.g * np.random.default_rng([seed, 4, d]).standard_normal(J0.shape) / np.sqrt(len(J0))
        for d in range(effort.draws)
    ]
    anew = [[replace(cut, random=other) for cut in cuts] for other in chi]
    change = s.m @ s.n.T / len(J0)
    p = [learned_structure(other + change, other, net.I, net.w, rank=RANK).p_value for other in chi]
    left = [largest(settled(nets[RANK - 1], ends)) for nets in anew]
    large = [forgotten(draw(s.connectivity, effort.large, [seed, 7, d]), [seed, 8, d]) for d in range(effort.draws)]
    done = partial(accuracy, test)
    return Learned(
        s, refusal, ranks, tuple(done(readout(cut, test)) for cut in cuts),
        tuple(done(readout(replace(cut, random=None), test)) for cut in cuts),
        tuple(tuple(done(readout(cut, test)) for cut in nets) for nets in anew), np.array(p),
        dmft.stationary(s.connectivity), np.array(left), np.array(large), effort.large,
    )  # fmt: skip


def find(effort, seed, say):
    """Work everything out, but for the portraits of the fit."""
    trained = fitted(TEACHERS[0])
    net, task = trained.network, task_of(trained)
    say(f"fits to {TEACHERS[0]}")
    curve, trials, test = curve_of(TEACHERS[0], effort, seed)
    curves = {TEACHERS[0]: curve} | {name: curve_of(name, effort, seed)[0] for name in TEACHERS[1:]}
    shuffled = shuffled_fit(net, trials, test, seed)
    say("subsets of the neurons")
    shown = {"shares": effort.shares, "subsets": effort.subsets, "method": METHOD, "seed": seed}
    subsets = subsampling(net, trials, test, RANK, **shown)
    say("what was learned")
    fresh = task.trials(effort.learned, [seed, 5])
    x = run_trials(net, fresh, record_x=True).x
    learned = learning(trained, fresh, x[:8, -1], effort, seed)
    measured = accuracy(fresh, readout(net, fresh, trained.options["noise_std"], [seed, 6]))
    grid = task.grid()
    both = net, curve.fits[curve.ranks.index(RANK)].network
    course = tuple(run_trials(one, grid, record_x=True) for one in both)
    ends = [distinct(settled(one, x[:40, -1])) for one in both]
    return Findings(net, trained, measured, curves, shuffled, subsets, learned, *ends, grid, course)


TEXT = (
    "A network of 100 neurons, every connection of which was trained from random ones of strength g = 0.8, does "
    "delayed match-to-sample; a second one a context-dependent decision. Networks of rank 1 to 5 are fitted to their "
    "noise-free activity by two stages, both without gradients: the regression on the activity, cut to the rank, and "
    "where that runs free badly, because the activity is of higher rank, the same on projected activity. Beside them "
    "stands the teacher's J cut to its first singular vectors, which keeps what is large and not what acts. The fit "
    "of rank 2 is the network shown, with all its fixed points. The second question is what was learned, J - J0: how "
    "much of it is needed, and whether it is independent of J0. If it were, the mean-field theory of g chi + (1/N) m "
    "n^T would apply; its answer is given beside what the network does, and it is tested where it must apply, on the "
    "same change beside other random connectivities. All parameters of the training are ours."
)


def _check(portraits, say, found):
    return full_figures.figures(found), tuple(full_statements.statements(found, portraits))


def section(quick, seed, say):
    """The section of the report, worked out: the network of rank 2 that was fitted."""
    found = find(QUICK if quick else Effort(), seed, lambda message: say(f"{NAME}: {message}"))
    base = network_section(NAME, STORED[TEACHERS[0]].path, found.fit.network)
    base = replace(base, part=EXAMPLES, title=CASES[0].title, source=CASES[0].source, text=TEXT)
    made = [f"The teacher {name} was made by: {STORED[name].command}" for name in TEACHERS]
    base = replace(base, notes=(*made, *str(found.fit).splitlines()))
    conditions = [Condition()] + [Condition(f"input {name}", {name: 1.0}) for name in found.net.input_names]
    return worked_out(base, conditions, quick, say, partial(_check, found=found))


CASES = (
    FittedCase(
        NAME,
        "LINT: networks of full rank, and what they have learned",
        "Valente, Pillow, Ostojic 2022; Schuessler et al. 2020",
        section,
    ),
)
