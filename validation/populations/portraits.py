"""The phase portrait of a network beside that of a mixture, under each input: the same topology, or what differs."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from meanfield import plotting
from meanfield.fluctuations import changes, is_odd, spread, unchanged_probability
from meanfield.orbits.cycle_search import limit_cycles

from ..analysis import Condition, Figure, Portrait, portrait
from ..redrawn import counts, difference, in_words

#: More different inputs than this in the trials are not looked at one by one.
MOST_CONDITIONS = 16
#: Inputs closer than this are one condition.
SAME_INPUT = 1e-9


@dataclass(frozen=True, eq=False)
class PortraitPair:
    """A network and a mixture under one input.

    Attributes
    ----------
    portrait, own : Portrait
        Of the mixture, and of the network itself, its N point masses.
    n_neurons : int
    """

    portrait: Portrait
    own: Portrait
    n_neurons: int

    @property
    def condition(self):
        """The input."""
        return self.portrait.condition

    @property
    def settled(self):
        """Whether both portraits are proved complete: otherwise there is nothing to compare."""
        return self.portrait.fixed_points.complete and self.own.fixed_points.complete

    @property
    def same(self):
        """True where number and kinds of all fixed points, and of stable cycles where there is no stable point, agree;
        None where one of them is not settled."""
        return topology(self.portrait) == topology(self.own) if self.settled else None

    @cached_property
    def changes(self):
        """Ways in which the portrait of a draw of this size can differ from the mixture's."""
        found = self.portrait.fixed_points
        return changes(spread(found), self.n_neurons) if found.complete else ()

    @cached_property
    def odds(self):
        """Probability that a network of N neurons drawn from the mixture has the network's portrait; an upper bound
        where that is another than the mixture's, :eq:`portrait-odds`; nan where one is not settled."""
        if not self.settled:
            return np.nan
        if self.same:
            return unchanged_probability(self.changes, self.n_neurons)
        gained = abs(len(self.own.fixed_points) - len(self.portrait.fixed_points))
        return odds_of(self.changes, self.n_neurons, gained, is_odd(self.portrait.field))

    @property
    def words(self):
        """What the two have, for people."""
        theirs, ours = in_words_of(self.portrait), in_words_of(self.own)
        if not self.settled:
            rest = next(p for p in (self.portrait, self.own) if not p.fixed_points.complete)
            return f"not compared, {rest.fixed_points.status.value}"
        if self.same:
            return ours
        what = difference(self.portrait.fixed_points, self.own.fixed_points, ())
        return f"the network has {ours}, the mixture {theirs}" + (f" ({what})" if what else "")


def topology(p):
    """What two portraits of one topology share: numbers of fixed points by kind, and of stable cycles where searched
    for."""
    cycles = None if p.cycle_search is None else len(p.cycle_search.stable)
    return counts(p.fixed_points), cycles


def in_words_of(p):
    """The topology of a portrait for people."""
    kinds, cycles = topology(p)
    return in_words(kinds) + (f", {cycles} stable cycle" + "s" * (cycles != 1) if cycles is not None else "")


def odds_of(listed, n_neurons, gained, mirrored):
    """Probability that enough changes happen for ``gained`` fixed points more or less, and other kinds: an upper bound.

    A fold takes or gives two points, in mirrored portraits four, a pitchfork at the origin two, a Hopf bifurcation
    none. Other kinds of as many points need a Hopf bifurcation or two other changes. All are taken as independent.
    """
    law = {(0, 0, 0): 1.0}  # points, changes up to two, Hopf bifurcations up to one
    for change in listed:
        p, hopf, new = change.probability(n_neurons), int(change.kind == "Hopf"), {}
        points = 0 if hopf else 2 if change.kind == "pitchfork" or not mirrored else 4
        for state, weight in law.items():
            moved = state[0] + points, min(state[1] + 1, 2), max(state[2], hopf)
            new[state] = new.get(state, 0.0) + weight * (1 - p)
            new[moved] = new.get(moved, 0.0) + weight * p
        law = new
    enough = (lambda s: s[0] >= gained) if gained else (lambda s: s[1] == 2 or s[2])
    return float(sum(weight for state, weight in law.items() if enough(state)))


def conditions_of(net, trials):
    """No input, and every constant input that occurs in the trials; each input alone at amplitude 1 without trials.

    For odd transfer functions, of u and -u only one: their portraits are mirror images. Trials with more than
    ``MOST_CONDITIONS`` different inputs (noise) are treated like none.
    """
    from meanfield.transfer import get_transfer

    names = net.input_names
    rows = np.eye(len(names)) if trials is None else _different(trials.u, get_transfer(net.transfer).odd)
    if len(rows) > MOST_CONDITIONS:
        rows = np.eye(len(names))
    return (Condition(), *(_condition(names, row) for row in rows if row.any()))


