"""Where a training stands, as a file from which it goes on as if it had never stopped, to the last bit."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from meanfield.traced import import_fit

from .results import read_arrays, write_arrays

#: Arguments that may change between one part of a training and the next.
FREE = ("steps", "patience", "accuracy", "loss")

_LISTS = ("loss", "validated", "validation_loss", "accuracy", "accuracy_error", "stages")


@dataclass
class Progress:
    """Where a training stands: changed by the steps, written to checkpoints."""

    params: Any
    optimizer: Any  #: state of the optimizer
    step: int = 0
    stage: int = 0
    best: Any = None  #: parameters with the lowest validation loss on the last stage, or None
    best_loss: float = np.inf
    waited: int = 0  #: validations since then
    seconds: float = 0.0
    loss: list = field(default_factory=list)
    validated: list = field(default_factory=list)
    validation_loss: list = field(default_factory=list)
    accuracy: list = field(default_factory=list)
    accuracy_error: list = field(default_factory=list)
    stages: list = field(default_factory=list)


def save(path, options, progress):
    """Write where a training with these options stands; the file is replaced as a whole or not at all."""
    leaves = import_fit().jax.tree.leaves
    arrays = {f"param_{k}": np.asarray(leaf) for k, leaf in enumerate(leaves(progress.params))}
    arrays |= {f"optimizer_{k}": np.asarray(leaf) for k, leaf in enumerate(leaves(progress.optimizer))}
    if progress.best is not None:
        arrays |= {f"best_{k}": np.asarray(leaf) for k, leaf in enumerate(leaves(progress.best))}
        arrays["lowest"] = np.array(progress.best_loss)
    arrays |= {f"history_{key}": np.array(getattr(progress, key), float) for key in _LISTS}
    numbers = {key: getattr(progress, key) for key in ("step", "stage", "waited", "seconds")}
    arrays["checkpoint"] = np.array(json.dumps({"options": options, "progress": numbers}))
    write_arrays(path, arrays)


def resume(path, options, fresh):
    """Where the training in the file stands, or ``fresh`` where there is no such file.

    Raises
    ------
    ValueError
        A checkpoint of a training with other options, or a damaged one; the message names the first that differs.
    """
    if not Path(path).exists():
        return fresh
    arrays = read_arrays(path, "checkpoint")
    try:
        about = json.loads(str(arrays["checkpoint"]))
        theirs, numbers = about["options"], about["progress"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: the checkpoint is damaged: {error}; remove it to start anew") from error
    for key in (*options, *theirs):
        if key not in FREE and options.get(key) != theirs.get(key):
            raise ValueError(
                f"{path}: the checkpoint is of a training with another {key}: it has {theirs.get(key)!r}, this one "
                f"{options.get(key)!r}; name another file, or remove this one to start anew"
            )
    for kind, like in (("params", fresh.params), ("optimizer", fresh.optimizer)):
        numbers[kind] = _unflatten(path, kind.removesuffix("s"), arrays, like)
    if "lowest" in arrays:
        numbers |= {"best": _unflatten(path, "best", arrays, fresh.params), "best_loss": float(arrays["lowest"])}
    for key in _LISTS:
        whole = key in ("validated", "stages")
        numbers[key] = [int(x) if whole else float(x) for x in arrays[f"history_{key}"]]
    return Progress(**numbers)


def _unflatten(path, kind, arrays, like):
    """Arrays kind_0, kind_1, .. in the structure of ``like``, each of the same shape and dtype."""
    tree = import_fit().jax.tree
    leaves, structure = tree.flatten(like)
    found = [arrays.get(f"{kind}_{k}") for k in range(len(leaves))]
    for k, (leaf, value) in enumerate(zip(leaves, found, strict=True)):
        wanted = np.shape(leaf), np.asarray(leaf).dtype
        if value is None or (value.shape, value.dtype) != wanted:
            got = "nothing" if value is None else f"{value.dtype} of shape {value.shape}"
            raise ValueError(
                f"{path}: the checkpoint's {kind}_{k} is {got}, expected {wanted[1]} of shape {wanted[0]}; remove it "
                "to start anew"
            )
    return tree.unflatten(structure, [import_fit().numpy.asarray(value) for value in found])
