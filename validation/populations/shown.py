"""A network explained on a page: the choice of populations, how sure it is, who contributes what, and silencing."""

from dataclasses import replace

import numpy as np

from meanfield.conventions import counted
from meanfield.dynamics import reduce
from meanfield.mechanism import compare, ledger
from meanfield.transfer import get_transfer

from ..analysis import Statement
from ..decisions import euler_step, right, run_trials
from ..mechanism.figures import overlaps_figure
from ..mechanism.silenced import silence_network
from ..mechanism.silencing import check_silencing
from ..tasks.scores import GRADED
from .choice import choose_populations
from .explanation import explain
from .resampling import resample
from .uncertainty import uncertainty

#: Replicates of the fit, networks of each size and networks that are silenced, in full and in brief.
REPLICATES, DRAWS, SILENCED = (100, 20), (20, 8), (20, 8)
#: Fewest neurons of networks that are drawn and silenced: theory is to first order in 1/N.
FEWEST = 50
#: Trials that silenced networks decide, at most.
MOST_ASKED = 64
#: Fractions of a population that are silenced.
FRACTIONS = (0.0, 0.5, 1.0)
#: Sentences about one change, and populations that are silenced, at most.
SENTENCES, MOST_SILENCED = 3, 4


def explained(net, trials=None, candidates=range(1, 5), quick=False, seed=0, say=None, **choosing):
    """All that is asked of the populations of a network.

    Parameters
    ----------
    net : Network
        Of low rank, without a random part.
    trials : Trials, optional
    candidates : sequence of int
        Numbers of populations to try.
    quick : bool
        Fewer replicates and networks.
    seed : int
    say : callable, optional
        Takes messages.
    **choosing
        Of :func:`choose_populations`: ``means``, ``gauge``, ``restarts``, ``seeds``.

    Returns
    -------
    choice : Choice
    figures : tuple of Figure
    statements : tuple of Statement
    """
    say = say or (lambda message: None)
    say("populations: fits, portraits and decisions")
    choice = choose_populations(net, trials, candidates, seed=seed, progress=False, **choosing)
    figures, statements = [*choice.figures()], [*choice.statements()]
    best = choice.chosen
    if best is None:
        return choice, tuple(figures), tuple(statements)
    say("bootstrap of the fit")
    sure = uncertainty(best, REPLICATES[quick], seed, progress=False)
    figures.append(sure.figure())
    statements += uncertainty_statements(sure)
    say("networks drawn from the fit")
    sizes = sorted({256, net.n_neurons} if quick else {256, 1024, 4096, net.n_neurons})
    _, figure, lines = resample(best, sizes, DRAWS[quick], seed, progress=False)
    figures.append(figure)
    statements += lines
    shown, lines = mechanism(best)
    figures, statements = [*figures, *shown], [*statements, *lines]
    asked = {} if trials is None or len(trials) > MOST_ASKED else {"trials": trials, "step": euler_step(net, trials)}
    for p in range(min(best.n_populations, MOST_SILENCED)):
        say(f"population {p} silenced")
        check = check_silencing(
            best.connectivity,
            p,
            FRACTIONS,
            max(net.n_neurons, FEWEST),
            SILENCED[quick],
            seed,
            transfer=net.transfer,
            progress=False,
            **asked,
        )
        statements += psychometric_statements(check, asked)
        figures.append(replace(check.figure(), name=f"silencing-{p}"))
        # a wrong theory that so few networks cannot reject is no failure of the right one
        statements += [replace(x, holds=x.holds or None) if x.source == "planted error" else x
                       for x in check.statements()]  # fmt: skip
    say("the network silenced")
    statements += silenced_statements(best, seed)
    return choice, tuple(figures), tuple(statements)


def psychometric_statements(check, asked):
    """Share of +1 decisions at each level of a graded condition, in theory and in networks, as lines of a report."""
    conditions = asked["trials"].conditions if asked else {}
    lines = []
    for name in (key for key in GRADED if key in conditions):
        levels, theory, networks, error = check.psychometric(conditions[name])
        for k, level in enumerate(check.levels):
            rows = zip(levels, theory[k], networks[k], error[k], strict=True)
            value = ", ".join(f"{x:g}: {b:.2f} ± {e:.2f} ({a:.2f})" for x, a, b, e in rows)
            silenced = f"{level.fraction:.0%} of population {check.population[0]} silenced"
            text = f"+1 decisions by {name}, networks (theory), {silenced}"
            lines.append(Statement(text, value, "", None, f"{check.draws} networks, noise-free trials"))
    return lines