def _different(u, odd):
    rows = np.unique(np.round(u.reshape(-1, u.shape[-1]) / SAME_INPUT), axis=0) * SAME_INPUT
    if not odd:
        return rows
    kept = []
    for row in rows[::-1]:  # those with positive amplitudes first
        if not any(np.allclose(row, -other, atol=2 * SAME_INPUT) for other in kept):
            kept.append(row)
    return np.array(kept[::-1])


def _condition(names, row):
    inputs = {name: float(round(x, 8)) for name, x in zip(names, row, strict=True) if x}
    return Condition(", ".join(f"{name} = {x:g}" for name, x in inputs.items()), inputs)


def portrait_of(c, transfer, condition):
    """All fixed points, and the cycles where none of them is stable."""
    found = portrait(c, transfer, condition, cycles=False)
    points = found.fixed_points
    if found.field.rank < 2 or not points.complete or len(points.stable):
        return found
    search = limit_cycles(found.field, points)
    return replace(found, cycles=search.cycles, cycle_search=search)


def portraits_figure(pairs, points=31):
    """The network beside the mixture under each input.

    Rank 1: F(kappa) of both. Rank 2 and more: the flow of both in the plane of the first two coordinates.

    Returns
    -------
    Figure
    """
    rank = pairs[0].portrait.field.rank
    return _line_figure(pairs) if rank == 1 else _plane_figure(pairs, points)


def _window(pairs):
    views = [plotting.view(p.fixed_points, p.cycles) for pair in pairs for p in (pair.own, pair.portrait)]
    return np.stack([np.min(views, axis=0)[:, 0], np.max(views, axis=0)[:, 1]], axis=-1)


def _data(pairs, values):
    data = {"labels": np.array([pair.condition.label for pair in pairs])}
    for k, (pair, both) in enumerate(zip(pairs, values, strict=True)):
        for name, p, value in zip(("network", "mixture"), (pair.own, pair.portrait), both, strict=True):
            data |= {f"{k}_{name}_{key}": array for key, array in value.items()}
            data[f"{k}_{name}_points"] = p.fixed_points.kappa
            data[f"{k}_{name}_kinds"] = np.asarray(p.fixed_points.kind, dtype=str)
    return data


def _line_figure(pairs):
    window = _window(pairs)[0]
    values = [[plotting.drift_values(p.field, window) for p in (pair.own, pair.portrait)] for pair in pairs]
    columns = min(len(pairs), 4)

    def draw():
        with plotting.style():
            figure, axes = plotting.figure(-(-len(pairs) // columns), columns, width=3.4, height=3.0)
            for ax in axes.flat[len(pairs) :]:
                ax.axis("off")
            for ax, pair, both in zip(axes.flat, pairs, values, strict=False):
                plotting.plot_drift(ax, both[1], pair.portrait.fixed_points, label="mixture")
                ax.plot(both[0]["kappa"], both[0]["F"], "k--", lw=1.2, label="network")
                ax.set_title(pair.condition.label)
            axes[0, 0].legend()
        return figure

    caption = (
        "F(kappa) of the mixture (blue, with its fixed points: triangle up unstable, down stable) and of the network's "
        "own neurons (dashed); fixed points are the crossings with y = kappa."
    )
    return Figure("portraits", caption, draw, _data(pairs, values))


def _plane_figure(pairs, points):
    window = _window(pairs)[:2]
    values = [[plotting.flow_values(p.field, window, points) for p in (pair.own, pair.portrait)] for pair in pairs]

    def draw():
        with plotting.style():
            figure, axes = plotting.figure(2, len(pairs), width=3.6, height=3.5)
            for column, pair, both in zip(axes.T, pairs, values, strict=True):
                for ax, p, value, who in zip(
                    column, (pair.own, pair.portrait), both, ("network", "mixture"), strict=True
                ):
                    plotting.plot_flow(ax, value, p.fixed_points, p.cycles, colorbar=False)
                    ax.set_title(f"{who}, {pair.condition.label}")
                    if ax.get_legend() is not None:
                        ax.get_legend().remove()
        return figure

    caption = (
        "Flow of the collective variables, above of the network's own neurons, below of the mixture; one column per "
        "input. Triangle up: source; cross: saddle; triangle down: stable; thick line: limit cycle."
    )
    return Figure("portraits", caption, draw, _data(pairs, values))
