"""The command line: ``meanfield report`` and ``meanfield analyse``."""

import contextlib
import os
import re
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

from . import __version__
from .options import parser

#: Trained networks that a report adds when they are found beside the checkout.
SHARED_NETWORKS = (
    "pop__rdm_lr_fig2.npz",
    "pop__romo_rank2_500.npz",
    "pop__dms_rank2_500.npz",
    "pop__dms_retrained_2pop.npz",
)


class UsageError(Exception):
    """A mistake of the user; the text tells what to do."""


@contextlib.contextmanager
def _border():
    """Errors raised in here are about what the user gave."""
    try:
        yield
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        raise UsageError(what) from error
    except ValueError as error:
        raise UsageError(str(error)) from error


def main(argv=None):
    """Run the command line; returns the exit code."""
    try:
        args = parser().parse_args(argv)
    except SystemExit as stop:  # argparse has printed help, version or its complaint
        return stop.code or 0
    try:
        with _termination_as_exit():
            return (_report if args.command == "report" else _analyse)(args)
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


def _report(args):
    from meanfield.validation.cases import CASES, run

    if args.list:
        width = max(map(len, CASES))
        for name, case in CASES.items():
            print(f"{name:{width}}  {case.title} ({case.source})")
        return 0
    from meanfield.validation import folder, sections

    def case_job(case):
        return lambda say: sections.case_section(run(case, quick=args.quick, seed=args.seed, progress=say))

    with _border():
        folder.check_replaceable(args.out)
        names = list(dict.fromkeys(map(_known_case, args.case))) if args.case else list(CASES)
    jobs = [(name, case_job(CASES[name])) for name in names]
    files, notes = list(args.network), []
    if not args.case:
        jobs.append(_job(args, *sections.drawn_section(args.seed)))
        found, notes = _shared_networks()
        files = found + files
    taken = {name for name, _ in jobs}
    for file in files:
        with _border():
            net = _load_network(file)
            section = sections.network_section(_unique(_slug(file), taken), file, net)
            jobs.append(_job(args, section, _examination(net, file, args)))
    options = {"seed": args.seed, "quick": args.quick, "cases": " ".join(names) if args.case else "all"}
    options["networks"] = " ".join(Path(file).name for file in files) or "none"
    title = "Low-rank networks: equations, all fixed points, and finite networks"
    _, verdict = _write(args, args.out, jobs, title, options, notes)
    print(f"{verdict}\n{_page(args.out)}")
    for name, what in verdict.failures:
        print(f"meanfield: {name}: {what}", file=sys.stderr)
    return 0 if verdict.good else 1


def _job(args, section, check=None, conditions=None, networks=False):
    from meanfield.validation.sections import worked_out

    return section.name, lambda say: worked_out(section, conditions, args.quick, say, check, networks, args.seed)


def _examination(net, file, args):
    """What else is asked of a network: its own mixture, where the file has it, and trials recorded beside it."""
    from meanfield.validation.trained import examine, load_trials

    beside = Path(file).parent / "oracle" / Path(file).with_suffix(".npz").name
    trials = load_trials(beside) if beside.is_file() else None
    if net.mixture is None and trials is None:
        return None
    return lambda portraits, say: examine(net, trials, args.quick, args.seed, say)


def _known_case(name):
    from meanfield.conventions import closest
    from meanfield.validation.cases import CASES

    by_lower = {known.lower(): known for known in CASES}
    if name.lower() not in by_lower:
        raise ValueError(
            f"unknown case {name!r}; {closest(name, CASES)}; `meanfield report --list` shows what they are"
        )
    return by_lower[name.lower()]


def _shared_networks():
    """Trained networks beside the checkout, and what to tell the reader."""
    place = os.environ.get("MEANFIELD_SHARED")
    folder = Path(place or "../shared") / "networks"
    found = [folder / name for name in SHARED_NETWORKS if (folder / name).is_file()]
    if found:
        return found, []
    where = "$MEANFIELD_SHARED/networks" if place else "../shared/networks"
    return [], [
        f"No trained networks were found in `{where}`; add one of your own with `meanfield report --network FILE`."
    ]


def _load_network(file):
    from meanfield.validation.networks import load_network

    if not Path(file).exists():
        raise ValueError(f"no such file: {file}")
    return load_network(file)


def _slug(file):
    return re.sub(r"[^A-Za-z0-9._-]+", "-", Path(file).stem).strip("-.") or "network"


def _unique(name, taken):
    numbered = (f"{name}-{k}" if k > 1 else name for k in range(1, len(taken) + 2))
    new = next(candidate for candidate in numbered if candidate not in taken)
    taken.add(new)
    return new


def _analyse(args):
    from meanfield.validation import folder

    out = args.out or f"report-{_slug(args.file)}"
    with _border():
        folder.check_replaceable(out)
        section, net = _read(args.file)
        transfer = _transfer(args.transfer or section.transfer)
        section = replace(section, transfer=transfer, search=_search(args, section))
        conditions = _conditions(args.conditions, section.connectivity)
        _check_solvable(section, conditions)
        if args.networks and net is not None:
            raise ValueError(
                f"--networks draws finite networks from a model, but {args.file} is a network; give the model (.toml)"
            )
        check = None if net is None else _examination(net, args.file, args)
    options = {
        "file": Path(args.file).name,
        "transfer": getattr(section.transfer, "name", section.transfer),
        "quick": args.quick,
    }
    options.update({name: str(value) for name, value in section.search.items()})
    options["conditions"] = "; ".join(condition.label for condition in conditions)
    if args.networks:
        options["networks"] = f"drawn, seed {args.seed}"
    job = _job(args, section, check, conditions, args.networks)
    (section,), verdict = _write(args, out, [job], f"Fixed points and cycles: {section.title}", options)
    _print_tables(section, args.digits)
    for check in section.crosschecks:
        known = check.landscape if hasattr(check, "landscape") else check.prediction.portrait
        print(f"{known.condition.label}: {check}\n")
    print(f"{verdict}\n{_page(out)}")
    return 0 if verdict.everything_complete else 1


