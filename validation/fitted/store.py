"""Trained networks and mixtures that come with the package, and the commands that made them."""

from dataclasses import dataclass
from pathlib import Path

from meanfield.conventions import closest

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


#: All of them, by name.
STORED: dict[str, Stored] = {}


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
