"""Model files: a connectivity as TOML that a person can read, write and compare.

See :mod:`meanfield.mixture.modelfile` for the format.
"""

import os

from .connectivity import Connectivity
from .mixture import modelfile
from .mixture.modelfile import dumps

__all__ = ["dumps", "load", "loads", "read_model", "save"]


def read_model(path) -> tuple[Connectivity, dict[str, str]]:
    """The connectivity in a model file and its optional texts, ``{"title": .., "transfer": ..}`` as far as they are
    there.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        A bad file; the message has the name of the file, the key, what was found and what was expected.
    """
    try:
        return _build(modelfile.read(path))
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from None


def load(path) -> Connectivity:
    """The connectivity in a model file; errors as in :func:`read_model`."""
    return read_model(path)[0]


def loads(text: str) -> Connectivity:
    """The connectivity in the text of a model file; errors as in :func:`read_model`, without a file name."""
    return _build(text)[0]


def save(path, connectivity: Connectivity, title: str | None = None, transfer: str | None = None) -> None:
    """Write a model file; the file is replaced as a whole or not at all. :func:`load` gives back the same bits."""
    modelfile.write(path, dumps(connectivity, title, transfer))


def _build(text: str) -> tuple[Connectivity, dict[str, str]]:
    table = modelfile.parse(text)
    extras = {key: table[key] for key in ("title", "transfer") if key in table}
    names = (table.get("inputs", []), table.get("readouts", []))
    return Connectivity.from_overlaps(table["population"], table["rank"], *names, g=table.get("g", 0.0)), extras
