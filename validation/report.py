"""The report: one self-contained page with its figures, the data behind them, and the same numbers for programs."""

import base64
import importlib.metadata
import io
import json
import math
import platform

import numpy as np

from . import page
from .folder import replaced
from .sections import verdict

#: Version of the layout of report.json.
FORMAT = 1
#: Pictures stand in the page as vectors up to this size (bytes of SVG), as pixels above it.
LARGEST_SVG = 150_000
PIXELS_PER_INCH = 100
DISTRIBUTIONS = ("numpy", "scipy", "sympy", "mpmath", "matplotlib")
# No dates and no random identifiers: the same numbers give the same bytes.
_SETTINGS = {"svg.hashsalt": "meanfield", "svg.fonttype": "path", "pdf.compression": 9}
_METADATA = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}


def write(folder, jobs, title, options, notes=(), progress=None, quick=False):
    """Make a report; ``folder`` is replaced when all is done, and stays as it was when anything fails.

    Parameters
    ----------
    folder : path
        Created, or replaced when it holds a report.
    jobs : sequence of (name, callable)
        ``callable(say)`` returns a :class:`~meanfield.validation.sections.Section`; ``say`` takes messages.
    title : str
    options : mapping of str to value
        What the report was asked for; recorded.
    notes : sequence of str
        Lines for the reader, below the verdict.
    progress : callable, optional
        ``progress(name, message)`` before each step; ``progress(name, None)`` when a section is done.
    quick : bool
        Each figure in one format (PNG) and coarse.

    Returns
    -------
    sections : list of Section
    verdict : Verdict

    Raises
    ------
    ValueError
        The folder holds something that is not a report.
    OSError
        It cannot be written.
    """
    tell = progress or (lambda name, message: None)
    sections, pictures = [], {}
    with replaced(folder) as work:
        for name, job in jobs:
            section = job(lambda message, name=name: tell(name, message))
            tell(name, f"{name}: drawing")
            for figure in section.figures:
                _save_figure(work, section, figure, pictures, quick)
            sections.append(section)
            tell(name, None)
        outcome, versions = verdict(sections), _versions()
        html = page.render(title, sections, pictures, outcome, notes, options, versions)
        (work / "index.html").write_text(html, encoding="utf-8")
        record = _record(title, sections, pictures, outcome, notes, options, versions)
        (work / "report.json").write_text(
            json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
        )
    return sections, outcome


def _versions():
    from meanfield import __version__

    found = {name: importlib.metadata.version(name) for name in DISTRIBUTIONS}
    return {"meanfield": __version__, "python": platform.python_version(), **found}


def _save_figure(work, section, figure, pictures, quick):
    """Write the figure's files, and keep what the page shows of it."""
    import matplotlib as mpl

    name = page.figure_name(section, figure)
    if name in pictures:
        raise ValueError(f"two figures are called {name!r}: give each figure of a section its own name")
    for sub in ("figures", "data"):
        (work / sub).mkdir(exist_ok=True)
    with mpl.rc_context(_SETTINGS):
        drawn = figure.draw()
        drawn.draw_without_rendering()
        drawn.set_layout_engine("none")  # laid out once, not again for each format
        images = {kind: _image(drawn, kind, quick) for kind in (("png",) if quick else ("pdf", "svg"))}
        small = not quick and len(images["svg"]) <= LARGEST_SVG
        shown = images["svg"] if small else images.get("png") or _image(drawn, "png", quick)
    files = {kind.upper(): f"figures/{name}.{kind}" for kind in images} | {"data": f"data/{name}.npz"}
    for kind, image in images.items():
        (work / files[kind.upper()]).write_bytes(image)
    np.savez_compressed(work / files["data"], **{key: np.asarray(value) for key, value in figure.data.items()})
    mime = "svg+xml" if small else "png"
    source = f"data:image/{mime};base64,{base64.b64encode(shown).decode('ascii')}"
    pictures[name] = page.Picture(source, round(PIXELS_PER_INCH * drawn.get_size_inches()[0]), files)


def _image(figure, kind, quick):
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata=_METADATA[kind], dpi=PIXELS_PER_INCH * (1 if quick else 2))
    return buffer.getvalue()


def _record(title, sections, pictures, outcome, notes, options, versions):
    counts = ("holding", "failing", "complete", "enclosed", "found", "unsettled", "good")
    return {
        "format": FORMAT,
        "title": title,
        "verdict": {"text": str(outcome)} | {name: getattr(outcome, name) for name in counts},
        "notes": list(notes),
        "options": _plain(options),
        "versions": versions,
        "sections": [_section_record(s, pictures) for s in sections],
    }


def _section_record(s, pictures):
    texts = ("name", "part", "title", "source", "text", "transfer")
    return {name: str(getattr(s, name)) for name in texts} | {
        "errata": list(s.errata),
        "notes": list(s.notes),
        "connectivity": _connectivity_record(s.connectivity),
        "equations": list(s.equations),
        "portraits": [_portrait_record(p) for p in s.portraits],
        "landscapes": [_landscape_record(x) for x in s.landscapes],
        "statements": [
            {name: _plain(getattr(x, name)) for name in ("text", "expected", "value", "holds", "source")}
            for x in s.statements
        ],
        "crosschecks": [_random_record(x) if hasattr(x, "landscape") else _crosscheck_record(x) for x in s.crosschecks],
        "figures": [_figure_record(page.figure_name(s, figure), figure, pictures) for figure in s.figures],
    }


