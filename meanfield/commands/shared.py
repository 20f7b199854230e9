"""What the commands share: errors of the user, files, progress, the page; kinds of options."""

import argparse
import contextlib
import re
import sys
from pathlib import Path

EXIT_CODES = """\
exit codes:
  0    all is well: {good}
  1    it ran to its end, but {bad}
  2    wrong usage or bad input; the message says what, and what to do
  3    an internal error, a defect of meanfield; --debug shows where
  130  interrupted with Ctrl-C; an older report stays as it was
"""


LAYOUT = {"formatter_class": argparse.RawDescriptionHelpFormatter}


class UsageError(Exception):
    """A mistake of the user; the text tells what to do."""


@contextlib.contextmanager
def border():
    """Errors raised in here are about what the user gave."""
    try:
        yield
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        raise UsageError(what) from error
    except ValueError as error:
        raise UsageError(str(error)) from error


def section_job(args, section, check=None, conditions=None, networks=False):
    """One section of a page as a job of :func:`write_page`: its name, and what works it out."""
    from meanfield.validation.sections import worked_out

    return section.name, lambda say: worked_out(section, conditions, args.quick, say, check, networks, args.seed)


def recorded_trials(file):
    """The trials that were recorded of a network, in the folder ``oracle`` beside its file, or None."""
    from meanfield.validation.decisions import load_trials

    beside = Path(file).parent / "oracle" / Path(file).with_suffix(".npz").name
    return load_trials(beside) if beside.is_file() else None


def examination(net, file, args):
    """What else is asked of a network: its own mixture, where the file has it, and trials recorded beside it."""
    from meanfield.validation.trained import examine

    trials = recorded_trials(file)
    if net.mixture is None and trials is None:
        return None
    return lambda portraits, say: examine(net, trials, args.quick, args.seed, say)


def read_network(file):
    """The network of a file.

    Raises
    ------
    ValueError
        No such file, or what :func:`~meanfield.validation.load_network` refuses.
    """
    from meanfield.validation.networks import load_network

    if not Path(file).exists():
        raise ValueError(f"no such file: {file}")
    return load_network(file)


def slug(file):
    """A file's name, fit for the name of a folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", Path(file).stem).strip("-.") or "network"


def write_page(args, out, jobs, title, options, notes=()):
    """Work out the jobs and write their page; returns the sections and the verdict."""
    from meanfield.validation import report

    with _progress(jobs, args.quiet) as tell:
        try:
            return report.write(out, jobs, title, options, notes, tell, args.quick)
        except OSError as error:
            raise UsageError(f"cannot write {out}: {error}") from error


@contextlib.contextmanager
def _progress(jobs, quiet):
    """A bar over the sections on a terminal; elsewhere a line for each when it is done. All on stderr."""
    from tqdm import tqdm

    with tqdm(total=len(jobs), unit="section", disable=True if quiet else None, dynamic_ncols=True, leave=False) as bar:
        done = []

        def tell(name, message):
            if message is not None:
                bar.set_postfix_str(message)
                return
            bar.update()
            done.append(name)
            if bar.disable and not quiet:
                print(f"[{len(done)}/{len(jobs)}] {name}", file=sys.stderr, flush=True)

        yield tell


def asked(args):
    """The options of a command for its page: files by their names, without folders."""
    kept = {key: value for key, value in vars(args).items() if key not in ("run", "command", "debug", "quiet")}
    files = ("file", "out", "page", "trials", "start", "checkpoint", "inputs")
    return {key: Path(value).name if value and key in files else str(value) for key, value in kept.items()}


def page_line(out):
    """Where the page is."""
    return f"The page: {Path(out).resolve() / 'index.html'}"


def add_common(parser):
    """Options that every command has."""
    parser.add_argument("--quick", action="store_true", help="coarser pictures (PNG only); every proof all the same")
    parser.add_argument("--quiet", action="store_true", help="no progress, only results and errors")
    parser.add_argument("--debug", action="store_true", help="show where an internal error happened")


def seed(text):
    """A seed, from the command line."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 on: got {text!r}")
    return int(text)


def count(text):
    """A number of things, from the command line."""
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on: got {text!r}")
    return int(text)


def settings(texts):
    """Parameters of a task by name, from NAME=NUMBER each."""
    return dict(map(_setting, texts))


def _setting(text):
    name, equals, value = (part.strip() for part in text.partition("="))
    try:
        if not equals:
            raise ValueError
        numbers = tuple(map(float, value.split(",")))
    except ValueError:
        raise ValueError(f"--set: got {text!r}, expected NAME=NUMBER, or NAME=NUMBER,NUMBER,..") from None
    return name, numbers if len(numbers) > 1 else numbers[0]
