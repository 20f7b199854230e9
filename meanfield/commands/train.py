"""``meanfield train``: a network or a mixture, trained on a task by gradients."""

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
    settings,
    slug,
    write_page,
)

KINDS = ("low-rank", "full-rank", "mixture", "mixture-limit", "hand-built", "hand-built-limit")

TRAIN_EXAMPLES = """\
examples:
  meanfield train rdm --rank 1 --loss 0.15 --out rdm.npz              perceptual decision, 512 neurons
  meanfield train dms --rank 2 --hold w --overlap 1.5 --shaping 0 0.4 --learning-rate 0.01
    (one line)                            delayed match: memories from the start, and delays that grow
  meanfield train rdm --kind mixture-limit --populations 1            a mixture, at N = infinity: no neuron is drawn
  meanfield train rdm --kind full-rank --neurons 128 --steps 500      every connection
  meanfield train rdm --kind hand-built --loss 0.05                   six parameters, through neurons drawn from them
  meanfield train rdm --set decision=40 --set noise_std=0.2           other parameters of the task
  meanfield train dms --rank 2 --checkpoint dms.part.npz              run the same line again to go on after Ctrl-C

tasks: rdm (perceptual decision), dms (delayed match-to-sample), romo (parametric working memory), context
(context-dependent decision), multisensory. What each parameter is: documentation, page "Tasks".
hand-built, hand-built-limit: the mixture of rank one and six parameters for perceptual decisions, with finite and
infinite N.

what comes out: FILE.npz with the network (`meanfield explain FILE.npz`, `meanfield analyse FILE.npz` take it), or
FILE.toml with the mixture beside it, and a page in DIR: how the loss fell, what is decided, all fixed points. The same
options give the same network on one kind of device. Needs JAX and optax: pip install "lowrank-meanfield[fit]".
"""


def add(commands):
    """Add the command to the parser."""
    train = commands.add_parser(
        "train",
        help="a network of your own on a cognitive task",
        description="Train a network, or the mixture that networks are drawn from, on a cognitive task.",
        epilog=TRAIN_EXAMPLES
        + "\n"
        + EXIT_CODES.format(good="the goal was reached", bad="the goal was not reached; the page says why"),
        **LAYOUT,
    )
    train.add_argument("task", metavar="TASK", help="rdm, dms, romo, context or multisensory")
    train.add_argument("--kind", choices=KINDS, default=KINDS[0], help="what is trained (default: low-rank)")
    train.add_argument("--rank", type=count, default=1, metavar="R", help="rank of the connectivity (default: 1)")
    train.add_argument("--neurons", type=count, default=512, metavar="N", help="number of neurons (default: 512)")
    train.add_argument("--populations", type=count, default=2, metavar="P", help="of a mixture (default: 2)")
    train.add_argument("--steps", type=count, default=2000, metavar="K", help="at most so many (default: 2000)")
    train.add_argument("--batch", type=count, default=64, metavar="B", help="trials per step (default: 64)")
    train.add_argument("--learning-rate", type=float, default=5e-3, metavar="X", help="of Adam (default: 0.005)")
    train.add_argument(
        "--noise", type=float, default=0.05, metavar="X", help="noise on each x per step (default: 0.05)"
    )
    train.add_argument(
        "--shaping", type=float, nargs="+", default=(), metavar="F", help="stages with shorter delays, 0 to 1"
    )
    train.add_argument(
        "--accuracy", type=float, default=0.95, metavar="X", help="the goal on fresh trials (default: 0.95)"
    )
    train.add_argument("--loss", type=float, metavar="X", help="and the largest error of the readout there")
    train.add_argument(
        "--set", action="append", default=[], dest="settings", metavar="NAME=X", help="parameter of the task"
    )
    _add_starts(train)
    train.add_argument("--start", metavar="FILE", help="begin from this network; a higher rank is cut")
    train.add_argument("--checkpoint", metavar="FILE", help="go on from here where it exists; written on the way")
    train.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="(default: float32)")
    train.add_argument("--seed", type=seed, default=0, metavar="N", help="of everything that is drawn (default: 0)")
    train.add_argument("--out", metavar="FILE", help="network to write, .npz (default: TASK-KIND.npz)")
    train.add_argument("--page", metavar="DIR", help="folder of the page (default: report-FILE)")
    add_common(train)
    train.set_defaults(run=run)


