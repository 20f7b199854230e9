"""``meanfield explain``: how many populations a network needs, and what each of them does."""

from dataclasses import replace

from .shared import (
    EXIT_CODES,
    LAYOUT,
    UsageError,
    add_common,
    asked,
    border,
    count,
    page_line,
    read_network,
    recorded_trials,
    section_job,
    seed,
    settings,
    slug,
    write_page,
)

EXPLAIN_EXAMPLES = """\
examples:
  meanfield explain net.npz                                 1 to 4 populations; its own task, where the file names one
  meanfield explain net.npz --task dms --populations 1 2 3  trials of this task, these numbers of populations
  meanfield explain net.npz --zero-mean --seeds 5           populations without means; more searches for each number
  meanfield explain net.npz --trials trials.npz             recorded trials: u, z, kappa, target, labels, window

NETWORK is an .npz file with m, n, I, w, such as `meanfield train` and `meanfield fit` write, or a PyTorch .pt.

what comes out: the fewest populations whose mean-field theory has the network's fixed points under every input and
decides every trial as it does; how sure that is; what each population contributes, and what silencing it does. On the
screen as a table, and as a page in DIR (see `meanfield report --help`).
"""


def add(commands):
    """Add the command to the parser."""
    explain = commands.add_parser(
        "explain",
        help="a trained network by its populations",
        description="Explain a network by populations: the fewest whose theory does what it does.",
        epilog=EXPLAIN_EXAMPLES
        + "\n"
        + EXIT_CODES.format(
            good="a mixture explains the network, and every statement holds",
            bad="no candidate explains the network, or a statement fails",
        ),
        **LAYOUT,
    )
    explain.add_argument("file", metavar="NETWORK", help="network .npz or .pt")
    explain.add_argument("--task", metavar="TASK", help="trials of this task (default: the file's own)")
    explain.add_argument(
        "--set", action="append", default=[], dest="settings", metavar="NAME=X", help="parameter of the task"
    )
    explain.add_argument("--trials", metavar="FILE", help="recorded trials instead")
    explain.add_argument(
        "--populations",
        type=count,
        nargs="+",
        default=[1, 2, 3, 4],
        metavar="P",
        help="numbers to try (default: 1 2 3 4)",
    )
    explain.add_argument("--zero-mean", action="store_true", help="populations that differ by covariance only")
    explain.add_argument("--restarts", type=count, default=50, metavar="K", help="starts of each search (default: 50)")
    explain.add_argument("--seeds", type=count, default=1, metavar="K", help="searches for each number (default: 1)")
    explain.add_argument("--seed", type=seed, default=0, metavar="N", help="of all that is drawn (default: 0)")
    explain.add_argument("--out", metavar="DIR", help="folder of the page (default: report-NETWORK)")
    add_common(explain)
    explain.set_defaults(run=run)


def run(args):
    """Carry it out; returns the exit code."""
    from meanfield.proof.bounds import NoSearchBox
    from meanfield.validation import folder, sections
    from meanfield.validation.populations.shown import explained, left_out

    out = args.out or f"report-{slug(args.file)}"
    with border():
        folder.check_replaceable(out)
        whole = net = read_network(args.file)
        if net.has_random:
            note = "Only its low-rank part is explained: the rest of the connectivity is left out."
            net = replace(net, random=None, notes=(*net.notes, note))
        _check_solvable(net)
        trials = _fitting(_trials(args, net), net)
        section = sections.network_section(slug(args.file), args.file, net)
    found = []
    rest = left_out(whole, trials) if whole.has_random else ()

    def check(portraits, say):
        choosing = {"means": not args.zero_mean, "restarts": args.restarts, "seeds": args.seeds}
        numbers = sorted(set(args.populations))
        try:
            choice, figures, statements = explained(net, trials, numbers, args.quick, args.seed, say, **choosing)
        except NoSearchBox as error:
            raise UsageError(_unbounded(error)) from error
        found.append(choice)
        return figures, (*rest, *statements)

    options = asked(args)
    _, verdict = write_page(args, out, [section_job(args, section, check)], f"Populations: {section.title}", options)
    known = "".join(f"{x.text}: {x.value} ({x.expected}){'' if x.holds else '  <--'}\n" for x in rest)
    print(f"{found[0]}\n{known}\n{verdict}\n{page_line(out)}")
    return 0 if verdict.good and found[0].chosen is not None else 1


def _trials(args, net):
    """The trials to decide: recorded ones, those of a task, or those beside the file; None where nothing is known."""
    from meanfield.validation.decisions import load_trials
    from meanfield.validation.tasks.catalogue import get_task

    if args.trials and args.task:
        raise ValueError("--trials and --task: give one of them")
    if args.trials:
        return load_trials(args.trials)
    if args.task:
        return get_task(args.task, **settings(args.settings)).grid()
    recorded = recorded_trials(args.file)
    if recorded is not None or not net.task:
        return recorded
    return get_task(net.task, **net.task_options).grid()


def _check_solvable(net):
    """Meet before any work that fixed points may lie arbitrarily far out."""
    from meanfield.dynamics import reduce
    from meanfield.proof.bounds import NoSearchBox

    try:
        reduce(net.connectivity, net.transfer).search_box()
    except NoSearchBox as error:
        raise ValueError(_unbounded(error)) from None


def _unbounded(error):
    reason = str(error).split("; pass box=")[0]
    return f"{reason}: no portrait can be compared; `meanfield analyse --box LOW HIGH` looks at a region"


def _fitting(trials, net):
    """The trials, where the network can do them."""
    from meanfield.validation.decisions import euler_step

    if trials is not None:
        ours, theirs = len(net.input_names), trials.u.shape[-1]
        if ours != theirs:
            raise ValueError(
                f"the trials have {theirs} inputs, the network {ours}; name the task it was made for: --task"
            )
        euler_step(net, trials)
    return trials
