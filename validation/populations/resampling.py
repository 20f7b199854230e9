"""The resampling test: networks drawn anew from a fit, on the task and under each input, by number of neurons."""

from meanfield.progress import progress_bar

from ..decisions import MOST_TRIALS, chosen, euler_step, limit_on_trials, right
from ..redrawn import grow, growth_figure
from ..trained import growth_statements
from .explanation import Explanation

#: Sizes and numbers of networks by default.
SIZES, DRAWS = (256, 512, 1024, 4096), 20


def resample(explanation: Explanation, sizes=SIZES, draws=DRAWS, seed=0, portraits=True, trials=None, progress=None):
    """Draw new networks from a mixture, let them do the trials, and find all their fixed points.

    A network that is explained by a mixture can be replaced by another draw of it (Beiran, Dubreuil, Valente,
    Mastrogiuseppe and Ostojic 2021; Dubreuil, Valente, Beiran, Mastrogiuseppe and Ostojic 2022).

    Parameters
    ----------
    explanation : Explanation
    sizes : sequence of int
        Numbers of neurons.
    draws : int
        Networks of each size.
    seed : int
    portraits : bool
        Also compare their portraits with the mixture's, and with the odds of the theory.
    trials : Trials, optional
        Default: up to ``MOST_TRIALS`` of those of the explanation, evenly.
    progress : bool, optional

    Returns
    -------
    Growth
        ``correct`` (L, draws, B), ``accuracy()`` with its errors, ``topology``.
    figure : Figure
    statements : tuple of Statement

    Raises
    ------
    ValueError
        Neither trials nor portraits to compare.
    """
    trials = explanation.facts.trials if trials is None else trials
    pairs = [pair for pair in explanation.pairs if portraits and pair.portrait.fixed_points.complete]
    if trials is None and not pairs:
        raise ValueError("nothing to compare: give trials, or portraits=True with proved portraits")
    if trials is not None and len(trials) > MOST_TRIALS and trials is explanation.facts.trials:
        trials = trials.at(chosen(trials))
    with progress_bar(len(sizes) * draws, "network", progress) as bar:
        tell = lambda message: bar.update()  # noqa: E731
        growth = grow(explanation.net, pairs, trials, tuple(sizes), draws, seed, "nothing", tell)
    limit = None if trials is None else _accuracy(explanation, trials)
    return growth, growth_figure(growth, pairs, limit), tuple(growth_statements(growth, pairs, limit))


def _accuracy(explanation, trials):
    """Share of the trials that the infinite network decides right."""
    net = explanation.net
    limit = limit_on_trials(net.mixture, net.transfer, trials, euler_step(net, trials), *explanation.facts.start or ())
    return float(right(limit.z, trials).mean())
