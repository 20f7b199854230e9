"""The report as one HTML page."""

import string
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

import numpy as np

from .markup import (
    Number,
    complex_number,
    enclosed,
    equation,
    facts,
    inline,
    join,
    markup,
    matrix,
    number,
    prose,
    table,
    tag,
)
from .page_states import landscape, proof, random_check

ABOUT = (
    "Low-rank recurrent networks, seen through the equations of their collective variables. Each section derives these "
    "equations from the statistics of the connectivity, finds **all** their fixed points with a proof that none is "
    "missing, and looks for limit cycles from the unstable points. The radius of a fixed point is proved: the box "
    "around it holds exactly one. Cycles are found numerically, with an error estimate, not proved to be all. Finite "
    "networks drawn from each mixture are simulated and compared with the theory, within the spread that it predicts."
)
LEGEND = (
    ("▼", "stable: all eigenvalues have negative real parts"),
    ("×", "saddle: some grow, some decay"),
    ("▲", "source: all grow"),
)
MARKS = {"stable": "▼", "saddle": "×", "source": "▲"}
#: Populations and loadings shown one by one; more are summed up.
MOST_SHOWN = 8


@dataclass(frozen=True)
class Picture:
    """A figure as the page shows it: the data URI of its image, its width in pixels, and its files by label."""

    source: str
    width: int
    files: Mapping[str, str]


def render(title, sections, pictures, verdict, notes, options, versions):
    """The whole page as text.

    Parameters
    ----------
    title : str
    sections : sequence of Section
    pictures : mapping of the names of :func:`figure_name` to Picture
    verdict : Verdict
    notes : sequence of str
        Lines shown below the verdict.
    options, versions : mappings of str to value
        Recorded in the footer.
    """
    files = resources.files(__package__)
    template = string.Template(files.joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=markup(title),
        version=markup(versions["meanfield"]),
        style=files.joinpath("page.css").read_text(encoding="utf-8").strip(),
        contents=contents(sections),
        verdict=_verdict(verdict),
        about=_about(notes),
        sections="\n".join(section(s, pictures) for s in sections),
        footer=_footer(options, versions),
    )


def figure_name(section, figure):
    """The name of a figure's files, unique in its report."""
    return f"{section.name}-{figure.name}"


def contents(sections):
    """Table of contents, with a mark where something fails."""
    rows, part = [tag("li", tag("a", "Summary", href="#top"))], None
    for s in sections:
        if s.part != part:
            part = s.part
            rows.append(tag("li", part, class_="part"))
        rows.append(tag("li", tag("a", tag("span", s.title), _mark(s), href=f"#{s.name}")))
    rows.append(tag("li", tag("a", "Versions and options", href="#made-with")))
    return "\n".join(rows)


def _mark(section):
    bad = any(x.holds is False for x in section.statements)
    bad |= any(not p.fixed_points.status.settled for p in section.portraits)
    bad |= any(not x.stationary.status.settled for x in section.landscapes)
    return (
        tag("span", "✗", class_="no", title="something fails here")
        if bad
        else tag("span", "✓", class_="yes", title="nothing fails here")
    )


def _verdict(verdict):
    lines = [tag("div", str(verdict))]
    lines += [tag("div", f"Fails: {what} (", tag("a", name, href=f"#{name}"), ")") for name, what in verdict.failures]
    return tag("div", *lines, class_=f"verdict {'good' if verdict.good else 'bad'}", role="status")


def _about(notes):
    parts = [tag("p", join(tag("strong", x) if i % 2 else x for i, x in enumerate(ABOUT.split("**"))))]
    marks = join((join([tag("b", mark), " ", text]) for mark, text in LEGEND), " · ")
    parts.append(tag("p", "Markers: ", marks, ". Kinds are proved unless a row says undecided.", class_="legend"))
    return join(parts + [tag("p", inline(note), class_="note") for note in notes])


