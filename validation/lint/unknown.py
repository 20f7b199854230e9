"""Inputs that were not recorded, as far as they can be told from the recurrence: those that repeat on trials of one
condition, :eq:`lint-unknown`.

Between trials of one condition the input is the same, so that their differences are driven by the recurrence alone.
What J leaves of the condition's mean is the input; with it as a known one, the means too tell about J. With one trial
per condition nothing tells J phi(x) from an input.
"""

import numpy as np

from meanfield.conventions import counted

from .regression import Regression, moments


def learn_inputs(activity, trials, conditions, rank, ridge, count):
    """The inputs of each condition, up to an invertible matrix: uncorrelated, with mean square 1 over all steps.

    Parameters
    ----------
    activity : Activity
        Without inputs.
    trials : sequence of int
        Those to fit to.
    conditions : ndarray (B,)
        Of all trials, as numbers from 0 on.
    rank, ridge
        As for :meth:`Regression.fit`.
    count : int
        Number of inputs S.

    Returns
    -------
    u : dict condition -> ndarray (steps, S)
    rest : float
        Share of the squares of the inputs that these S do not hold; what noise leaves in them is among it.

    Raises
    ------
    ValueError
        Trials of one condition that differ in length, a condition with one trial only.
    """
    groups = _groups(activity, trials, conditions)
    loadings = Regression(moments(_contrasts(activity, groups))).fit(rank, ridge)
    means = {c: _mean(activity, group, loadings) for c, group in groups.items()}
    course = np.concatenate(list(means.values()))
    if count > min(course.shape):
        raise ValueError(f"n_unknown must be at most {min(course.shape)}: got {count}")
    left, s, _ = np.linalg.svd(course, full_matrices=False)
    u, ends = left[:, :count] * np.sqrt(len(course)), np.cumsum([len(mean) for mean in means.values()])[:-1]
    u = u * np.sign(u[np.argmax(np.abs(u), axis=0), np.arange(count)])
    return dict(zip(means, np.split(u, ends), strict=True)), float(1 - (s[:count] ** 2).sum() / (s**2).sum())


def _groups(activity, trials, conditions):
    groups = {int(c): [b for b in trials if conditions[b] == c] for c in np.unique(conditions)}
    for c, group in groups.items():
        if len(group) < 2:
            raise ValueError(
                f"unknown inputs: condition {c} has {counted(len(group), 'trial')} to fit to; with fewer than two "
                "nothing tells an input from the recurrence: give the inputs, or conditions that repeat"
            )
        if np.ptp(activity.lengths[group]):
            raise ValueError(f"unknown inputs: the trials of condition {c} differ in length; cut them to one length")
    return groups


def _contrasts(activity, groups):
    """Pieces of steps: all contrasts between the trials of a condition, from which its mean has gone."""
    for group in groups.values():
        phi, y = _stacked(activity, group)
        # an orthonormal basis of the contrasts: white noise stays white, and one row per step is lost
        contrasts = np.linalg.svd(np.eye(len(group)) - 1 / len(group))[0][:, :-1].T
        phi, y = (np.tensordot(contrasts, z, 1).reshape(-1, z.shape[-1]) for z in (phi, y))
        yield phi, np.zeros((len(phi), 0)), y


def _stacked(activity, group):
    """phi and y of trials of one length, (trials, steps, N) each."""
    x, a = np.stack([activity.x[b] for b in group]), activity.alpha
    return activity.transfer(x[:, :-1]), (x[:, 1:] - (1 - a) * x[:, :-1]) / a


def _mean(activity, group, loadings):
    """What J leaves of the mean of y, (steps, N)."""
    phi, y = (z.mean(0) for z in _stacked(activity, group))
    return y - (phi @ loadings.n / activity.n_neurons) @ loadings.m.T