def _read(file):
    """The section of a model file or a network, not yet worked out, and the network, or None for a model."""
    from meanfield.validation import sections

    suffix = Path(file).suffix.lower()
    if suffix == ".toml":
        from .io import read_model

        return sections.model_section(_slug(file), file, *read_model(file)), None
    if suffix in (".npz", ".pt", ".pth"):
        net = _load_network(file)
        return sections.network_section(_slug(file), file, net), net
    expected = "expected a model (.toml) or a network (.npz, .pt)"
    raise ValueError(f"{file}: cannot tell what it is: got the ending {suffix!r}, {expected}")


def _conditions(texts, c):
    from meanfield.validation.analysis import Condition
    from meanfield.validation.sections import default_conditions

    if not texts:
        return default_conditions(c)
    chosen = []
    for text in texts:
        inputs = _amplitudes(text, c)
        chosen.append(
            Condition(", ".join(f"{name} = {value:g}" for name, value in inputs.items()) or "no input", inputs)
        )
    return tuple(chosen)


def _amplitudes(text, c):
    from .conventions import closest

    inputs = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        if part.lower() == "none":
            continue
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise ValueError(
                f"--input: got {part!r}, expected NAME=AMPLITUDE such as {(c.inputs or ('A',))[0]}=1, or none"
            )
        if name not in c.inputs:
            known = closest(name, c.inputs) if c.inputs else "this network has no inputs; leave --input out"
            raise ValueError(f"--input: unknown input {name!r}; {known}")
        if name in inputs:
            raise ValueError(f"--input: {name!r} is given twice in {text!r}; write one --input per condition")
        try:
            inputs[name] = float(value)
        except ValueError:
            raise ValueError(f"--input: the amplitude of {name!r} must be a number: got {value!r}") from None
    return inputs


def _transfer(text):
    """A transfer function's name as it is; anything else has to be an expression in x."""
    from .transfer import Transfer, get_transfer

    try:
        return get_transfer(text).name
    except ValueError as error:
        if "x" not in text or not any(sign in text for sign in "+-*/("):
            raise ValueError(
                str(error).replace("Transfer.from_expression(...) for your own", "an expression in x")
            ) from None
    return Transfer.from_expression(text)


def _search(args, section):
    """Keyword arguments of the fixed-point search that the options ask for."""
    chosen = {name: getattr(args, name) for name in ("max_boxes", "starts") if getattr(args, name)}
    if len(chosen) == 2:
        raise ValueError("--max-boxes is the budget of a proof, --starts that of a search without: give one of them")
    if args.box:
        low, high = args.box
        if not low < high:
            raise ValueError(f"--box: got {low:g} {high:g}, expected LOW below HIGH")
        chosen["box"] = _corners(section.connectivity, low, high)
    return chosen


def _corners(c, low, high):
    """The box of all kappa in [low, high]; with a random part, and mean squares of phi up to the square of the ends."""
    import numpy as np

    more = 0 if not np.any(c.g) else 1 if np.ndim(c.g) == 0 else c.n_populations
    return [low] * c.rank + [0.0] * more, [high] * c.rank + [max(abs(low), abs(high)) ** 2] * more


def _check_solvable(section, conditions):
    """Meet before any work the errors a model can bring: unknown transfer, no known box."""
    import numpy as np

    from .dmft.field import StationaryField
    from .dmft.problem import pose
    from .dynamics import reduce
    from .fixed_points import BUDGET
    from .proof.bounds import NoSearchBox

    c = section.connectivity
    random = np.any(c.g)
    for condition in conditions:
        f = (StationaryField(pose(c, section.transfer, condition.inputs)) if random
             else reduce(c, section.transfer, condition.inputs))  # fmt: skip
        if "max_boxes" in section.search and f.rank not in BUDGET:
            raise ValueError(
                f"--max-boxes: got a budget of boxes, expected --starts N: with {f.rank} unknowns, more than "
                f"{max(BUDGET)}, fixed points are searched from many starts"
            )
        if "box" in section.search:
            continue
        try:
            f.search_region() if random else f.search_box()
        except NoSearchBox as error:
            raise ValueError(str(error).replace("box=(low, high)", "--box LOW HIGH")) from None


def _print_tables(section, digits):
    print(section.title)
    for scape in section.landscapes:
        print(f"\n{scape.condition.label}: {scape.stationary}\n{scape.fluctuating}")
    for portrait in section.portraits:
        print(f"\n{portrait.condition.label}: {portrait.fixed_points}")
        if portrait.cycle_search is not None:
            print(f"  {portrait.cycle_search}")
        if digits:
            _print_digits(portrait.fixed_points, digits)
    print()


def _print_digits(found, digits):
    import mpmath

    print(f"  to {digits} digits:")
    for point in found.refine(digits):
        print("  (" + ", ".join(mpmath.nstr(x, digits) for x in point) + ")")


def _write(args, out, jobs, title, options, notes=()):
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


def _page(out):
    return f"The page: {Path(out).resolve() / 'index.html'}"
