"""``meanfield analyse``: all fixed points and cycles of a model or a network."""

import argparse
from dataclasses import replace
from pathlib import Path

from .shared import (
    EXIT_CODES,
    LAYOUT,
    add_common,
    border,
    count,
    examination,
    page_line,
    read_network,
    section_job,
    seed,
    slug,
    write_page,
)

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


def add(commands):
    """Add the command to the parser."""
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
        **LAYOUT,
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
    analyse.add_argument("--max-boxes", type=count, metavar="N", help="budget of the proof (default: by rank)")
    analyse.add_argument(
        "--starts",
        type=count,
        metavar="N",
        help="search from N starts, without the proof that none is missing (default beyond five unknowns)",
    )
    analyse.add_argument(
        "--networks", action="store_true", help="draw finite networks from the model and check the theory against them"
    )
    analyse.add_argument(
        "--seed", type=seed, default=0, metavar="N", help="seed of the networks that are drawn (default: 0)"
    )
    analyse.add_argument("--digits", type=_digits, metavar="N", help="also print the fixed points to N digits")
    analyse.add_argument("--out", metavar="DIR", help="folder of the page (default: report-NAME for a file NAME.npz)")
    add_common(analyse)
    analyse.set_defaults(run=run)


def run(args):
    """Carry it out; returns the exit code."""
    from meanfield.validation import folder

    out = args.out or f"report-{slug(args.file)}"
    with border():
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
        check = None if net is None else examination(net, args.file, args)
    options = {
        "file": Path(args.file).name,
        "transfer": getattr(section.transfer, "name", section.transfer),
        "quick": args.quick,
    }
    options.update({name: str(value) for name, value in section.search.items()})
    options["conditions"] = "; ".join(condition.label for condition in conditions)
    if args.networks:
        options["networks"] = f"drawn, seed {args.seed}"
    job = section_job(args, section, check, conditions, args.networks)
    (section,), verdict = write_page(args, out, [job], f"Fixed points and cycles: {section.title}", options)
    _print_tables(section, args.digits)
    for check in section.crosschecks:
        known = check.landscape if hasattr(check, "landscape") else check.prediction.portrait
        print(f"{known.condition.label}: {check}\n")
    print(f"{verdict}\n{page_line(out)}")
    return 0 if verdict.everything_complete else 1


def _read(file):
    """The section of a model file or a network, not yet worked out, and the network, or None for a model."""
    from meanfield.validation import sections

    suffix = Path(file).suffix.lower()
    if suffix == ".toml":
        from meanfield.io import read_model

        return sections.model_section(slug(file), file, *read_model(file)), None
    if suffix in (".npz", ".pt", ".pth"):
        net = read_network(file)
        return sections.network_section(slug(file), file, net), net
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
    from meanfield.conventions import closest

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
    from meanfield.transfer import Transfer, get_transfer

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

    from meanfield.dmft.field import StationaryField
    from meanfield.dmft.problem import pose
    from meanfield.dynamics import reduce
    from meanfield.fixed_points import BUDGET
    from meanfield.proof.bounds import NoSearchBox

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


def _digits(text):
    if not (text.isdecimal() and 1 <= int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 to 1000: got {text!r}")
    return int(text)
