"""Trials from environments that follow the protocol of neurogym's TrialEnv; neurogym itself is not needed.

An environment has ``new_trial()``, after which ``ob`` (T, S) holds the observations and ``gt`` (T,) the right actions,
integers; and ``dt``, in ms. ``seed(seed)`` makes it deterministic.
"""

import numbers
from collections.abc import Mapping

import numpy as np

from meanfield.conventions import brief, check_array, check_integer

from ..npz import check_number
from .trials import Trials, held

#: What the readout should be for each action of a task with two choices, of which 0 is to fixate.
ACTIONS = {0: 0, 1: 1, 2: -1}

_PROTOCOL = "an environment of trials, as neurogym.make(...) returns one"


def from_neurogym(env, count, seed, actions=None, *, tau=100.0, fixation_weight=0.0):
    """``count`` trials of an environment as :class:`~meanfield.validation.tasks.trials.Trials`.

    Each observation is one input. The decision is taken where the right action is a choice, which must be one period.
    Trials of different length end in steps without input that are not judged. What the environment says of a trial in
    numbers (its ``trial``) becomes conditions.

    Parameters
    ----------
    env : object with the protocol of neurogym's TrialEnv
        Make it with a ``dt`` well below ``tau``: its default, 100 ms, is a whole time constant.
    count : int
    seed : int, or a sequence of them, as a training passes
    actions : mapping from actions to wanted readouts, optional
        0 stands for no choice. Default: ``ACTIONS``, choice 1 is +1 and choice 2 is -1.
    tau : float, ms
        Time constant of the networks.
    fixation_weight : float
        Weight of the squared error where no choice is to be made; that in the decision period is 1.

    Returns
    -------
    Trials

    Raises
    ------
    ValueError
        No such environment; observations or actions of a wrong shape, an action without a wanted readout; a trial
        without a choice, or with several periods of choice; dt >= 2 tau.
    """
    base, new_trial = _checked(env)
    count, seed = check_integer("count", count, 1), _seed(seed)
    actions = _actions(actions, getattr(env, "action_space", None))
    dt, tau = check_number("env.dt", base.dt, positive=True), check_number("tau", tau, positive=True)
    if dt >= 2 * tau:
        raise ValueError(f"env.dt = {dt:g} must be below 2 tau = {2 * tau:g}: make the environment with a smaller dt")
    fixation_weight = check_number("fixation_weight", fixation_weight)
    if hasattr(env, "reset"):
        env.reset()
    base.seed(seed)
    found = []
    for k in range(count):
        told = new_trial()
        told = told if isinstance(told, Mapping) else getattr(base, "trial", None)
        found.append((*_one(base, k, actions), dict(told) if isinstance(told, Mapping) else {}))
    observed, wanted, windows, told = zip(*found, strict=True)
    steps, channels = max(map(len, observed)), {one.shape[1] for one in observed}
    if len(channels) > 1:
        raise ValueError(f"env.ob has {sorted(channels)} observations in different trials, expected one number")
    u = np.stack([_longer(one, steps) for one in observed])
    length = np.array([[len(one)] for one in observed])
    judged = held(steps, *np.array(windows).T)
    weight = np.where(judged, 1.0, fixation_weight * (np.arange(steps) < length))
    wanted = np.stack([_longer(one, steps) for one in wanted])
    target = (wanted * judged).sum(1) / judged.sum(1)
    conditions = _conditions(told)
    return Trials(
        u=u,
        wanted=wanted[..., None],
        weight=weight,
        target=target,
        window=windows,
        conditions=conditions,
        labels=[_label(one) or str(k) for k, one in enumerate(told)],
        dt=dt,
        tau=tau,
    )


def _seed(seed):
    """The integer that environments take, of an integer or a sequence of them."""
    if not isinstance(seed, list | tuple):
        return check_integer("seed", seed, 0)
    parts = [check_integer("seed", part, 0) for part in seed]
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _checked(env):
    """What holds the trial under all wrappers, and how a new one begins."""
    base = getattr(env, "unwrapped", env)
    new_trial = getattr(env, "new_trial", getattr(base, "new_trial", None))
    missing = [name for name in ("dt", "seed") if not hasattr(base, name)]
    if not callable(new_trial) or missing:
        what = "new_trial()" if not callable(new_trial) else missing[0]
        raise ValueError(f"env must be {_PROTOCOL}: got {brief(env)} without {what}")
    return base, new_trial


def _actions(actions, space):
    actions = ACTIONS if actions is None else actions
    if not isinstance(actions, Mapping) or not actions:
        raise ValueError(f"actions must map actions to wanted readouts, e.g. {ACTIONS}: got {brief(actions)}")
    number = getattr(space, "n", None)
    if number is not None and (missing := sorted(set(range(int(number))) - set(actions))):
        raise ValueError(
            f"the environment has {number} actions, of which {missing} have no wanted readout; pass actions="
            "{action: readout, ...} with 0 for those that are no choice"
        )
    return {int(key): float(check_array(f"actions[{key!r}]", value, ())) for key, value in actions.items()}


def _one(base, k, actions):
    """Observations (T, S), wanted readout (T,) and window of the trial that has just begun."""
    for name in ("ob", "gt"):
        if getattr(base, name, None) is None:
            raise ValueError(f"env.{name} is missing after new_trial(): expected {_PROTOCOL}")
    ob, gt = check_array("env.ob", base.ob), check_array("env.gt", base.gt)
    gt = gt[:, 0] if gt.ndim == 2 and gt.shape[1] == 1 else gt
    if ob.ndim != 2 or gt.shape != ob.shape[:1]:
        raise ValueError(f"env.ob and env.gt: got shapes {ob.shape} and {gt.shape}, expected (T, S) and (T,)")
    if unknown := sorted(set(gt.tolist()) - set(actions)):
        raise ValueError(f"env.gt has the action {unknown[0]:g}, which has no wanted readout; known: {sorted(actions)}")
    wanted = np.array([actions[int(action)] for action in gt])
    at = np.flatnonzero(wanted)
    if not at.size:
        raise ValueError(f"trial {k} asks for no choice: every right action has the wanted readout 0")
    if at[-1] - at[0] + 1 != at.size or len(set(wanted[at])) > 1:
        raise ValueError(f"trial {k} asks for several choices: expected one period with one right action")
    return ob, wanted, (at[0], at[-1] + 1)


def _longer(array, steps):
    return np.pad(array, [(0, steps - len(array))] + [(0, 0)] * (array.ndim - 1))


def _conditions(told):
    """Those that are a number in every trial."""
    names = [name for name in told[0] if all(_is_number(one.get(name)) for one in told)]
    return {str(name): np.array([float(one[name]) for one in told]) for name in names}


def _is_number(value):
    return isinstance(value, numbers.Real) and bool(np.isfinite(value))


def _label(told):
    return ", ".join(f"{name} {value:.4g}" for name, value in told.items() if _is_number(value))