def section(s, pictures):
    """One system: parameters, equations, portraits, statements, errata, figures."""
    parts = [tag("h2", s.title), tag("p", inline(s.source), class_="source"), prose(s.text)]
    parts += [tag("div", tag("b", "Erratum. "), inline(text), class_="erratum") for text in s.errata]
    if s.notes:
        items = tag("ul", *(tag("li", inline(note)) for note in s.notes))
        parts.append(tag("details", tag("summary", "What the file says, and what was assumed"), items))
    parts += [tag("h3", "Parameters"), parameters(s.connectivity, getattr(s.transfer, "name", s.transfer))]
    if s.equations:
        parts += [tag("h3", "Reduced equations"), join(map(equation, s.equations))]
    if s.figures:
        parts += [tag("h3", "Figures"), *(_figure(s, figure, pictures) for figure in s.figures)]
    if s.portraits:
        parts += [tag("h3", "Fixed points and cycles"), *map(_portrait, s.portraits)]
    if s.landscapes:
        parts += [tag("h3", "States"), *map(landscape, s.landscapes)]
    if s.statements:
        parts += [tag("h3", "Statements"), _statements(s.statements)]
    if s.crosschecks:
        parts += [
            tag("h3", "Finite networks"),
            *(random_check(x) if hasattr(x, "landscape") else crosscheck(x) for x in s.crosschecks),
        ]
    return tag("section", join(parts, "\n"), id=s.name)


def parameters(c, transfer):
    """The connectivity in a form a person reads: what is not listed has its default."""
    pairs = [("transfer function", transfer), ("rank", c.rank)]
    if c.inputs:
        pairs.append(("inputs", ", ".join(c.inputs)))
    if c.readouts:
        pairs.append(("readouts", ", ".join(c.readouts)))
    if c.point_masses:
        pairs.append(("neurons", f"{c.n_populations}, each a population of weight 1/N"))
    elif c.n_populations > MOST_SHOWN:
        pairs.append(("populations", c.n_populations))
    eigenvalues = np.linalg.eigvals(c.overlap("n", "m"))
    overlap = tag("span", "overlap matrix (1/N) n", tag("sup", "T"), "m")
    pairs += [
        (overlap, matrix(c.overlap("n", "m"))),
        ("its eigenvalues", join(map(complex_number, _sorted(eigenvalues)), ", ")),
    ]
    return join([facts(pairs), _populations(c)])


def _sorted(values):
    return sorted(values.astype(complex), key=lambda z: (-z.real, -z.imag))


def _populations(c):
    if c.point_masses or c.n_populations > MOST_SHOWN:
        return ""
    rows = []
    for p in range(c.n_populations):
        means = [f"{name} = {number(x)}" for name, x in zip(c.names, c.means[p], strict=True) if x]
        rows.append([p + 1, number(c.weights[p]), ", ".join(means) or "all 0", join(_listed(c, p), ", ") or "all 0"])
    note = "Within each population; what is not listed is 0, and the variance of each m and each input is 1."
    return table(("population", "weight", "means", "covariances"), rows, note)


def _listed(c, p):
    """The covariances with n, and everything else that is not the default."""
    names, kinds = c.names, [c.slice(kind) for kind in ("m", "n", "I", "w")]
    own = {i for s in (kinds[0], kinds[2]) for i in range(*s.indices(len(names)))}
    for a in range(len(names)):
        for b in range(a, len(names)):
            value, default = c.covariances[p, a, b], float(a == b and a in own)
            if abs(value - default) > 1e-12 and (a in own or b in own):
                first, second = (b, a) if a in own and b not in own else (a, b)
                yield join([f"{names[first]} {names[second]} = ", number(value)])


def _figure(s, figure, pictures):
    name = figure_name(s, figure)
    picture = pictures[name]
    links = join((tag("a", label, href=path) for label, path in picture.files.items()), ", ")
    caption = tag("figcaption", inline(figure.caption), " ", tag("span", "[", links, "]", class_="files"))
    return tag("figure", tag("img", src=picture.source, width=picture.width, alt=figure.caption), caption, id=name)


def _portrait(p):
    fp = p.fixed_points
    parts = [tag("h4", p.condition.label[:1].upper() + p.condition.label[1:]), proof(fp)]
    if len(fp):
        rank = fp.kappa.shape[1]
        names = ", ".join(f"kappa_{r + 1}" for r in range(rank)) if rank > 1 else "kappa"
        rows = [
            [
                Number(join([MARKS.get(kind, "?"), " ", kind])),
                *enclosed(kappa, radius),
                join(map(complex_number, values), ", "),
                f"{index:+d}".replace("-", "−"),
            ]
            for kind, kappa, radius, values, index in zip(
                fp.kind, fp.kappa, fp.radius, fp.eigenvalues, fp.index, strict=True
            )
        ]
        parts.append(
            table(
                ("kind", inline(names if rank == 1 else f"({names})"), "proved within", "eigenvalues", "index"),
                rows,
            )
        )
    if p.cycle_search is not None:
        parts.append(tag("div", tag("b", "Cycles: "), p.cycle_search.summary, class_="proof"))
    elif p.field.rank > 1:
        parts.append(tag("div", tag("b", "Cycles: "), "not looked for: no fixed point feeds one", class_="muted"))
    if p.cycles:
        parts.append(_cycles(p.cycles))
    return join(parts)


