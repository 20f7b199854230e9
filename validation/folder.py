"""A folder that appears whole or not at all: written beside its place, then moved into it."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

#: Names the files that we wrote, one per line; a folder without it, or with more in it, is not ours to replace.
MARKER = ".meanfield-report"


def check_replaceable(folder):
    """Return the absolute path of ``folder`` when we may create or replace it.

    Raises
    ------
    ValueError
        It is a file, holds the working directory, or has something in it that we did not write.
    OSError
        Its parent cannot be created or written.
    """
    path = Path(folder).resolve()
    if path == Path.cwd() or path in Path.cwd().parents:
        raise ValueError(f"cannot replace {path}: it holds the working directory; name another folder")
    if path.exists() and not path.is_dir():
        raise ValueError(f"cannot write the report to {path}: it is a file; name a folder")
    foreign = _foreign(path) if path.is_dir() else []
    if foreign:
        shown = ", ".join(foreign[:3]) + (", ..." if len(foreign) > 3 else "")
        raise ValueError(
            f"cannot replace {path}: it holds files that are not part of a report ({shown}); "
            "move them, or name another folder"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise PermissionError(f"cannot write the report to {path}: no permission to write in {path.parent}")
    return path


def _foreign(path):
    """Files in ``path`` that no marker of ours lists."""
    present = sorted(str(p.relative_to(path).as_posix()) for p in path.rglob("*") if not p.is_dir() or p.is_symlink())
    marker = path / MARKER
    ours = set(marker.read_text(encoding="utf-8").splitlines()) | {MARKER} if marker.is_file() else set()
    return [name for name in present if name not in ours]


@contextlib.contextmanager
def replaced(folder):
    """Yield an empty folder that takes the place of ``folder`` when the block ends, and vanishes when it fails."""
    path = check_replaceable(folder)
    work = Path(tempfile.mkdtemp(prefix=f".{path.name}-", suffix=".partial", dir=path.parent))
    try:
        umask = os.umask(0)
        os.umask(umask)
        work.chmod(0o777 & ~umask)  # mkdtemp's folders are private
        yield work
        files = sorted(p.relative_to(work).as_posix() for p in work.rglob("*") if p.is_file())
        (work / MARKER).write_text("".join(f"{name}\n" for name in files), encoding="utf-8")
        _swap(work, check_replaceable(path))
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _swap(work, path):
    """Move ``work`` to ``path``; what stood there goes only once its successor is in place."""
    if not path.exists():
        os.rename(work, path)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{path.name}-", suffix=".old", dir=path.parent))
    os.rename(path, old)  # onto an empty folder
    try:
        os.rename(work, path)
    except BaseException:
        os.rename(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)
