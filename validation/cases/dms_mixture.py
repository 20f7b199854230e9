"""Two populations trained on delayed match-to-sample at N = infinity, and how their draws approach that limit."""

from dataclasses import replace
from functools import partial

import numpy as np

from meanfield.dynamics import reduce
from meanfield.mechanism import compare, ledger

from ..analysis import Statement
from ..decisions import limit_on_trials
from ..fitted.store import STORED, fitted, task_of
from ..mechanism.figures import course_figure, overlaps_figure
from ..networks import draw
from ..redrawn import grow, growth_figure
from ..sections import EXAMPLES, Section, worked_out
from ..tasks.scores import binomial
from ..trained import expected_of, growth_statements
from . import dms_figures
from .dms_solutions import FIRST, conditions_of, solution

NAME = MIXTURE = "dms-mixture"
TITLE = "Delayed match-to-sample: a mixture trained at N = infinity, and its draws"
SOURCE = "Valente 2019, section 4.3.1 and chapter 5; Beiran, Dubreuil et al. 2021"
#: What was asked of the limit.
WANTED = 0.99
#: Fresh trials of the limit; numbers of neurons and networks of each; in full and in brief.
TRIALS, SIZES, DRAWS = (10000, 4000), ((256, 1024, 4096, 16384), (256, 1024)), (20, 8)
#: Of the mixture, for the figure: the trial on which contributions are followed.
FOLLOWED = "A-B 3000 ms"

TEXT = (
    "Two populations of means 0 whose covariances were trained through the reduced equations themselves: no neuron was "
    "ever drawn. At N = infinity the mixture matches to sample, with the first solution of the thesis. Networks drawn "
    "from it approach it slowly: the memory lies close to a fold, so that networks of a thousand neurons often have "
    "another portrait and decide wrong. That is a result, and the theory of the fluctuations gives its odds."
)


def limit_statement(trained, count, seed):
    """The infinite network on fresh trials, by exact averages, with the private noise of training."""
    trials = task_of(trained).trials(count, [seed, 11])
    z = limit_on_trials(trained.connectivity, "tanh", trials, noise_std=trained.options["noise_std"]).z[:, 1:]
    share, error = binomial(int(trials.right(z).sum()), count)
    text = "right decisions of the infinite network on fresh trials, inputs with noise"
    value = f"{share:.4f} ± {error:.4f} ({count} trials)"
    expected = f"{WANTED} or more; {trained.test_accuracy:.4f} ± {trained.test_error:.4f} in training"
    return Statement(text, value, expected, bool(share >= WANTED), "reduced equations with exact averages")


def ledgers_of(c):
    """The ledger at kappa = 0 without input and under each input."""
    origin = np.zeros(c.rank)
    return [ledger(reduce(c, "tanh", x.inputs), origin, label=x.label) for x in conditions_of(c.inputs)]


def mechanism_statements(ledgers):
    """What the inputs change, in words, in the overlaps of n with m."""
    rest, *driven = ledgers
    for one in driven:
        told = [x for x in compare(rest, one).sentences(12) if ".m" in x and "w.m" not in x]
        text, source = f"what changes from {rest.label} to {one.label}", "contributions of the populations at kappa = 0"
        yield Statement(text, "; ".join(told) or "nothing large", "", None, source)
        total = one.total[:2, :2]
        turns = np.iscomplex(np.linalg.eigvals(one.local.sum(0)[:2, :2])).any()
        words = ", ".join(f"n{i + 1}.m{j + 1} {total[i, j]:+.2f}" for i in range(2) for j in range(2))
        value = f"{words}: the flow about the origin {'turns' if turns else 'does not turn'}"
        yield Statement(f"effective overlaps, {one.label}", value, "", None, source)


def _check(portraits, say, quick, seed):
    trained = fitted(MIXTURE)
    c, task = trained.connectivity, task_of(trained)
    say("the infinite network on trials")
    statements = [limit_statement(trained, TRIALS[quick], seed)]
    s = solution(c, task=task, portraits=tuple(portraits))
    source = "proved portraits; attractors without input"
    statements.append(Statement("which solution", f"{s.which}: {s.why}", FIRST, s.which == FIRST, source))
    statements.append(Statement("stable points of each trial type", s.sequences, "", None, source))
    ledgers = ledgers_of(c)
    statements += mechanism_statements(ledgers)
    where = s.trials.labels.index(FOLLOWED)
    course = ledger(reduce(c, "tanh"), s.path.kappa[where], s.path.v[where], label=FOLLOWED)
    pairs = [(f"n{i + 1}", f"m{j + 1}") for i in range(2) for j in range(2)]
    t = task.dt / task.tau * np.arange(s.trials.steps + 1)
    say("spread of the fixed points")
    net, sizes = replace(draw(c, min(SIZES[quick]), seed), dt=task.dt, tau=task.tau), SIZES[quick]
    known = [x for x in (expected_of(net, p.condition, min(sizes), "nothing") for p in portraits) if x.spread]
    growth = grow(net, known, s.trials, sizes, DRAWS[quick], seed, "nothing", say)
    share = float(s.right.mean())
    statements += growth_statements(growth, known, share)
    figures = (
        dms_figures.trajectories(s),
        overlaps_figure(ledgers, pairs),
        course_figure(t, course, pairs),
        growth_figure(growth, known, share),
    )
    return figures, tuple(statements)


def section(quick, seed, say):
    """The section of the report, worked out."""
    trained, stored = fitted(MIXTURE), STORED[MIXTURE]
    notes = (f"Made by: {stored.command}",)
    base = Section(NAME, EXAMPLES, TITLE, SOURCE, TEXT, trained.connectivity, "tanh", notes=notes)
    conditions = conditions_of(trained.connectivity.inputs)
    return worked_out(base, conditions, quick, say, partial(_check, quick=quick, seed=seed))
