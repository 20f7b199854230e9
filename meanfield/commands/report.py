"""``meanfield report``: every example of the literature, as one page."""

import os
import sys
from pathlib import Path

from .shared import (
    EXIT_CODES,
    LAYOUT,
    add_common,
    border,
    examination,
    page_line,
    read_network,
    section_job,
    seed,
    slug,
    write_page,
)

#: Trained networks that a report adds when they are found beside the checkout.
SHARED_NETWORKS = (
    "pop__rdm_lr_fig2.npz",
    "pop__romo_rank2_500.npz",
    "pop__dms_rank2_500.npz",
    "pop__dms_retrained_2pop.npz",
)


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


def add(commands):
    """Add the command to the parser."""
    good = "every statement holds, and each search is proved complete or ends in a proved enclosure"
    bad = "a statement fails, or a search ended without an answer"
    report = commands.add_parser(
        "report",
        help="every example of the literature, as one page",
        description="Derive, solve and draw every example of the literature.",
        epilog=REPORT_EXAMPLES + "\n" + EXIT_CODES.format(good=good, bad=bad),
        **LAYOUT,
    )
    report.add_argument("--case", nargs="+", action="extend", metavar="NAME", help="only these examples (see --list)")
    report.add_argument(
        "--network", action="append", default=[], metavar="FILE", help="add this trained network; may be repeated"
    )
    report.add_argument("--out", default="report", metavar="DIR", help="folder to write (default: report)")
    report.add_argument(
        "--seed", type=seed, default=0, metavar="N", help="seed of everything that is drawn (default: 0)"
    )
    report.add_argument("--list", action="store_true", help="list the examples and stop")
    add_common(report)
    report.set_defaults(run=run)


def run(args):
    """Carry it out; returns the exit code."""
    known = _known_cases()
    if args.list:
        width = max(map(len, known))
        for name, case in known.items():
            print(f"{name:{width}}  {case.title} ({case.source})")
        return 0
    from meanfield.validation import folder, sections

    with border():
        folder.check_replaceable(args.out)
        names = list(dict.fromkeys(map(_known_case, args.case))) if args.case else list(known)
    jobs = [(name, _case_job(known[name], args)) for name in names]
    files, notes = list(args.network), []
    if not args.case:
        jobs.append(section_job(args, *sections.drawn_section(args.seed)))
        found, notes = _shared_networks()
        files = found + files
    taken = {name for name, _ in jobs}
    for file in files:
        with border():
            net = read_network(file)
            section = sections.network_section(_unique(slug(file), taken), file, net)
            jobs.append(section_job(args, section, examination(net, file, args)))
    options = {"seed": args.seed, "quick": args.quick, "cases": " ".join(names) if args.case else "all"}
    options["networks"] = " ".join(Path(file).name for file in files) or "none"
    title = "Low-rank networks: equations, all fixed points, and finite networks"
    _, verdict = write_page(args, args.out, jobs, title, options, notes)
    print(f"{verdict}\n{page_line(args.out)}")
    for name, what in verdict.failures:
        print(f"meanfield: {name}: {what}", file=sys.stderr)
    return 0 if verdict.good else 1


def _case_job(case, args):
    from meanfield.validation import cases, sections

    if isinstance(case, cases.FittedCase):
        return lambda say: case.section(args.quick, args.seed, say)
    return lambda say: sections.case_section(cases.run(case, quick=args.quick, seed=args.seed, progress=say))


def _known_cases():
    from meanfield.validation import cases

    return cases.CASES | cases.FITTED


def _known_case(name):
    from meanfield.conventions import closest

    by_lower = {known.lower(): known for known in _known_cases()}
    if name.lower() not in by_lower:
        known = closest(name, _known_cases())
        raise ValueError(f"unknown case {name!r}; {known}; `meanfield report --list` shows what they are")
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


def _unique(name, taken):
    numbered = (f"{name}-{k}" if k > 1 else name for k in range(1, len(taken) + 2))
    new = next(candidate for candidate in numbered if candidate not in taken)
    taken.add(new)
    return new
