"""The command line's options, and what ``meanfield --help`` and its commands teach."""

import argparse

from . import __version__

EXIT_CODES = """\
exit codes:
  0    all is well: {good}
  1    it ran to its end, but {bad}
  2    wrong usage or bad input; the message says what, and what to do
  3    an internal error, a defect of meanfield; --debug shows where
  130  interrupted with Ctrl-C; an older report stays as it was
"""

MAIN = """\
The analytical mean-field engine for low-rank recurrent networks: derives the equations of their collective
variables, finds all their fixed points with a proof that none is missing, finds their limit cycles, and draws them.
"""

MAIN_EXAMPLES = """\
start here:
  meanfield report                         every example of the literature, as one page: report/index.html
  meanfield analyse model.toml             the same for a network of your own: its statistics ...
  meanfield analyse network.npz            ... or the network itself, neuron by neuron

  meanfield report --help, meanfield analyse --help   teach more

A model file is a list of overlaps:

  rank = 2
  inputs = ["A"]
  [[population]]
  weight = 1.0
  "n1 m1" = 2.5
  "n2 m2" = 1.5
  "n1 A" = 0.5
"""

REPORT_EXAMPLES = """\
examples:
  meanfield report                                  all examples of the literature and a drawn network (minutes)
  meanfield report --list                           their names
  meanfield report --case fig-4.1a fig-4.1d         only these
  meanfield report --quick --out glance             coarser pictures; every proof and statement all the same
  meanfield report --network net.npz                and a trained network of yours (.npz or PyTorch .pt)

what comes out, in the folder DIR:
  index.html     one self-contained page: equations, fixed points with proof, cycles, statements, figures
  report.json    the same numbers for a program
  figures/       each figure as PDF and SVG (with --quick: PNG)
  data/          the numbers behind each figure (.npz)
The folder appears when all is done, and replaces an older report as a whole. The same options give the same bytes.

Trained networks in ../shared/networks, or $MEANFIELD_SHARED/networks, are added when that folder exists and no
--case is given.
"""

ANALYSE_EXAMPLES = """\
examples:
  meanfield analyse model.toml                                     no input, then each input alone at amplitude 1
  meanfield analyse model.toml --input A=0.5 --input A=1,B=-1      two conditions of your choice
  meanfield analyse model.toml --input none --transfer erf         only without input, another transfer function
  meanfield analyse model.toml --networks                          and finite networks drawn from it: do they agree?
  meanfield analyse network.npz --digits 30                        fixed points of the finite network to 30 digits

FILE is a model (.toml: `meanfield --help` shows one; g = 1.5 in it adds random connections) or a network (.npz with m,
n, I, w, or a PyTorch state dictionary .pt; nothing in it is executed). A network is analysed exactly as it is: every
neuron is a population of its own. Where its file holds the mixture it was drawn from (mix_weights, mix_mean, mix_cov),
it is compared with that mixture too, and where a folder `oracle` beside it holds recorded trials of the same name,
these are run.

what comes out: tables on the screen, and a page like the report's in DIR (see `meanfield report --help`).
"""


def parser():
    """The parser of the command line; ``command`` is the name of the chosen command."""
    layout = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    good, bad = (
        "every statement holds and every search came to its end",
        "a statement fails, or something is not proved",
    )
    top = argparse.ArgumentParser(
        "meanfield",
        description=MAIN,
        epilog=MAIN_EXAMPLES + "\n" + EXIT_CODES.format(good=good, bad=bad),
        **layout,
    )
    top.add_argument("--version", action="version", version=f"meanfield {__version__}")
    commands = top.add_subparsers(dest="command", title="commands", required=True, metavar="COMMAND")
    _add_report(commands, layout)
    _add_analyse(commands, layout)
    return top


def _add_report(commands, layout):
    good = "every statement holds, and each search is proved complete or ends in a proved enclosure"
    bad = "a statement fails, or a search ended without an answer"
    report = commands.add_parser(
        "report",
        help="every example of the literature, as one page",
        description="Derive, solve and draw every example of the literature.",
        epilog=REPORT_EXAMPLES + "\n" + EXIT_CODES.format(good=good, bad=bad),
        **layout,
    )
    report.add_argument("--case", nargs="+", action="extend", metavar="NAME", help="only these examples (see --list)")
    report.add_argument(
        "--network", action="append", default=[], metavar="FILE", help="add this trained network; may be repeated"
    )
    report.add_argument("--out", default="report", metavar="DIR", help="folder to write (default: report)")
    report.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help="seed of everything that is drawn (default: 0)"
    )
    report.add_argument("--list", action="store_true", help="list the examples and stop")
    _add_common(report)


def _add_analyse(commands, layout):
    analyse = commands.add_parser(
        "analyse",
        aliases=["analyze"],
        help="your own model or network",
        description="All fixed points and cycles of a model or a network.",
        epilog=ANALYSE_EXAMPLES
        + "\n"
        + EXIT_CODES.format(
            good="all fixed points are proved complete",
            bad="some set is only enclosed (a ring, a bifurcation), or a search is not settled",
        ),
        **layout,
    )
    analyse.add_argument("file", metavar="FILE", help="model .toml, or network .npz or .pt")
    analyse.add_argument(
        "--input",
        "--condition",
        dest="conditions",
        action="append",
        metavar="A=1,B=0",
        help="amplitudes of one condition, unlisted inputs are off; `none` for no input; may be repeated",
    )
    analyse.add_argument("--transfer", metavar="NAME", help="transfer function (default: the file's own, or tanh)")
    analyse.add_argument(
        "--box",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="search every kappa between these only (default: a box proved to hold all fixed points)",
    )
    analyse.add_argument("--max-boxes", type=_count, metavar="N", help="budget of the proof (default: by rank)")
    analyse.add_argument(
        "--starts",
        type=_count,
        metavar="N",
        help="search from N starts, without the proof that none is missing (default beyond five unknowns)",
    )
    analyse.add_argument(
        "--networks", action="store_true", help="draw finite networks from the model and check the theory against them"
    )
    analyse.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help="seed of the networks that are drawn (default: 0)"
    )
    analyse.add_argument("--digits", type=_digits, metavar="N", help="also print the fixed points to N digits")
    analyse.add_argument("--out", metavar="DIR", help="folder of the page (default: report-NAME for a file NAME.npz)")
    _add_common(analyse)


def _add_common(parser):
    parser.add_argument("--quick", action="store_true", help="coarser pictures (PNG only); every proof all the same")
    parser.add_argument("--quiet", action="store_true", help="no progress, only results and errors")
    parser.add_argument("--debug", action="store_true", help="show where an internal error happened")


def _seed(text):
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 on: got {text!r}")
    return int(text)


def _count(text):
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on: got {text!r}")
    return int(text)


def _digits(text):
    if not (text.isdecimal() and 1 <= int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 to 1000: got {text!r}")
    return int(text)
