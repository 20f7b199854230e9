"""Thesis, chapter 5: delayed match-to-sample, by trained networks of rank two and by a mixture at N = infinity."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ..analysis import Statement
from ..decisions import run_trials
from ..fitted.store import STORED, fitted, task_of
from ..populations.choice import choose_populations
from ..populations.portraits import in_words_of
from ..sections import EXAMPLES, network_section, worked_out
from ..tasks.scores import accuracy
from . import dms_figures, dms_mixture
from .dms_overlaps import effective, split
from .dms_solutions import ANOTHER, FIRST, SECOND, conditions_of, solution
from .record import FittedCase

#: The network of the first solution, and the other trainings with the same options.
NETWORK, SEEDS = "dms-0", tuple(f"dms-{k}" for k in (0, 1, 2, 4, 5, 6))
#: One of these with four stable points and four saddles at rest; and those that a brief report shows.
FOUR, BRIEF = "dms-6", ("dms-0", "dms-4", "dms-6")
#: Slopes of two groups differ where they are so many standard errors apart.
APART = 3.0
#: A learned share of right decisions and one measured anew may differ by so many of their standard errors.
AGREE = 3.0
THESIS = {
    "no input": "[3.2 - 1, -0.4; 1.4, 1.8 - 1]",
    "input A": "[2.1 - 1, 0; 0.8, 1.1 - 1]",
    "input B": "[2.1 - 1, -0.6; 0.9, 1.1 - 1]",
}


@dataclass(frozen=True)
class Effort:
    """How much is done: fresh trials; numbers of populations that are tried, and searches for each."""

    trials: int = 2000
    candidates: tuple = (1, 2, 3, 4)
    seeds: int = 2


QUICK = {FIRST: Effort(300, (1, 2), 1), ANOTHER: Effort(300, (2, 3), 2)}


def measured(trained, count, seed):
    """A trained network on fresh trials, in a simulation of its N units with its private noise."""
    net, trials = trained.network, task_of(trained).trials(count, [seed, 7])
    return accuracy(trials, run_trials(net, trials, net.noise_std, [seed, 8]).z[:, 1:, 0])


def accuracy_statement(trained, found):
    """Whether that share is the one that the training measured."""
    error = np.hypot(found.error, trained.test_error)
    stated = f"{trained.test_accuracy:.4f} ± {trained.test_error:.4f}, as the training measured"
    holds = bool(abs(found.share - trained.test_accuracy) <= AGREE * error)
    return Statement(
        "right decisions on fresh trials", str(found), stated, holds, "N units simulated, with their noise"
    )


def solution_statements(s, which):
    """Which solution it is, where its trials go, and the portraits."""
    source = "proved portraits; attractors without input"
    yield Statement("which solution", f"{s.which}: {s.why}", which, s.which == which, source)
    yield Statement(
        "stable points of each trial type, after the first stimulus -> the second", s.sequences, "", None, source
    )
    yield Statement(
        "noise-free trials decided right", f"{s.right.sum()} of {len(s.right)}", "all", bool(s.right.all()), "N units"
    )


def overlap_statements(net, thesis):
    """Effective Jacobians, whether the flow turns, and who is saturated; with the figures of both."""
    found = [effective(net, dict(x.inputs), x.label) for x in conditions_of(net.input_names)]
    lines = []
    for one in found:
        text = f"effective Jacobian F', {one.label}"
        lines.append(
            Statement(text, str(one), thesis.get(one.label, ""), None, "thesis eqs. (4.14), (4.15); its network")
        )
        exact = np.array2string(one.exact, precision=2, separator=", ").replace("\n", "")
        turns = "turns" if one.turns else "does not turn"
        text = f"exact Jacobian at kappa = 0, {one.label}"
        lines.append(Statement(text, f"{exact}: the flow {turns}", "", None, "derivative of the drift"))
    gap = max(one.gap for one in found)
    text = "effective Jacobians are the exact ones at the kappa that cancels the input along m"
    lines.append(Statement(text, f"largest difference {gap:.1e}", "rounding", gap < 1e-12, "derivative of the drift"))
    splits = [split(net, name) for name in net.input_names]
    for one in splits:
        (free, bound), (free_error, bound_error) = one.split[:, 0], one.split_error[:, 0]
        text = f"regression of n{one.pair[0] + 1} on m{one.pair[1] + 1} by saturation, {one.label}"
        value = f"not saturated {free:.2f} ± {free_error:.2f}, saturated {bound:.2f} ± {bound_error:.2f} "
        value += f"({abs(one.z):.1f} standard errors apart)"
        value += f"; {one.saturated.mean():.0%} of the neurons are saturated"
        lines.append(Statement(text, value, "", None, f"the overlap {one.name} changes most beyond <phi'>"))
        value = f"{one.product_line[0]:.2f} ± {one.product_error[0]:.2f}"
        text = f"slope of n{one.pair[0] + 1} m{one.pair[1] + 1} against phi'(I), {one.label}"
        lines.append(Statement(text, value, "", None, "thesis, Fig. 5.6: who carries the overlap saturates"))
    return lines, (dms_figures.jacobians(found), dms_figures.saturations(splits)), found, splits


def shape_statement(net):
    """How far the loadings are from Gaussian: bimodal ones have a negative excess of the fourth moment."""

    def excess(x):
        x = (x - x.mean()) / x.std()
        return (x**4).mean() - 3.0

    error = np.sqrt(24 / net.n_neurons)
    names = [(f"{kind}{r + 1}", getattr(net, kind)[:, r]) for r in range(net.rank) for kind in "mn"]
    value = ", ".join(f"{name} {excess(x):+.2f} ± {error:.2f}" for name, x in names)
    return Statement(
        "excess kurtosis of the loadings",
        value,
        "0 for a Gaussian, -2 for two points",
        None,
        "error of a Gaussian sample",
    )


def population_statements(choice):
    """A choice of populations, and how each portrait that a candidate has wrong differs from the network's.

    Without verdicts on those that are rejected: that one Gaussian fails is a result.
    """
    yield from (replace(x, holds=None) if x.holds is False else x for x in choice.statements())
    for candidate in choice.candidates:
        e = candidate.explanation
        for pair in e.pairs if e else ():
            if pair.same is False:
                text = f"portrait with {candidate.n_populations} populations, {pair.condition.label}"
                odds = f"probability of the network's in draws of {e.net.n_neurons} neurons: {pair.odds:.2g}"
                yield Statement(text, pair.words, odds, None, "explain")


def first_statements(s, found, splits):
    """What the first solution rests on: which input makes the flow turn, and by saturating whom (thesis, 5.2)."""
    moves = [len(p.fixed_points.stable) < 2 for p in s.portraits[1:]]
    turns = {x.label: x.turns for x in found[1:]}
    value = ", ".join(f"{label}: {'it turns' if x else 'it does not'}" for label, x in turns.items())
    text = "the flow about the origin turns under the input that carries the state over, and not under the other"
    holds = list(turns.values()) == moves
    yield Statement(text, value, "", holds, "exact Jacobian at kappa = 0")
    one = splits[moves.index(True)]
    text = f"{one.label} saturates neurons with another overlap {one.name} than those that it leaves"
    expected = f"more than {APART:g}; thesis: opposite signs, of n1.m2"
    yield Statement(text, f"{abs(one.z):.1f} standard errors apart", expected, abs(one.z) > APART, "thesis, Fig. 5.5")


def four_statements(s, found, splits):
    """What the network has of the second solution of the thesis: points at rest, and inputs with opposite effects."""
    points = in_words_of(s.portraits[0])
    expected = "4 saddle, 1 source, 4 stable"
    yield Statement("fixed points at rest", points, expected, points.startswith(expected), "thesis, Figs. 5.7, 5.8")
    rest, *driven = ((x.overlap[0, 1], x.error[0, 1]) for x in found)
    value = ", ".join(f"{x.label} {x.overlap[0, 1]:+.2f} ± {x.error[0, 1]:.2f}" for x in found)
    holds = bool((driven[0][0] - rest[0]) * (driven[1][0] - rest[0]) < 0)
    text = "effective overlap n1.m2: the inputs move it in opposite directions"
    yield Statement(text, value, "above and below that without input", holds, "thesis, section 5.3: -0.5; 0, -0.4")


def long_statement(trained, s):
    """What a stimulus of twice the length does to a solution that is timed (thesis, section 5.4)."""
    task = task_of(trained)
    longer = solution(trained.network, task=replace(task, stimulus=2 * task.stimulus), portraits=s.portraits)
    value = f"{longer.right.sum()} of {len(longer.right)} noise-free trials right"
    text = "stimuli of twice the length"
    return Statement(text, value, "fewer than all, where the solution is timed", None, "thesis, section 5.4")


def seed_statements(solutions):
    """One line for each training, and how many found which solution."""
    for name, s in solutions.items():
        trained = fitted(name)
        value = f"{s.which}: {s.why}. {s.topology}"
        expected = f"{trained.test_accuracy:.3f} right; {trained.message}"
        yield Statement(f"the training {name}", value, expected, bool(s.right.all()), STORED[name].text)
    found = [s.which for s in solutions.values()]
    value = ", ".join(f"{found.count(kind)} {kind}" for kind in (FIRST, SECOND, ANOTHER))
    yield Statement(
        "solutions of all trainings", value, "first more often than second", None, "thesis, sections 5.2, 5.3"
    )


def _check(portraits, say, quick, seed, name, which, others):
    effort, trained = QUICK[which] if quick else Effort(), fitted(name)
    net, task = trained.network, task_of(trained)
    say("trials")
    s = solution(net, task=task, portraits=tuple(portraits))
    rng = np.random.default_rng([seed, 9])
    run = run_trials(net, s.trials, net.noise_std, [seed, 10], record_x=True)
    neurons = np.sort(rng.choice(net.n_neurons, 2, replace=False))
    lines, shown, *parts = overlap_statements(net, THESIS if which == FIRST else {})
    statements = [accuracy_statement(trained, measured(trained, effort.trials, seed)), *solution_statements(s, which)]
    statements += [*lines, *((first_statements if which == FIRST else four_statements)(s, *parts))]
    statements += [shape_statement(net), long_statement(trained, s)]
    figures = [
        dms_figures.readouts(s.trials, run, neurons),
        dms_figures.trajectories(s),
        *shown,
        dms_figures.loadings(net),
    ]
    if others:
        say("all trainings")
        shown = BRIEF if quick else others
        solutions = {key: s if key == name else solution(fitted(key).network) for key in shown}
        figures.append(dms_figures.gallery(list(solutions.values()), list(solutions)))
        statements += seed_statements(solutions)
    say("populations")
    choice = choose_populations(
        net, s.trials, effort.candidates, seeds=effort.seeds, restarts=10, seed=seed, progress=False
    )
    return (*figures, *choice.figures()), (*statements, *population_statements(choice))


FIRST_TEXT = (
    "A network of rank two and 500 neurons, trained from random loadings with an overlap of n with m of 1.5, with "
    "delays that grow to 3 s (step 20 ms, tau = 100 ms; timing of Dubreuil, Valente et al. 2022). It found the first "
    "solution of the thesis: at rest it is bistable and remembers; one stimulus leaves the state where it is, the "
    "other turns the bistability into a limit cycle and carries the state over. Beside it stand the other trainings "
    "with the same options; a seventh, seed 3, decides all right too, but missed its goal in 1000 steps. Where the "
    "memory is a slow cycle, it moves slowest where the first has its two points, and these lie close to saddles: a "
    "fold is near. "
    "That is why mixtures that decide every trial right can still have another portrait. The signs of the two overlaps "
    "off the diagonal depend on the sign of m2 and are ours; which of the inputs carries over is the network's."
)
FOUR_TEXT = (
    "Another of the same trainings. At rest it has four stable points and four saddles, as the second solution of the "
    "thesis. Two of the points are the memories. But while in the thesis match and non-match are the two other points, "
    "here a match ends at the memory of its stimulus and both kinds of non-match at a third point; so it is listed as "
    "another solution. No training that was tried found the second one to the letter."
)


def _section(quick, seed, say, case, name, which, text, others=()):
    trained = fitted(name)
    title = next(x for x in CASES if x.name == case)
    base = network_section(case, STORED[name].path, trained.network)
    base = replace(base, part=EXAMPLES, title=title.title, source=title.source, text=text)
    base = replace(base, notes=(f"Made by: {STORED[name].command}", *base.notes))
    check = partial(_check, quick=quick, seed=seed, name=name, which=which, others=others)
    return worked_out(base, conditions_of(trained.network.input_names), quick, say, check)


CASES = (
    FittedCase(
        "dms-trained",
        "Delayed match-to-sample: trained networks of rank two",
        "Valente 2019, chapter 5, Figs. 5.2 to 5.6 and 5.9",
        partial(_section, case="dms-trained", name=NETWORK, which=FIRST, text=FIRST_TEXT, others=SEEDS),
    ),
    FittedCase(
        "dms-four-points",
        "Delayed match-to-sample: a network with four stable points",
        "Valente 2019, section 5.3, Figs. 5.7 to 5.9",
        partial(_section, case="dms-four-points", name=FOUR, which=ANOTHER, text=FOUR_TEXT),
    ),
    FittedCase(
        dms_mixture.NAME,
        dms_mixture.TITLE,
        dms_mixture.SOURCE,
        dms_mixture.section,
    ),
)
