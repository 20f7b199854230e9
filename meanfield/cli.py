"""The command line: ``meanfield report``, ``meanfield analyse`` and the others of :mod:`meanfield.commands`."""

import argparse
import contextlib
import os
import signal
import sys
import threading

from . import __version__
from .commands import analyse, explain, fit, report, train
from .commands.shared import EXIT_CODES, LAYOUT, UsageError

#: In the order of the help.
COMMANDS = (report, analyse, train, fit, explain)

MAIN = """\
The analytical mean-field engine for low-rank recurrent networks: derives the equations of their collective
variables, finds all their fixed points with a proof that none is missing, finds their limit cycles, and draws them.
"""


MAIN_EXAMPLES = """\
start here:
  meanfield report                         every example of the literature, as one page: report/index.html
  meanfield analyse model.toml             the same for a network of your own: its statistics ...
  meanfield analyse network.npz            ... or the network itself, neuron by neuron

  meanfield train rdm --rank 1             a network of your own on a cognitive task
  meanfield fit recording.npz --rank 2     a network fitted to recorded activity
  meanfield explain network.npz            how many populations it needs, and what each of them does

  meanfield COMMAND --help                 teaches more

A model file is a list of overlaps:

  rank = 2
  inputs = ["A"]
  [[population]]
  weight = 1.0
  "n1 m1" = 2.5
  "n2 m2" = 1.5
  "n1 A" = 0.5
"""


def parser():
    """The parser of the command line; ``command`` is the name of the chosen command."""
    good, bad = (
        "every statement holds and every search came to its end",
        "a statement fails, or something is not proved",
    )
    top = argparse.ArgumentParser(
        "meanfield",
        description=MAIN,
        epilog=MAIN_EXAMPLES + "\n" + EXIT_CODES.format(good=good, bad=bad),
        **LAYOUT,
    )
    top.add_argument("--version", action="version", version=f"meanfield {__version__}")
    commands = top.add_subparsers(dest="command", title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return top


def main(argv=None):
    """Run the command line; returns the exit code."""
    try:
        args = parser().parse_args(argv)
    except SystemExit as stop:  # argparse has printed help, version or its complaint
        return stop.code or 0
    try:
        with _termination_as_exit():
            return args.run(args)
    except UsageError as error:
        print(f"meanfield: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nmeanfield: interrupted; nothing was written", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if args.debug:
            import traceback

            traceback.print_exc()
        print(f"meanfield: internal error: {type(error).__name__}: {error}", file=sys.stderr)
        hint = "" if args.debug else " Run again with --debug, and report what it prints."
        print(f"This is a defect of meanfield {__version__}; nothing was written.{hint}", file=sys.stderr)
        return 3


@contextlib.contextmanager
def _termination_as_exit():
    """Let SIGTERM unwind the program, so that what is half-written is removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
