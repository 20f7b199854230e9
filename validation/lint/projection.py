"""The closed form on that part of the activity which a network of the rank can have.

Without noise, x_t = (1 - a)^t x_0 + m kappa_t + I v_t, with v the filtered inputs, :eq:`lint-projection`: beside what
is known there are R directions. The regression on recorded rates asks for J where the recorded x are; the network,
running free, is where its own x are, and what x has outside those directions is missing there. So x is projected first,
and the same regression, on the projected x, gives a network that runs free as well as one step ahead. It is the tool
for activity of higher rank than the fit; of a noisy network of that very rank it sees less than the first stage.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from meanfield.conventions import check_integer

from .prediction import Score, difference_error, free_errors, squares_about_mean
from .regression import ROUNDING, Regression, moments

#: Ridges that are tried, relative to the mean of sum_t phi_i(t)^2; a smaller one makes n larger.
RIDGES = (1e-2, 1e-3, 1e-4, 1e-6, 1e-8)
#: Squared errors so much above the least ones, relatively, are not worth a larger n.
TOLERATED = 0.05


@dataclass(frozen=True, eq=False)
class Projection:
    """Activity, and directions beside those of its inputs.

    Attributes
    ----------
    activity : Activity
    trials : ndarray of int
        Those that the directions are from.
    I : ndarray (N, S)
        Input loadings by least squares; what kappa and v share is in them.
    directions : ndarray (N, K)
        Orthonormal, by the variance of what the inputs leave, decreasing.
    """

    activity: object
    trials: np.ndarray
    I: np.ndarray
    directions: np.ndarray

    @classmethod
    def of(cls, activity, trials, most):
        """The first ``most`` directions of these trials."""
        most = min(check_integer("rank", most, 1), activity.n_neurons)
        vv = vy = yy = 0.0
        for b in trials:
            v, rest = filtered(activity.inputs[b], activity.alpha), activity.x[b] - _decay(activity, b)
            vv, vy, yy = vv + v.T @ v, vy + v.T @ rest, yy + rest.T @ rest
        from scipy.linalg import eigh

        loadings = np.linalg.pinv(vv, rcond=ROUNDING * max(len(vv), 1), hermitian=True) @ vy
        N = activity.n_neurons
        directions = eigh(yy - vy.T @ loadings, subset_by_index=[N - most, N - 1])[1][:, ::-1]
        return cls(activity, np.asarray(trials), loadings.T, directions)

    def x(self, trial, rank):
        """The projected x of a trial, (T, N)."""
        a, q = self.activity, self.directions[:, :rank]
        decay, driven = _decay(a, trial), filtered(a.inputs[trial], a.alpha) @ self.I.T
        return decay + driven + (a.x[trial] - decay - driven) @ q @ q.T

    def activity_of(self, rank):
        """The trials, with their projected x in place of x."""
        return replace(self.activity.at(self.trials), x=tuple(self.x(b, rank) for b in self.trials))

    def bound(self, rank, trials=None):
        """:class:`Score` of the rates of the projected x: what dynamics in these directions could reach."""
        a, trials = self.activity, self.trials if trials is None else trials
        errors = [((a.transfer(self.x(b, rank)[1:]) - a.rates[b][1:]) ** 2).sum() for b in trials]
        return Score.of(np.array(errors), squares_about_mean(a, trials))


def filtered(inputs, step):
    """v_(t+1) = (1 - a) v_t + a u_t from v_0 = 0, for inputs (T - 1, S): (T, S)."""
    v = np.zeros((len(inputs) + 1, inputs.shape[1]))
    for t, u in enumerate(inputs):
        v[t + 1] = (1 - step) * v[t] + step * u
    return v


def _decay(activity, trial):
    """What is left of the first sample, (T, N)."""
    x = activity.x[trial]
    return (1 - activity.alpha) ** np.arange(len(x))[:, None] * x[0]


@dataclass(frozen=True, eq=False)
class ProjectedFit:
    """What the closed form finds in projected activity.

    Attributes
    ----------
    network : Network
    errors : ndarray (B,)
        Squared errors of the rates on the trials that chose the ridge.
    bound : Score
        See :meth:`Projection.bound`, on the trials that the fit is made to.
    ridge : float
    """

    network: object
    errors: np.ndarray
    bound: Score
    ridge: float


class ProjectedRegression:
    """The regression on projected activity, for all ridges."""

    def __init__(self, projection, rank):
        self.projection, self.rank = projection, rank

    @cached_property
    def _regression(self):
        return Regression(moments(self.projection.activity_of(self.rank).steps()))

    def fit(self, like, check, ridges=RIDGES):
        """The largest ridge whose network runs free as well on the trials ``check`` as that of the best one.

        "As well": within ``TOLERATED`` of its squared errors, or a standard error over trials of the difference.

        Parameters
        ----------
        like : Network
            Everything but m, n and I of the result.
        check : sequence of int
        ridges : sequence of float

        Returns
        -------
        ProjectedFit
        """
        found = []
        for ridge in sorted(ridges, reverse=True):
            loadings = self._regression.fit(self.rank, ridge)
            net = replace(like, m=loadings.m, n=loadings.n, I=loadings.I)
            found.append((net, free_errors(net, self.projection.activity, check), ridge))
        squares = squares_about_mean(self.projection.activity, check)
        best = min(found, key=lambda one: np.nan_to_num(one[1].sum(), nan=np.inf))
        for one in found:
            apart = (one[1] - best[1]).sum() / squares.sum()
            spread = difference_error((one[1], squares), (best[1], squares))
            spread = max(np.nan_to_num(spread), TOLERATED * best[1].sum() / squares.sum())
            if one is best or apart <= spread:
                return ProjectedFit(one[0], one[1], self.projection.bound(self.rank), one[2])
        raise AssertionError("the best is among them")
