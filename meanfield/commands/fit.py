"""``meanfield fit``: a low-rank network fitted to recorded activity (LINT)."""

from dataclasses import replace
from pathlib import Path

from .shared import (
    EXIT_CODES,
    LAYOUT,
    UsageError,
    add_common,
    asked,
    border,
    count,
    page_line,
    section_job,
    seed,
    slug,
    write_page,
)

FIT_EXAMPLES = """\
examples:
  meanfield fit recording.npz --rank 2                     arrays rates (trials, samples, neurons), inputs, dt
  meanfield fit recording.npz --rank 1 2 3 4 5             the smallest rank within one standard error of the best
  meanfield fit rates.npy --dt 0.02 --tau 0.1 --cut 100    one long recording, in segments of 100 samples
  meanfield fit eeg.mat --rates X --dt 0.00625 --current   what was recorded is x, not phi(x)
  meanfield fit recording.npz --rank 2 --method gradients  through time, where one step ahead is not enough

FILE is .npy, .npz, .mat, or .nwb (pip install "lowrank-meanfield[nwb]"); nothing in it is executed. dt and tau have one
unit. What is printed as R^2 is of trials that were held out, the network running free from their first sample.

what comes out: FILE-fit.npz with the network (`meanfield explain` and `meanfield analyse` take it), and a page in DIR:
what each stage of the fit did, held-out prediction, all fixed points of the network that was found.
"""


def add(commands):
    """Add the command to the parser."""
    fit = commands.add_parser(
        "fit",
        help="a low-rank network fitted to recordings",
        description="Fit a low-rank network to recorded or simulated activity (low-rank inference from trajectories).",
        epilog=FIT_EXAMPLES
        + "\n"
        + EXIT_CODES.format(
            good="the fitted network, running free, explains held-out trials",
            bad="it explains less than half of them, or a statement fails",
        ),
        **LAYOUT,
    )
    fit.add_argument("file", metavar="FILE", help="recording .npy, .npz, .mat or .nwb")
    fit.add_argument(
        "--rank", type=count, nargs="+", default=[1, 2, 3], metavar="R", help="ranks to try (default: 1 2 3)"
    )
    fit.add_argument("--rates", metavar="NAME", help="name of the array of rates in the file (default: the usual ones)")
    fit.add_argument("--inputs", metavar="NAME", help="name of the array of inputs; `none`, or `unknown` to learn them")
    fit.add_argument("--dt", type=float, metavar="X", help="time between two samples (default: the file's)")
    fit.add_argument(
        "--tau", type=float, nargs="+", default=[1.0], metavar="X", help="time constant, or several to choose from"
    )
    fit.add_argument("--transfer", default="tanh", metavar="NAME", help="transfer function (default: tanh)")
    fit.add_argument("--current", action="store_true", help="the file holds input currents x, not rates phi(x)")
    fit.add_argument("--cut", type=count, metavar="K", help="cut trials into segments of K samples")
    fit.add_argument("--held-out", type=float, default=0.2, metavar="X", help="share of trials held out (default: 0.2)")
    fit.add_argument(
        "--method", choices=("auto", "closed form", "projected", "gradients"), default="auto", help="(default: auto)"
    )
    fit.add_argument("--seed", type=seed, default=0, metavar="N", help="of the choice of held-out trials (default: 0)")
    fit.add_argument("--out", metavar="FILE", help="network to write, .npz (default: NAME-fit.npz)")
    fit.add_argument("--page", metavar="DIR", help="folder of the page (default: report-NAME-fit)")
    add_common(fit)
    fit.set_defaults(run=run)


def run(args):
    """Carry it out; returns the exit code."""
    from meanfield.validation import folder
    from meanfield.validation.lint.shown import fitted_section
    from meanfield.validation.networks import save_network

    out = Path(args.out or f"{slug(args.file)}-fit.npz")
    page = args.page or f"report-{slug(out)}"
    with border():
        if out.suffix != ".npz":
            raise ValueError(f"--out: got {out.name}, expected a name that ends in .npz")
        if out.resolve() == Path(args.file).resolve():
            raise ValueError(f"--out: {out} is the recording itself; name another file")
        folder.check_replaceable(page)
        fit, ranks = _fitted(args)
    save_network(fit.network, out)
    print(f"{fit if ranks is None else ranks}\nWritten: {out}")
    section, check = fitted_section(slug(out), out, fit, ranks)
    _, verdict = write_page(args, page, [section_job(args, section, check)], section.title, asked(args))
    print(f"{verdict}\n{page_line(page)}")
    return 0 if fit.success and verdict.good else 1


def _fitted(args):
    """The fit of the rank that was asked for, or of the chosen one and what all came to."""
    from meanfield.validation.lint.fitting import lint
    from meanfield.validation.lint.ranks import select_rank

    recording, inputs = _recording(args)
    options = {"dt": args.dt, "tau": args.tau[0] if len(args.tau) == 1 else args.tau, "transfer": args.transfer}
    options |= {"variable": "current" if args.current else "rate", "held_out": args.held_out, "seed": args.seed}
    ranks = sorted(set(args.rank))
    try:
        if len(ranks) == 1:
            return lint(recording, inputs, ranks[0], method=args.method, **options), None
        chosen = select_rank(recording, inputs, ranks, method=args.method, **options)
        return chosen.fit, chosen
    except ImportError as error:
        raise UsageError(str(error)) from error


def _recording(args):
    from meanfield.validation.lint.recordings import load_recording

    named = args.inputs if args.inputs not in ("none", "unknown") else None
    try:
        recording = load_recording(args.file, rates=args.rates, inputs=named, dt=args.dt)
    except ImportError as error:
        raise UsageError(str(error)) from error
    if args.inputs == "none":
        recording = replace(recording, inputs=None)
    recording = recording.cut(args.cut) if args.cut else recording
    return recording, "unknown" if args.inputs == "unknown" else None
