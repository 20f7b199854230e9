"""The tasks by name."""

from dataclasses import fields

from meanfield.conventions import closest

from .evidence import ContextDecision, MultisensoryDecision, PerceptualDecision
from .memory import DelayedMatch, WorkingMemory

TASKS = {
    task.name: task for task in (PerceptualDecision, DelayedMatch, WorkingMemory, ContextDecision, MultisensoryDecision)
}

#: Names that others use.
ALIASES = {"mante": "context", "raposo": "multisensory"}


def get_task(name, /, **parameters):
    """A task by name: "rdm", "dms", "romo", "context" (or "mante"), "multisensory" (or "raposo").

    Parameters
    ----------
    name : str
    **parameters
        Of that task, where they are not the default.

    Returns
    -------
    Task

    Raises
    ------
    ValueError
        An unknown name or parameter, or one that makes no sense.
    """
    task = TASKS.get(ALIASES.get(name, name)) if isinstance(name, str) else None
    if task is None:
        raise ValueError(f"unknown task {name!r}; {closest(name, [*TASKS, *ALIASES])}")
    known = [field.name for field in fields(task)]
    for key in parameters:
        if key not in known:
            raise ValueError(f"task {task.name!r} has no parameter {key!r}; {closest(key, known)}")
    return task(**parameters)


def described_task(description):
    """The task again, from its name and parameters in one dictionary, as a training records it."""
    parameters = dict(description)
    return get_task(parameters.pop("name"), **parameters)
