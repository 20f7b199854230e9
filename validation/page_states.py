"""The page's words about networks with a random part: their states, and the verdict of drawn networks."""

import numpy as np

from meanfield.fixed_points import Status

from .markup import Number, bound, complex_number, enclosed, inline, join, number, table, tag

PROOF = {
    Status.COMPLETE: ("yes", "Proved complete"),
    Status.ENCLOSED: ("open", "Proved enclosure"),
    Status.BUDGET: ("no", "Not settled"),
    Status.CONTRADICTED: ("no", "Contradicted"),
    Status.FOUND: ("open", "Found numerically, each proved for itself"),
    Status.STARTS: ("no", "Not settled"),
    Status.MISSING: ("no", "Incomplete"),
}
#: The colour of a check's outcome.
COLOURS = {"AGREES": "yes", "DISAGREES": "no", "WEAK": "open"}


def proof(fp, one="fixed point", many="fixed points"):
    """What is proved of a search for fixed points, in which box; ``one`` and ``many`` are the words for them."""
    colour, word = PROOF[fp.status]
    sides = join((join([number(a), " … ", number(b)]) for a, b in zip(*fp.box, strict=True)), " × ")
    where = (
        f"which is proved to contain every {one}"
        if fp.everywhere
        else "the box that was asked for; nothing is said about the outside"
    )
    index = f"index sum {fp.index_sum:+d}".replace("-", "−")
    effort = f"{fp.examined} boxes examined" if fp.starts is None else str(fp.starts)
    detail = ["; ", index, ". Searched: ", sides, f", {where}; {effort}."]
    counted = f"{len(fp)} {one if len(fp) == 1 else many}"
    lines = [tag("div", tag("span", f"{word}: ", class_=colour), counted, *detail)]
    lines += [tag("div", tag("span", "Unresolved: ", class_="open"), _unresolved(u)) for u in fp.unresolved]
    if fp.assumption:
        lines.append(tag("div", f"The proof holds {fp.assumption}.", class_="muted"))
    if fp.status is not Status.COMPLETE:
        lines.append(tag("div", fp.status.value, class_="muted"))
    return tag("div", *lines, class_="proof")


def _unresolved(u):
    extent = join(
        (join(["[", number(a, 6), ", ", number(b, 6), "]"]) for a, b in zip(u.low, u.high, strict=True)), " × "
    )
    width, zeros = float(np.max(u.width)), f"; {len(u.points)} numerical zeros in it"
    boxes = [f", enclosed by {len(u.boxes)} boxes no wider than ", bound(width)] if width else []
    return join([f"a {u.kind} set within ", extent, *boxes, zeros])


def landscape(scape):
    """Tables of the stationary and of the fluctuating states under one condition."""
    label = scape.condition.label
    parts = [
        tag("h4", label[:1].upper() + label[1:]),
        proof(scape.stationary.points, "state at rest", "states at rest"),
    ]
    continua = scape.stationary.continua
    if len(scape.stationary) or continua:
        rows = [_stationary_row(state) for state in scape.stationary]
        rows += [["one of a continuum", *_stationary_row(state)[1:]] for state in continua]
        head = ("at rest", inline("kappa"), "proved within", "Δ₀", "bulk radius", "outliers outside the bulk")
        parts.append(table(head, rows))
    parts.append(tag("div", tag("b", "Fluctuating: "), scape.fluctuating.summary, class_="proof"))
    if len(scape.fluctuating):
        rows = [_fluctuating_row(state) for state in scape.fluctuating]
        head = ("fluctuating", inline("kappa"), "Δ₀", "Δ∞", "largest Lyapunov exponent", "attracts")
        parts.append(table(head, rows))
    return join(parts)


def _vector(values, digits=6):
    return join((number(x + 0.0, digits) for x in np.round(values, 9)), ", ")


def _stationary_row(state):
    kappa, radius = state.kappa, state.radius[: len(state.kappa)]
    where = enclosed(kappa, radius) if state.proved else [_vector(kappa), "not proved"]
    seen = join(map(complex_number, state.outliers[state.visible]), ", ") or "none"
    mark = {"stable": "▼ ", "saddle": "× "}.get(state.kind, "")
    word = Number(join([mark, state.kind]))
    return [word, *where, _vector(state.delta0), number(state.bulk_radius), seen]


def _fluctuating_row(state):
    exponent = join(enclosed(state.lyapunov, max(state.lyapunov_error, 1e-15)), " ")
    word = {True: "yes: ", False: "no: ", None: "not known: "}[state.attracting]
    return [
        state.kind,
        _vector(state.kappa),
        _vector(state.delta0),
        _vector(state.delta_inf),
        exponent,
        inline(word + state.reason),
    ]


def random_check(check):
    """The verdict on a theory by drawn networks with a random part."""
    label = check.landscape.condition.label or "no input"
    line = tag("div", tag("b", f"{label}: "), tag("span", check.summary, class_=COLOURS[check.outcome.name]),
               class_="proof")  # fmt: skip
    details = [tag("summary", f"{len(check.rows)} observables over {len(check.draws)} networks"), _rows(check)]
    details += [tag("p", "Contradiction: ", inline(text), class_="no") for text in check.failures]
    if check.remarks:
        details.append(tag("ul", *(tag("li", inline(text)) for text in check.remarks)))
    return join([line, tag("details", *details)])


def _rows(check):
    head = ("observable", "N → ∞", "mean", "spread (predicted)", "z", "sd of z", "slope in N", "")
    rows = []
    for r in check.rows:
        words = ("yes", "agrees") if r.agrees else ("no", "; ".join(r.failures))
        predicted = number(r.predicted_std[-1], 3) if np.isfinite(r.z_std) else "–"
        slope = Number(f"{number(r.slope, 3)} ± {number(r.slope_error, 1)}") if np.isfinite(r.slope) else "–"
        rows.append(
            [
                inline(r.observable.label),
                number(r.observable.value, 4),
                number(r.mean[-1], 4),
                Number(f"{number(r.std[-1], 3)} ({predicted})"),
                number(r.z, 3),
                number(r.z_std, 3) if np.isfinite(r.z_std) else "–",
                slope,
                tag("span", words[1], class_=words[0]),
            ]
        )
    note = (
        f"Mean and spread over draws at N = {max(check.sizes)}. z: mean score over its standard error; where no spread "
        "is predicted it is measured, falling like the root of 1/N, and z is that of Student's t."
    )
    return table(head, rows, note, wide=True)
