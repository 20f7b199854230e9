"""How well a network predicts recorded trials: free-running from their first sample, and one step ahead."""

from dataclasses import dataclass

import numpy as np

from meanfield.conventions import counted

from ..simulation import simulate
from .activity import Activity

#: Bytes of simulated x that are held at once.
HELD = 1 << 27


@dataclass(frozen=True, eq=False)
class Score:
    """R^2 of predictions on trials, :eq:`lint-r2`.

    Attributes
    ----------
    r2 : float
        1 - (squared errors) / (squares about each neuron's mean), both summed over all trials, samples and neurons.
    error : float
        Its standard error over trials, by the jackknife; nan for one trial.
    per_trial : ndarray (B,)
        The same ratio on each trial; nan where nothing varies.
    exploded : int
        Number of trials on which the network exploded; they make r2 minus infinity.
    """

    r2: float
    error: float
    per_trial: np.ndarray
    exploded: int = 0

    @classmethod
    def of(cls, errors, squares):
        """From the squared errors and the squares about the mean of each trial, (B,) each."""
        exploded = int(np.count_nonzero(~np.isfinite(errors)))
        errors = np.where(np.isfinite(errors), errors, np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            per_trial = np.where(squares > 0, 1 - errors / squares, np.nan)
        if not squares.sum() > 0:
            raise ValueError("the held-out rates do not vary: there is nothing to predict; hold out other trials")
        total = 1 - errors.sum() / squares.sum()
        return cls(float(total), _jackknife(errors, squares), per_trial, exploded)

    def __str__(self):
        what = f", exploded on {counted(self.exploded, 'trial')}" if self.exploded else ""
        return f"{self.r2:.4f} +- {self.error:.1g} over {counted(len(self.per_trial), 'trial')}{what}"

    def __repr__(self):
        return f"Score({self})"


def _jackknife(errors, squares):
    """Standard error of 1 - sum errors / sum squares over trials."""
    B = len(errors)
    if B < 2 or not np.isfinite(errors).all() or (squares.sum() - squares <= 0).any():
        return float("nan")
    left_out = (errors.sum() - errors) / (squares.sum() - squares)
    return float(np.sqrt((B - 1) / B * ((left_out - left_out.mean()) ** 2).sum()))


def difference_error(first, second):
    """Standard error over trials of the difference of two scores on the same trials, by their errors' difference.

    ``first`` and ``second`` are (errors, squares) with the same squares.
    """
    return _jackknife(first[0] - second[0], first[1])


def run_free(net, activity, trials):
    """Let the network run from the first sample of each trial under its inputs.

    Parameters
    ----------
    net : Network
    activity : Activity
    trials : sequence of int

    Yields
    ------
    (int, ndarray (T_b, N))
        A trial and x on it; nan after an explosion.
    """
    sizes = activity.lengths * activity.n_neurons * 8
    for group in _batches(sorted(trials, key=lambda b: activity.lengths[b]), sizes):
        steps = int(activity.lengths[group].max()) - 1
        u = np.zeros((len(group), steps, len(activity.input_names)))
        for row, b in zip(u, group, strict=True):
            row[: len(activity.inputs[b])] = activity.inputs[b]
        start = np.stack([activity.x[b][0] for b in group])
        run = simulate(
            net, u if u.shape[-1] else None, steps * activity.dt, activity.dt, start=start, method="euler",
            record_x=True, progress=False,
        )  # fmt: skip
        for x, b in zip(run.x, group, strict=True):
            yield b, x[: activity.lengths[b]]


def _batches(trials, sizes):
    """Groups of trials, sorted by length, that take HELD bytes when all are as long as the last."""
    group = []
    for b in trials:
        if group and sizes[b] * (len(group) + 1) > HELD:
            yield group
            group = []
        group.append(b)
    if group:
        yield group


def squares_about_mean(activity, trials, skip=1):
    """Squares of the rates about each neuron's mean over these trials, without the first ``skip`` samples: (B,)."""
    count = sum(activity.lengths[b] - skip for b in trials)
    mean = sum(activity.rates[b][skip:].sum(0) for b in trials) / count
    return np.array([((activity.rates[b][skip:] - mean) ** 2).sum() for b in trials])


def free_errors(net, activity, trials):
    """Squared errors (B,) of the rates on each trial, free-running; the first sample is given and does not count."""
    found = {
        b: ((activity.transfer(x[1:]) - activity.rates[b][1:]) ** 2).sum() for b, x in run_free(net, activity, trials)
    }
    return np.array([found[b] for b in trials])


def step_errors(net, activity, trials):
    """Squared errors (B,) of the rates one step ahead, each from the recorded sample before."""
    a, out = activity.alpha, []
    for b in trials:
        x, phi = activity.x[b][:-1], activity.transfer(activity.x[b][:-1])
        drive = (phi @ net.n / net.n_neurons) @ net.m.T + activity.inputs[b] @ net.I.T
        out.append(((activity.transfer((1 - a) * x + a * drive) - activity.rates[b][1:]) ** 2).sum())
    return np.array(out)


def free_score(net, activity, trials):
    """:class:`Score` of the rates, free-running from the recorded first sample under the recorded inputs."""
    return Score.of(free_errors(net, activity, trials), squares_about_mean(activity, trials))


def step_score(net, activity, trials):
    """:class:`Score` of the rates one step ahead."""
    return Score.of(step_errors(net, activity, trials), squares_about_mean(activity, trials))


def explained_by(axes, activity: Activity, trials):
    """Share of the variance of x on these trials that lies in the span of the columns of ``axes`` (orthonormal)."""
    inside = total = 0.0
    mean = sum(activity.x[b].sum(0) for b in trials) / sum(activity.lengths[b] for b in trials)
    for b in trials:
        x = activity.x[b] - mean
        inside, total = inside + ((x @ axes) ** 2).sum(), total + (x**2).sum()
    return float(inside / total) if total else float("nan")