def _cycles(cycles):
    rows = []
    for cycle in cycles:
        extent = join(
            (join([number(a), " … ", number(b)]) for a, b in zip(cycle.orbit.min(0), cycle.orbit.max(0), strict=True)),
            " × ",
        )
        period = join(enclosed(cycle.period, cycle.period_error), " ")
        multipliers = join(map(complex_number, np.asarray(cycle.multipliers, dtype=complex)), ", ")
        rows.append([cycle.kind, period, extent, multipliers])
    return table(("cycle", "period", "extent", "Floquet multipliers"), rows)


def _statements(statements):
    words = {True: ("yes", "holds"), False: ("no", "fails"), None: ("muted", "–")}
    rows = [
        [
            inline(x.text),
            inline(x.expected),
            inline(x.value),
            tag("span", words[x.holds][1], class_=words[x.holds][0]),
            inline(x.source),
        ]
        for x in statements
    ]
    return table(("statement", "expected", "found", "", "from"), rows, wide=True)


def crosscheck(check):
    """The verdict on a theory by finite networks: the plain line, and what it rests on."""
    label = check.prediction.portrait.condition.label
    colour = {"AGREES": "yes", "DISAGREES": "no", "WEAK": "open"}[check.outcome.name]
    line = tag("div", tag("b", f"{label or 'no input'}: "), tag("span", check.summary, class_=colour), class_="proof")
    details = [tag("summary", f"{len(check.rows)} observables over {len(check.draws)} networks"), _rows(check)]
    details += [tag("p", "Contradiction: ", inline(text), class_="no") for text in check.failures]
    if check.prediction.left_out:
        items = tag("ul", *(tag("li", inline(text)) for text in check.prediction.left_out))
        details += [tag("p", "Not compared, because first order in the fluctuations does not hold:"), items]
    ways = [f"{change}" for change in check.prediction.changes]
    if ways:
        items = tag("ul", *(tag("li", text) for text in ways))
        details += [tag("p", "Ways in which the portrait of a finite network can differ (N neurons):"), items]
    return join([line, tag("details", *details)])


def _rows(check):
    last = max(check.sizes)
    head = (
        "observable",
        "N → ∞",
        "mean",
        "spread (predicted)",
        "z",
        "sd of z",
        "slope in N",
        "N × gap (predicted)",
        "",
    )
    rows = []
    for r in check.rows:
        o, known = r.observable, np.isfinite(r.gap) & (r.count > 0)
        weight = np.where(known, 1 / np.maximum(r.gap_error, 1e-300) ** 2 / np.array(check.sizes) ** 2, 0.0)
        gap = (np.nan_to_num(r.gap) * check.sizes * weight).sum() / weight.sum() if known.any() else np.nan
        error = 1 / np.sqrt(weight.sum()) if known.any() else np.nan
        expected = number(o.bias, 2) if np.isfinite(o.bias) else "–"
        words = ("yes", "agrees") if r.agrees else ("no", "; ".join(r.failures))
        rows.append(
            [
                inline(o.label),
                number(o.value, 4),
                number(r.mean[-1], 4),
                Number(f"{number(r.std[-1], 3)} ({number(r.predicted_std[-1], 3)})"),
                number(r.z, 3),
                number(r.z_std, 3),
                Number(f"{number(r.slope, 3)} ± {number(r.slope_error, 1)}") if np.isfinite(r.slope) else "–",
                Number(f"{number(gap, 2)} ± {number(error, 1)} ({expected})") if np.isfinite(gap) else "–",
                tag("span", words[1], class_=words[0]),
            ]
        )
    note = (
        f"Mean and spread over draws at N = {last}. z: mean score over its standard error. Gap: mean minus limit, "
        "for kappa without its first-order part."
    )
    return table(head, rows, note, wide=True)


def _footer(options, versions):
    made = ", ".join(f"{name} {version}" for name, version in versions.items())
    chosen = ", ".join(f"{name} {value}" for name, value in options.items())
    files = [
        tag("a", "report.json", href="report.json"),
        " holds the same numbers for a program; the data behind each figure lie in ",
        tag("code", "data/"),
        ".",
    ]
    return join(
        [
            tag("p", f"Made with {made}."),
            tag("p", f"Options: {chosen}. The same options and versions give the same page, byte for byte."),
            tag("p", *files),
        ]
    )