def _figure_record(name, figure, pictures):
    return {"name": name, "caption": figure.caption, "files": list(pictures[name].files.values())}


def _connectivity_record(c):
    """The statistics; of a finite network only its size and overlaps."""
    common = {
        "rank": c.rank,
        "inputs": list(c.inputs),
        "readouts": list(c.readouts),
        "g": _plain(c.g),
        "names": list(c.names),
    }
    common["overlap"] = _plain(c.overlap("n", "m"))
    if c.point_masses:
        return common | {"neurons": c.n_populations}
    return common | {name: _plain(getattr(c, name)) for name in ("weights", "means", "covariances")}


def _portrait_record(p):
    fp = p.fixed_points
    arrays = ("kappa", "radius", "eigenvalues", "eigenvalue_error", "kind", "index", "box")
    return {
        "condition": p.condition.label,
        "inputs": _plain(dict(p.condition.inputs)),
        "status": fp.status.name.lower(),
        "complete": fp.complete,
        "everywhere": bool(fp.everywhere),
        "index_sum": fp.index_sum,
        "boxes_examined": int(fp.examined),
        "starts": None if fp.starts is None else str(fp.starts),
        **{name: _plain(getattr(fp, name)) for name in arrays},
        "unresolved": [
            {"kind": u.kind, "low": _plain(u.low), "high": _plain(u.high), "boxes": len(u.boxes)} for u in fp.unresolved
        ],
        "cycle_search": None if p.cycle_search is None else p.cycle_search.summary,
        "cycles": [_cycle_record(cycle) for cycle in p.cycles],
    }


def _crosscheck_record(check):
    columns = ("count", "mean", "std", "predicted_std", "z", "z_std", "slope", "slope_error", "gap", "gap_error")
    columns += ("gap_slope", "gap_slope_error", "failures", "agrees")
    planted = check.planted
    return {
        "condition": check.prediction.portrait.condition.label,
        "outcome": check.outcome.name.lower(),
        "summary": check.summary,
        "sizes": list(check.sizes),
        "draws": len(check.draws) // len(check.sizes),
        "seed": check.seed,
        "calibration": _plain(check.calibration),
        "rows": [
            {"observable": r.observable.label, "value": _plain(r.observable.value), "bias": _plain(r.observable.bias)}
            | {name: _plain(getattr(r, name)) for name in columns}
            for r in check.rows
        ],
        "topology": [
            {
                name: _plain(getattr(t, name))
                for name in ("n_neurons", "draws", "same", "probability", "proved", "others")
            }
            for t in check.topology
        ],
        "planted": None
        if planted is None
        else {k: _plain(getattr(planted, k)) for k in ("what", "rejected", "z", "why")},
        "not_compared": list(check.prediction.left_out),
    }


def _landscape_record(x):
    rest = ("kappa", "delta0", "mean", "radius", "outliers", "visible", "bulk_radius", "kind", "stable", "proved")
    moving = ("kappa", "delta0", "delta_inf", "lyapunov", "lyapunov_error", "kind", "attracting", "residual", "reason")
    return {
        "condition": x.condition.label,
        "inputs": _plain(dict(x.condition.inputs)),
        "status": x.stationary.status.name.lower(),
        "stationary": [{name: _plain(getattr(s, name)) for name in rest} for s in x.stationary],
        "search": x.fluctuating.summary,
        "fluctuating": [{name: _plain(getattr(s, name)) for name in moving} for s in x.fluctuating],
    }


def _random_record(check):
    columns = ("count", "mean", "std", "predicted_std", "z", "z_std", "slope", "slope_error", "failures", "agrees")
    names = ("outcome", "summary", "sizes", "seed", "calibration", "planted", "rejected", "remarks", "matched")
    return {"condition": check.landscape.condition.label, "draws": len(check.draws) // len(check.sizes)} | {
        name: _plain(getattr(check, name)) if name != "outcome" else check.outcome.name.lower() for name in names
    } | {
        "rows": [
            {"observable": r.observable.label, "value": _plain(r.observable.value)}
            | {name: _plain(getattr(r, name)) for name in columns}
            for r in check.rows
        ]
    }  # fmt: skip


def _cycle_record(cycle):
    return {
        name: _plain(getattr(cycle, name))
        for name in ("period", "period_error", "multipliers", "stable")
        if hasattr(cycle, name)
    }


def _plain(x):
    """Numbers, texts, lists and mappings of them; complex is [real, imaginary], what is not finite a text."""
    if isinstance(x, np.ndarray | np.generic):
        return _plain(x.tolist())
    if isinstance(x, dict):
        return {str(key): _plain(value) for key, value in x.items()}
    if isinstance(x, list | tuple):
        return [_plain(value) for value in x]
    if isinstance(x, complex):
        return [_plain(x.real), _plain(x.imag)]
    if isinstance(x, float):
        return x if math.isfinite(x) else str(x)
    return x if x is None or isinstance(x, bool | int | str) else str(x)
