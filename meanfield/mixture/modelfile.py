"""The text of a model file: TOML with the keys of ``Connectivity.from_overlaps``.

    title = "An input turns bistability into a limit cycle"   # optional
    transfer = "tanh"                                         # optional
    rank = 2
    inputs = ["A"]                                            # optional, like readouts = [..]
    g = 0.0                                                   # optional; also a matrix [[.., ..], [.., ..]]

    [[population]]
    weight = 0.5
    "n1 m1" = 3.0
    "mean n1" = 1.0

What is not listed follows from :mod:`meanfield.mixture.overlaps`. Floats are written by ``repr``, and everything that
does not follow exactly is listed, so a file that was written is read back bit by bit.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..conventions import brief, closest

#: Larger files are refused unread: a model of this size is not meant for a person, and parsing it takes minutes.
LARGEST_FILE = 64 * 2**20
#: Largest number of covariances (populations x loadings x loadings) a file may ask for: 400 MB of floats.
LARGEST_MODEL = 50_000_000

KEYS = {
    "title": str,
    "transfer": str,
    "rank": int,
    "inputs": list,
    "readouts": list,
    "g": (float, int, list),
    "population": list,
}
TYPES = {str: "a string", int: "an integer", list: "a list", (float, int, list): "a number, or a matrix [[..], ..]"}


def dumps(c, title: str | None = None, transfer: str | None = None) -> str:
    """The model file of a connectivity, as text."""
    lines = [
        "# Low-rank connectivity. Unlisted: variances of m and of inputs are 1, other covariances and means are 0."
    ]
    for key, text in (("title", title), ("transfer", transfer)):
        if text is not None:
            if not isinstance(text, str):
                raise ValueError(f"{key} must be a string: got {text!r}")
            lines.append(f"{key} = {_quote(text)}")
    lines.append(f"rank = {c.rank}")
    for key, names in (("inputs", c.inputs), ("readouts", c.readouts)):
        if names:
            lines.append(f"{key} = [{', '.join(map(_quote, names))}]")
    if np.any(c.g):
        rows = "".join(f"\n  {row}," for row in c.g.tolist()) if np.ndim(c.g) else ""
        lines.append(f"g = [{rows}\n]" if rows else f"g = {c.g!r}")
    for p, weight in enumerate(c.weights.tolist()):
        lines += ["", "[[population]]", f"weight = {weight!r}"]
        lines += [f"{_quote(key)} = {value!r}" for key, value in entries(c, p)]
    return "\n".join(lines) + "\n"


def entries(c, p: int) -> list[tuple[str, float]]:
    """What must be listed of population p besides its weight: all that does not follow exactly."""
    names, mean, covariance = c.names, c.means[p], c.covariances[p]
    axes = np.arange(len(names))
    x = np.concatenate([axes[c.slice("m")], axes[c.slice("I")]])
    y = np.concatenate([axes[c.slice("n")], axes[c.slice("w")]])
    default = np.zeros_like(covariance)
    default[x, x] = 1.0
    tuned = y[covariance[np.ix_(y, x)].any(axis=1)]
    default[np.ix_(tuned, tuned)] = np.nan  # their covariances follow from the rest only up to rounding
    pairs = np.argwhere(np.triu(covariance != default))
    free = set(x.tolist())
    found = [(f"mean {names[a]}", mean[a].item()) for a in np.flatnonzero(mean)]
    for a, b in pairs.tolist():
        first, second = (b, a) if a in free and b not in free else (a, b)
        found.append((f"{names[first]} {names[second]}", covariance[a, b].item()))
    return found


def parse(text: str) -> dict[str, Any]:
    """The checked top-level keys of a model file; populations stay mappings.

    Raises
    ------
    ValueError
        No TOML (with the line), an unknown or missing key, a value of a wrong type, a model beyond ``LARGEST_MODEL``.
    """
    import tomllib

    try:
        table = tomllib.loads(text)
    except RecursionError:
        raise ValueError("not a model file: nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"not valid TOML: {error}") from None
    for key, value in table.items():
        if key not in KEYS:
            raise ValueError(f"unknown key {key!r}; {closest(key, KEYS)}")
        if not isinstance(value, KEYS[key]) or isinstance(value, bool):
            more = "; write [[population]] with two brackets" if key == "population" else ""
            raise ValueError(f"key {key!r} must be {TYPES[KEYS[key]]}: got {brief(value)}{more}")
    for key in ("rank", "population"):
        if key not in table:
            raise ValueError(f"key {key!r} is missing; a model needs rank = .. and at least one [[population]]")
    for key in ("inputs", "readouts"):
        if not all(isinstance(name, str) for name in table.get(key, [])):
            raise ValueError(f"key {key!r} must be a list of strings: got {brief(table[key])}")
    loadings = 2 * table["rank"] + len(table.get("inputs", [])) + len(table.get("readouts", []))
    if len(table["population"]) * loadings**2 > LARGEST_MODEL:
        raise ValueError(
            f"the model is too large: {len(table['population'])} populations of {loadings} loadings; check 'rank'"
        )
    return table


def read(path) -> str:
    """The text of a file.

    Raises
    ------
    FileNotFoundError, PermissionError
        As the system says.
    ValueError
        A directory, larger than ``LARGEST_FILE``, or not UTF-8.
    """
    if os.path.isdir(path):
        raise ValueError("is a directory; a model file is one file")
    with open(path, "rb") as file:
        data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise ValueError(
            f"is larger than {LARGEST_FILE // 2**20} MiB; a model file lists statistics, not the weights of a network"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(
            f"is not UTF-8 text (byte 0x{data[error.start]:02x} in line {line}); a model file is TOML"
        ) from None


def write(path, content: str | bytes) -> None:
    """Replace a file as a whole: a reader sees the old content or the new one, and on failure the old one stays.

    A text is written in UTF-8. The folder must exist.
    """
    path = Path(os.path.realpath(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: the folder {path.parent} does not exist")
    data = content.encode("utf-8") if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name[:50]}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode(path))
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _mode(path: Path) -> int:
    """The permissions of the file that is replaced, or those of any new file."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _quote(text: str) -> str:
    """A TOML basic string: JSON's escapes are the same, DEL apart."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"text cannot be written as UTF-8: {text!r}") from None
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