def silenced_statements(best, seed=0):
    """The network itself without each of its populations (half of the only one), against the silenced mixture.

    A neuron's population is drawn with the probabilities of the fit, so that the neurons left are a draw of the
    silenced mixture, where the most probable labels would cut overlapping populations apart.
    """
    cumulated = best.fit.responsibilities[:, :-1].cumsum(axis=1)
    labels = (np.random.default_rng(seed).random(len(cumulated))[:, None] > cumulated).sum(axis=1)
    net, lines = replace(best.net, population=labels), []
    fraction = 0.5 if best.n_populations == 1 else 1.0
    number = min(best.n_populations, MOST_SILENCED)
    conditions = tuple(p.condition for p in best.facts.portraits)
    for p in np.flatnonzero(np.bincount(labels, minlength=best.n_populations))[:number]:
        silenced = silence_network(net, population=int(p), fraction=fraction, seed=seed)
        e = explain(silenced, silenced.mixture, best.facts.trials, conditions, best.level / number, seed)
        value = (
            f"{e.drift}; the same portrait under {sum(pair.same is True for pair in e.pairs)} of {len(e.pairs)} inputs"
        )
        if e.right is not None:
            value += f"; right decisions: {e.facts.right.sum()} of {len(e.right)}, by the theory {e.right.sum()}"
        expected = f"drift of the silenced mixture, p above {e.level:.2g}"
        text = f"the network itself, {fraction:.0%} of population {p} silenced"
        lines.append(Statement(text, value, expected, e.verdicts["drift"], "its own neurons, none redrawn"))
    return lines


def left_out(net, trials=None):
    """What the random part of a network does, which the theory of its low-rank part knows nothing of: statements.

    Parameters
    ----------
    net : Network
        With a random part.
    trials : Trials, optional

    Returns
    -------
    tuple of Statement
        Whether the random part alone is quiet and, with trials, whether decisions are the same without it.
    """
    gain = np.abs(np.linalg.eigvals(net.random)).max() * get_transfer(net.transfer).bounds[1]
    text = "left out of the theory: a random part of the connectivity, with spectral radius times largest slope"
    lines = [Statement(text, f"{gain:.3g}", "below 1: no activity of its own", bool(gain < 1), "its eigenvalues")]
    if trials is not None:
        whole, alone = (right(run_trials(x, trials).z[..., 0], trials) for x in (net, replace(net, random=None)))
        text = "decisions of the whole network and of its low-rank part"
        value = f"the same on {(whole == alone).sum()} of {len(whole)} trials"
        lines.append(Statement(text, value, "on all", bool((whole == alone).all()), "both, without noise"))
    return tuple(lines)


def uncertainty_statements(sure):
    """Which portrait with what probability, and what is decided, as lines of a report."""
    lines, source = [], f"{len(sure.bootstrap.connectivities)} replicates of the fit, neurons drawn anew"
    for odds in sure.conditions:
        share, error = odds.probability
        others = "; ".join(f"{words}: {n}" for words, n in odds.portraits[:3])
        text = f"probability of the fit's portrait, {odds.condition.label}"
        lines.append(Statement(text, f"{share:.2f} ± {error:.2f} ({others})", "", None, source))
    if sure.right is not None:
        share, error = sure.accuracy
        lines.append(Statement("right decisions at N = infinity", f"{share:.3f} ± {error:.3f}", "", None, source))
    return lines


def mechanism(explanation):
    """Contributions of the populations without input and under each condition, at kappa = 0: figures, statements."""
    c, transfer, source = explanation.connectivity, explanation.net.transfer, "contributions of the populations"
    ledgers, lines = [], []
    for pair in explanation.pairs:
        f = reduce(c, transfer, pair.condition.inputs)
        ledgers.append(ledger(f, np.zeros(c.rank), label=pair.condition.label))
    rest = next((k for k, pair in enumerate(explanation.pairs) if not any(pair.condition.inputs.values())), None)
    for k, one in enumerate(ledgers):
        if rest is None or k == rest:
            continue
        told = compare(ledgers[rest], one).sentences(SENTENCES)
        text = f"what changes from {ledgers[rest].label} to {one.label}"
        value = (
            "; ".join(told)
            or f"nothing that is large against what cancels, in {counted(c.n_populations, 'population')}"
        )
        lines.append(Statement(text, value, "", None, source))
    return (overlaps_figure(ledgers),), tuple(lines)