def _add_starts(train):
    """Options about what training starts from, and about what it leaves as it is."""
    train.add_argument("--hold", nargs="+", default=(), metavar="PART", help="parts that are not trained: m n I w J ..")
    train.add_argument("--overlap", type=float, metavar="X", help="of each n with its m at the start; not of full rank")
    train.add_argument(
        "--drive", type=float, metavar="X", help="standard deviation of the inputs' loadings at the start"
    )
    train.add_argument(
        "--width", type=float, metavar="X", help="how much the populations of a mixture differ at the start"
    )
    train.add_argument(
        "--clip", type=float, default=1.0, metavar="X", help="largest norm of the gradients (default: 1)"
    )
    train.add_argument("--starts", type=count, default=1, metavar="K", help="go on from the best of K random starts ..")
    train.add_argument("--screening", type=count, default=300, metavar="K", help=".. after K steps (default: 300)")
    train.add_argument(
        "--first", action="append", default=[], metavar="NAME=X", help="parameter of an easier task, the first stage"
    )


def run(args):
    """Carry it out; returns the exit code."""
    from meanfield.validation import folder
    from meanfield.validation.training.shown import trained_section

    out = Path(args.out or f"{args.task}-{args.kind}.npz")
    page = args.page or f"report-{slug(out)}"
    with border():
        task = _task(args)
        parametrisation = _parametrisation(args)
        if out.suffix != ".npz":
            raise ValueError(f"--out: got {out.name}, expected a name that ends in .npz")
        for file in (out, Path(args.checkpoint or out)):
            if not file.parent.is_dir():
                raise ValueError(f"cannot write {file}: the folder {file.parent} does not exist")
        folder.check_replaceable(page)
        start = None if args.start is None else _start(args.start)
    trained = _trained(args, task, parametrisation, start)
    with border():
        trained.save(out)
        if trained.connectivity is not None:
            trained.connectivity.save(out.with_suffix(".toml"), title=f"Trained on {task.name}")
    print(f"{trained}\nWritten: {out}")
    section, check = trained_section(slug(out), trained, task, out)
    job = section_job(args, section, check)
    options = asked(args)
    _, verdict = write_page(args, page, [job], section.title, options)
    print(f"{verdict}\n{page_line(page)}")
    return 0 if trained.success and verdict.good else 1


def _trained(args, task, parametrisation, start):
    from meanfield.validation.training.trainer import train

    with border():
        try:
            return train(
                task, parametrisation, steps=args.steps, batch=args.batch, learning_rate=args.learning_rate,
                noise_std=args.noise, shaping=_shaping(args), accuracy=args.accuracy, loss=args.loss, start=start,
                clip=args.clip, starts=args.starts, screening=args.screening, checkpoint=args.checkpoint,
                dtype=args.dtype, seed=args.seed, progress=False if args.quiet else None,
            )  # fmt: skip
        except ImportError as error:
            raise UsageError(str(error)) from error


def _task(args, easier=()):
    from meanfield.validation.tasks.catalogue import get_task

    return get_task(args.task, **settings(args.settings) | settings(easier))


def _shaping(args):
    """The stages before the task itself: fractions, after an easier task where one is described."""
    return (*((_task(args, args.first),) if args.first else ()), *args.shaping)


def _parametrisation(args):
    from meanfield.validation.training import mixtures, parametrisations

    given = {key: getattr(args, key) for key in ("overlap", "drive", "width") if getattr(args, key) is not None}
    given |= {"held": tuple(args.hold)} if args.hold else {}
    if args.kind == "low-rank":
        return _made(parametrisations.LowRank, args, given, n_neurons=args.neurons, rank=args.rank)
    if args.kind == "full-rank":
        return _made(parametrisations.FullRank, args, given, n_neurons=args.neurons, rank=args.rank)
    if args.kind.startswith("hand-built"):
        structure = _made(mixtures.hand_built, args, given)
    else:
        structure = _made(mixtures.Gaussian, args, given, populations=args.populations, rank=args.rank)
    limit = args.kind.endswith("limit")
    return mixtures.MixtureLimit(structure) if limit else mixtures.Mixture(structure, args.neurons)


def _made(kind, args, given, **sizes):
    """A parametrisation with the options that were given, of which it must know every one."""
    for key in given:
        if key not in getattr(kind, "__dataclass_fields__", ()):
            raise ValueError(
                f"--{'hold' if key == 'held' else key}: there is nothing of the kind in --kind {args.kind}"
            )
    return kind(**sizes, **given)


def _start(file):
    from meanfield.validation.networks import load_network

    return load_network(file)
