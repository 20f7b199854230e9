"""Fits to a recording beside what is simpler: how far ahead each predicts held-out segments.

Baselines: the last sample; one coefficient per channel; linear autoregression of the same rank, of full rank, and of
full rank with two samples of memory; and the network fitted to surrogates whose channels were shuffled over the trials.
"""

from dataclasses import dataclass

import numpy as np

from meanfield import plotting
from meanfield.conventions import check_integer
from meanfield.progress import tracked

from ..analysis import Figure
from .activity import prepare, split
from .prediction import Score
from .recordings import Recording
from .regression import Regression, moments

#: Time constants that are tried, in samples.
TAUS = (1.0, 1.5, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
#: Samples ahead.
HORIZONS = (1, 2, 4, 8, 16)


@dataclass(frozen=True, eq=False)
class RecordingBenchmark:
    """How well models predict a recording.

    Attributes
    ----------
    recording : Recording
    ranks, horizons : tuple of int
        Horizons in samples.
    scores : dict, (model, rank) -> tuple of Score
        R^2 of the recorded variable at each horizon, on the held-out trials; models without a rank have None.
    taus : dict, (model, rank) -> float
        In the unit of dt, chosen one step ahead on part of the trials to fit to.
    """

    recording: Recording
    ranks: tuple
    horizons: tuple
    scores: dict
    taus: dict

    def best(self, model, horizon):
        """The rank of a model with the largest R^2 at a horizon, and its :class:`Score`."""
        k = self.horizons.index(horizon)
        found = {key: score[k] for key, score in self.scores.items() if key[0] == model}
        if not found:
            raise ValueError(f"unknown model {model!r}: got {sorted({name for name, _ in self.scores})}")
        rank = max(found, key=lambda key: found[key].r2)
        return rank[1], found[rank]

    @property
    def models(self):
        """Their names."""
        return tuple(dict.fromkeys(name for name, _ in self.scores))

    @property
    def figure(self):
        """R^2 against the rank at the first and the last horizon."""
        data = {"ranks": np.array(self.ranks), "horizons": np.array(self.horizons), "models": np.array(self.models)}
        for name in self.models:
            keys = [(name, r) for r in self.ranks] if (name, None) not in self.scores else [(name, None)]
            data[f"{name}: r2"] = np.array([[s.r2 for s in self.scores[key]] for key in keys])
            data[f"{name}: error"] = np.array([[s.error for s in self.scores[key]] for key in keys])
        caption = (
            f"{self.recording.name}: $R^2$ on held-out segments, with its standard error over segments, against the "
            "rank, so many samples ahead. Horizontal lines: models without a rank."
        )
        return Figure("recording", caption, lambda: _draw(data), data)

    def __str__(self):
        head = f"{'model':28s}{'rank':>5s}  " + "".join(f"{f'{k} ahead':>18s}" for k in self.horizons)
        rows = [
            f"{name:28s}{'' if rank is None else rank:>5}  "
            + "".join(f"{f'{s.r2:.4f} +- {s.error:.1g}':>18s}" for s in scores)
            for (name, rank), scores in self.scores.items()
        ]
        return "\n".join([head, *rows])

    def __repr__(self):
        return f"RecordingBenchmark({self.recording!r}, ranks {self.ranks})"


def benchmark_recording(recording, ranks=(1, 2, 4, 8, 16), *, transfer="tanh", horizons=HORIZONS, taus=TAUS,
                        held_out=0.2, seed=0):  # fmt: skip
    """Fit networks and simpler models to a recording of x, and predict its held-out trials.

    Parameters
    ----------
    recording : Recording
        With trials: see :meth:`Recording.cut`. Its arrays are taken as x, in units in which phi is curved: z-scored.
    ranks : sequence of int
    transfer : str
    horizons : sequence of int
        How many samples ahead.
    taus : sequence of float
        Time constants to choose from for each model, in samples.
    held_out : float
    seed : int
        Of the choice of the held-out trials, and of the surrogate.

    Returns
    -------
    RecordingBenchmark

    Raises
    ------
    ValueError
        One trial only, trials shorter than the largest horizon, a rank above the number of channels.
    """
    ranks = tuple(sorted(check_integer("ranks", r, 1) for r in ranks))
    horizons = tuple(sorted(check_integer("horizons", k, 1) for k in horizons))
    if ranks[-1] > recording.n_neurons:
        raise ValueError(f"ranks must be at most the number of channels, {recording.n_neurons}: got {ranks[-1]}")
    if min(map(len, recording.rates)) < horizons[-1] + 2:
        raise ValueError(f"all trials need {horizons[-1] + 2} samples or more for the largest horizon: cut them longer")
    train, test = split(len(recording), held_out, seed)
    own, surrogate = (_trials(r) for r in (recording, recording.shuffled(seed)))
    tanh = prepare(recording, None, recording.dt or 1.0, 1e9, "current", transfer).transfer
    linear = lambda x: x  # noqa: E731
    jobs = [("network", r, own, tanh) for r in ranks] + [("network, surrogate", r, surrogate, tanh) for r in ranks]
    jobs += [("linear", r, own, linear) for r in ranks]
    scores, chosen = {}, {}
    for name, rank, trials, phi in tracked(jobs, "fit"):
        tau, advance = _fitted(trials, train, phi, rank, taus, seed)
        scores[name, rank] = _predict(trials, test, advance, horizons)
        chosen[name, rank] = tau * (recording.dt or 1.0)
    for name, advance in _without_rank(own, train).items():
        scores[name, None] = _predict(own, test, advance, horizons)
    return RecordingBenchmark(recording, ranks, horizons, scores, chosen)


def _trials(recording):
    return [np.asarray(r) for r in recording.rates]


def _pieces(trials, phi, a, memory=False):
    """(phi(x_t), u_t, y_t), with x_(t-1) in the place of inputs where there is memory."""
    for x in trials:
        now, after = (x[1:-1], x[2:]) if memory else (x[:-1], x[1:])
        yield phi(now), x[:-2] if memory else np.zeros((len(now), 0)), (after - (1 - a) * now) / a


def _model(trials, phi, rank, a, memory=False):
    """x_(t+1) from (x_t, x_(t-1))."""
    found, N = Regression(moments(_pieces(trials, phi, a, memory))).fit(rank), trials[0].shape[1]

    def advance(x, before):
        drive = (phi(x) @ found.n / N) @ found.m.T
        return (1 - a) * x + a * (drive + before @ found.I.T if memory else drive)

    return advance


def _fitted(trials, train, phi, rank, taus, seed):
    """The tau (in samples) that predicts part of the trials to fit to best, and the model fitted to all of them."""
    inner, check = split(len(train), 0.2, seed)
    errors = []
    for tau in taus:
        advance = _model([trials[b] for b in train[inner]], phi, rank, 1 / tau)
        held = (trials[b] for b in train[check])
        errors.append(sum(((advance(x[:-1], None) - x[1:]) ** 2).sum() for x in held))
    tau = taus[int(np.argmin(errors))]
    return tau, _model([trials[b] for b in train], phi, rank, 1 / tau)


def _without_rank(trials, train):
    N, fitted = trials[0].shape[1], [trials[b] for b in train]
    before, after = (np.concatenate([x[k : len(x) - 1 + k] for x in fitted]) for k in (0, 1))
    slope = (before * after).sum(0) / (before**2).sum(0)
    linear = lambda x: x  # noqa: E731
    return {
        "last sample": lambda x, _: x,
        "one coefficient per channel": lambda x, _: slope * x,
        "linear, full rank": _model(fitted, linear, N, 1.0),
        "linear, full rank, two lags": _model(fitted, linear, N, 1.0, memory=True),
    }


def _predict(trials, test, advance, horizons):
    """Score at each horizon: from many starts on each held-out trial, one after the other as the horizon allows."""
    errors = np.zeros((len(horizons), len(test)))
    squares = np.zeros_like(errors)
    mean = np.concatenate([trials[b] for b in test]).mean(0)
    for i, b in enumerate(test):
        x, starts = trials[b], np.arange(1, len(trials[b]) - horizons[-1])
        now, before = x[starts], x[starts - 1]
        for k in range(1, horizons[-1] + 1):
            now, before = advance(now, before), now
            if k in horizons:
                h = horizons.index(k)
                errors[h, i] = ((now - x[starts + k]) ** 2).sum()
                squares[h, i] = ((x[starts + k] - mean) ** 2).sum()
    return tuple(Score.of(e, s) for e, s in zip(errors, squares, strict=True))


def _draw(data):
    places = (0, len(data["horizons"]) - 1)
    with plotting.style():
        figure, axes = plotting.figure(1, 2, width=4.4)
        for ax, h in zip(axes[0], places, strict=True):
            for name, colour in zip(data["models"], plotting.COLOURS * 2, strict=False):
                r2, error = data[f"{name}: r2"][:, h], data[f"{name}: error"][:, h]
                if len(r2) == len(data["ranks"]) > 1:
                    ax.errorbar(data["ranks"], r2, error, fmt="o-", ms=4, capsize=2, color=colour, label=name)
                else:
                    ax.axhline(r2[0], color=colour, ls="--", lw=1.2, label=name)
            low = min(data[f"{name}: r2"][:, h].min() for name in data["models"])
            ax.set_xscale("log", base=2)
            ax.set_xticks(data["ranks"], [str(r) for r in data["ranks"]])
            ax.set(xlabel="rank", ylabel="held-out $R^2$", ylim=(max(low - 0.05, -0.6), 1.02))
            ax.set_title(f"{data['horizons'][h]} ahead")
        axes[0, 1].legend(fontsize=7)
    return figure
