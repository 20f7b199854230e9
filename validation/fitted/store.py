"""Trained networks and mixtures that come with the package, and the commands that made them."""

from dataclasses import dataclass
from pathlib import Path

from meanfield.conventions import closest

from ..tasks.catalogue import described_task
from ..training.results import Trained


@dataclass(frozen=True)
class Stored:
    """One of them: its file beside this module, the command that made it, and what it is."""

    file: str
    command: str
    text: str

    @property
    def path(self):
        """Path of the file."""
        return Path(__file__).parent / self.file


_HELD = "--set delay=500 --set decision=300 --accuracy 0.99"
_TEXT = "random dots, rank 1, 512 neurons, trained to hold the decision for 500 ms and to give it for 300 ms"

_RDM = {
    f"rdm-{k}": Stored(
        f"rdm-{k}.npz", f"meanfield train rdm {_HELD} --loss 0.01 --seed {k} --out rdm-{k}.npz", f"{_TEXT}; seed {k}"
    )
    for k in range(5)
}
_RDM |= {
    f"rdm-brief-{k}": Stored(
        f"rdm-brief-{k}.npz",
        f"meanfield train rdm --accuracy 0.99 --loss 0.05 --seed {k} --out rdm-brief-{k}.npz",
        f"random dots, rank 1, 512 neurons, trained to decide in one step after 100 ms; seed {k}",
    )
    for k in range(5)
}
_RDM |= {
    f"rdm-{kind}": Stored(
        f"rdm-{kind}.npz",
        f"meanfield train rdm --kind {kind} {_HELD} --loss 0.001 --steps 1000 --out rdm-{kind}.npz",
        f"random dots, held for 500 ms: the mixture of six parameters, trained {words}",
    )
    for kind, words in {"hand-built": "through 512 draws", "hand-built-limit": "at N = infinity"}.items()
}

_DMS_NETWORK = (
    "meanfield train dms --rank 2 --neurons 500 --hold w --overlap 1.5 --shaping 0 0.4 --steps 1000 --batch 32 "
    "--learning-rate 0.01 --accuracy 0.99 --loss 0.003 --seed {seed} --out {name}.npz"
)
_DMS_MIXTURE = (
    "meanfield train dms --kind mixture-limit --rank 2 --populations 2 --hold w --overlap 1.5 --drive 2 --width 1.5 "
    "--first noise_std=0 --first decision=500 --first delay_min=300 --first delay_max=700 --shaping 0 0.4 --steps 2000 "
    "--batch 16 --learning-rate 0.005 --clip 0.3 --starts 32 --screening 600 --accuracy 0.995 --loss 0.2 --seed 3 "
    "--out dms-mixture.npz"
)
_DMS = {
    name: Stored(
        f"{name}.npz",
        _DMS_NETWORK.format(seed=seed, name=name),
        f"delayed match-to-sample, rank 2, 500 neurons, from an overlap of 1.5; seed {seed}",
    )
    for name, seed in ((f"dms-{k}", k) for k in (0, 1, 2, 4, 5, 6))
}
_DMS["dms-mixture"] = Stored(
    "dms-mixture.npz",
    _DMS_MIXTURE,
    "delayed match-to-sample, two populations of rank 2 and means 0, trained at N = infinity",
)

_FULL = {
    "full-dms": Stored(
        "full-dms.npz",
        "meanfield train dms --kind full-rank --neurons 100 --steps 1000 --batch 32 --learning-rate 0.02 "
        "--accuracy 0.99 --loss 0.05 --shaping 0 0.4 --out full-dms.npz",
        "delayed match-to-sample, every connection of 100 neurons, from a random J of strength 0.8",
    ),
    "full-context": Stored(
        "full-context.npz",
        "meanfield train context --kind full-rank --neurons 100 --steps 1500 --batch 32 --learning-rate 0.01 "
        "--accuracy 0.99 --loss 0.06 --out full-context.npz",
        "context-dependent decision, every connection of 100 neurons, from a random J of strength 0.8",
    ),
}

#: All of them, by name.
STORED: dict[str, Stored] = {**_RDM, **_DMS, **_FULL}


def fitted(name):
    """A trained network or mixture that comes with the package.

    Parameters
    ----------
    name : str
        One of :data:`STORED`.

    Returns
    -------
    Trained

    Raises
    ------
    ValueError
        There is none of that name.
    """
    if name not in STORED:
        raise ValueError(f"no network {name!r} comes with the package; {closest(name, STORED)}")
    return Trained.load(STORED[name].path)


def task_of(trained):
    """The task that a training was for, with the parameters that it had.

    Raises
    ------
    ValueError
        A task that is none of the catalogue.
    """
    return described_task(trained.options["task"])
