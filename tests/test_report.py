"""The report: a page that is whole, self-contained, escaped and the same every time."""

import dataclasses
import json
import math
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from meanfield.validation import folder, markup, page, report, sections
from meanfield.validation.analysis import Condition, Figure, Statement, portrait

from meanfield import Connectivity
from meanfield.fixed_points import Status

VOID = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """What a test asks of a page: tags that close, identifiers, links, text."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.links, self.sources, self.tags, self.texts = [], [], [], [], set(), []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"
        self.text = " ".join("".join(self.texts).split())

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        for name, value in attributes:
            assert not name.startswith("on"), f"an event handler: {name}"
            {"id": self.ids, "href": self.links, "src": self.sources}.get(name, []).append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()
        if tag in {"td", "th", "div", "p"}:
            self.texts.append(" ")

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.texts.append(data)


def check_self_contained(path):
    """Nothing is loaded from elsewhere, and every link leads to a place in the page or a file of the report."""
    html = (path / "index.html").read_text(encoding="utf-8")
    seen = Page(html)
    assert not seen.tags & {"script", "link", "iframe", "object", "embed", "base"}
    assert all(source.startswith("data:image/") for source in seen.sources)
    assert len(seen.ids) == len(set(seen.ids))
    for link in seen.links:
        assert link[1:] in seen.ids if link.startswith("#") else (path / link).is_file(), link
    style = re.search(r"<style>(.*?)</style>", html, re.S)[1]
    assert "url(" not in style and "@import" not in style
    return seen


@pytest.fixture(scope="module")
def solved():
    """A rank-one model under two conditions, solved once."""
    c = Connectivity.from_overlaps([{"n1 m1": 2.0, "n1 A": 0.5}], rank=1, inputs=("A",))
    return c, tuple(portrait(c, "tanh", condition) for condition in (Condition(), Condition("A = 1", {"A": 1.0})))


def make_section(solved, name="one", **changes):
    c, portraits = solved

    def draw():
        from matplotlib.figure import Figure as Canvas

        canvas = Canvas(figsize=(2, 2))
        canvas.subplots().plot([0, 1], [0, 1])
        return canvas

    statements = (
        Statement("two is two", "2", "2", True, "arithmetic"),
        Statement("a number of ours", "5", "", None, ""),
    )
    base = sections.Section(
        name,
        sections.EXAMPLES,
        "A title",
        "A source",
        "Some text.\n\nWith $\\kappa$ and `code`.",
        c,
        "tanh",
        equations=(r"\begin{split} \kappa &= 2 \\ v &= \frac{1}{2} \end{split}",),
        portraits=portraits,
        figures=(Figure("line", "A line", draw, {"x": np.arange(3.0)}),),
        statements=statements,
        errata=("It says 3.",),
        notes=("Assumed 1/N.",),
    )
    return dataclasses.replace(base, **changes)


def write(path, *made, **options):
    jobs = [(s.name, lambda say, s=s: s) for s in made]
    return report.write(path, jobs, "The title", {"seed": 0} | options)


def files(path):
    return {p.relative_to(path).as_posix(): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def test_the_page_is_whole_and_self_contained(solved, tmp_path):
    out = tmp_path / "report"
    _, verdict = write(out, make_section(solved), make_section(solved, "two", errata=()))
    seen = check_self_contained(out)
    assert verdict.good and verdict.everything_complete
    assert "2 of 2 statements hold; the fixed points of 4 of 4 systems are proved complete." in seen.text
    assert seen.text.count("Erratum. It says 3.") == 1
    assert {"one", "two", "top", "made-with"} <= set(seen.ids)
    assert seen.text.count("Proved complete: 3 fixed points; index sum +1") == 2
    assert "math" in seen.tags and "code" in seen.tags


def read(shown):
    """A number as the page writes it."""
    return float(re.sub(r"·10(−?\d+)", r"e\1", shown).replace("−", "-"))


def test_the_numbers_of_the_page_enclose_those_of_the_solver(solved, tmp_path):
    write(tmp_path / "r", make_section(solved))
    text = Page((tmp_path / "r/index.html").read_text(encoding="utf-8")).text
    shown = [(read(x), read(r)) for x, r in re.findall(r"(−?\d+\.\d+) ± (\d+(?:·10−?\d+)?)", text)]
    proved = [(k[0], r[0]) for p in solved[1] for k, r in zip(p.fixed_points.kappa, p.fixed_points.radius, strict=True)]
    assert len(shown) == len(proved) == 4
    for (x, bound), (kappa, radius) in zip(shown, proved, strict=True):
        assert abs(x - kappa) + radius <= bound * (1 + 1e-9) and bound < 1e-10


def test_report_json_holds_everything_that_was_found(solved, tmp_path):
    write(tmp_path / "r", make_section(solved), cases="all")
    record = json.loads((tmp_path / "r/report.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert record["options"] == {"seed": 0, "cases": "all"} and record["verdict"]["good"] is True
    assert {"meanfield", "python", "numpy", "scipy", "sympy", "mpmath", "matplotlib"} == set(record["versions"])
    (section,) = record["sections"]
    for found, expected in zip(section["portraits"], solved[1], strict=True):
        assert np.array_equal(found["kappa"], expected.fixed_points.kappa)
        assert np.array_equal(found["radius"], expected.fixed_points.radius)
        assert np.array_equal(np.array(found["eigenvalues"])[..., 0], expected.fixed_points.eigenvalues.real)
        assert found["kind"] == list(expected.fixed_points.kind) and found["complete"] is True
        assert found["index_sum"] == 1 and found["status"] == "complete" and found["everywhere"] is True
    assert section["statements"][1]["holds"] is None and section["connectivity"]["overlap"] == [[2.0]]
    for name in section["figures"][0]["files"]:
        assert (tmp_path / "r" / name).is_file()
    assert np.array_equal(np.load(tmp_path / "r" / "data/one-line.npz")["x"], [0.0, 1.0, 2.0])


def test_two_runs_give_the_same_bytes(solved, tmp_path):
    for name in "ab":
        write(tmp_path / name, make_section(solved))
    first, second = files(tmp_path / "a"), files(tmp_path / "b")
    assert {"index.html", "report.json", "figures/one-line.pdf", "figures/one-line.svg", "data/one-line.npz"} <= set(
        first
    )
    assert first == second


HOSTILE = '<script>alert("1 & 2")</script><img src=x onerror=y>'


def test_no_text_turns_into_markup(solved, tmp_path):
    c, portraits = solved
    label = dataclasses.replace(portraits[0], condition=Condition(HOSTILE))
    texts = {name: HOSTILE for name in ("title", "source", "text", "transfer")}
    statement = Statement(HOSTILE, HOSTILE, HOSTILE, False, HOSTILE)
    figure = dataclasses.replace(make_section(solved).figures[0], caption=HOSTILE)
    hostile = make_section(
        solved,
        **texts,
        errata=(HOSTILE,),
        notes=(HOSTILE,),
        portraits=(label,),
        statements=(statement,),
        figures=(figure,),
    )
    jobs = [("x", lambda say: hostile)]
    report.write(tmp_path / "r", jobs, HOSTILE, {HOSTILE: HOSTILE}, [HOSTILE])
    seen = check_self_contained(tmp_path / "r")
    assert seen.text.count(HOSTILE) > 12


def test_a_failing_section_leaves_the_old_report_whole(solved, tmp_path):
    out = tmp_path / "report"
    write(out, make_section(solved))
    before = files(out)

    def fail(say):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        report.write(out, [("one", lambda say: make_section(solved)), ("bad", fail)], "t", {})
    assert files(out) == before and os.listdir(tmp_path) == ["report"]


def test_a_failing_section_of_a_first_report_leaves_nothing(solved, tmp_path):
    broken = dataclasses.replace(make_section(solved).figures[0], draw=lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write(tmp_path / "report", make_section(solved, figures=(broken,)))
    assert os.listdir(tmp_path) == []


def test_a_new_report_replaces_the_old_one_as_a_whole(solved, tmp_path):
    write(tmp_path / "r", make_section(solved), make_section(solved, "two"))
    write(tmp_path / "r", make_section(solved))
    assert not (tmp_path / "r/figures/two-line.pdf").exists() and (tmp_path / "r/figures/one-line.pdf").exists()
    assert os.listdir(tmp_path) == ["r"]


def test_the_old_report_comes_back_when_the_new_one_cannot_be_moved(solved, tmp_path, monkeypatch):
    write(tmp_path / "r", make_section(solved))
    before, rename = files(tmp_path / "r"), os.rename

    def refuse(source, target):
        if str(source).endswith(".partial"):
            raise OSError("no")
        rename(source, target)

    monkeypatch.setattr(folder.os, "rename", refuse)
    with pytest.raises(OSError, match="no"):
        write(tmp_path / "r", make_section(solved, "two"))
    assert files(tmp_path / "r") == before and os.listdir(tmp_path) == ["r"]


@pytest.mark.parametrize("place", ["folder with notes", "report with notes", "file", "working directory"])
def test_what_is_not_a_report_is_not_replaced(solved, tmp_path, monkeypatch, place):
    out = tmp_path / "out"
    if place == "report with notes":
        write(out, make_section(solved))
    if place == "file":
        out.write_text("mine")
    else:
        out.mkdir(exist_ok=True)
        (out / "notes.txt").write_text("mine")
    if place == "working directory":
        (out / "notes.txt").unlink()
        monkeypatch.chdir(out)
    expected = {"file": "it is a file", "working directory": "holds the working directory"}.get(
        place, r"\(notes.txt\); move"
    )
    with pytest.raises(ValueError, match=expected):
        write(out, make_section(solved))
    if "notes" in place:
        assert (out / "notes.txt").read_text() == "mine"


def test_an_empty_folder_and_a_link_to_a_report_are_replaced(solved, tmp_path):
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", make_section(solved))
    (tmp_path / "link").symlink_to("empty")
    write(tmp_path / "link", make_section(solved, "two"))
    assert (tmp_path / "link").is_symlink() and "two-line" in (tmp_path / "empty/index.html").read_text(
        encoding="utf-8"
    )


def test_two_figures_of_one_name_are_refused(solved, tmp_path):
    figure = make_section(solved).figures[0]
    with pytest.raises(ValueError, match="one-line"):
        write(tmp_path / "r", make_section(solved, figures=(figure, figure)))


def test_the_verdict_counts_what_fails(solved):
    c, portraits = solved
    open_search = dataclasses.replace(portraits[0].fixed_points, status=Status.BUDGET)
    ring = dataclasses.replace(portraits[0].fixed_points, status=Status.ENCLOSED)
    mixed = tuple(dataclasses.replace(portraits[0], fixed_points=fp) for fp in (open_search, ring))
    wrong = Statement("one is two", "1", "2", False, "")
    good = sections.verdict([make_section(solved)])
    bad = sections.verdict([make_section(solved), make_section(solved, "two", portraits=mixed, statements=(wrong,))])
    assert (good.holding, good.failing, good.complete, good.enclosed, good.unsettled) == (1, 0, 2, 0, 0)
    assert (bad.holding, bad.failing, bad.complete, bad.enclosed, bad.unsettled) == (1, 1, 2, 1, 1)
    assert good.good and not bad.good
    assert bad.failures == (("two", "one is two"), ("two", f"no input: {Status.BUDGET.value}"))
    enclosed = sections.verdict([make_section(solved, portraits=mixed[1:])])
    assert enclosed.good and not enclosed.everything_complete


def test_a_ring_is_shown_as_an_enclosed_set(tmp_path):
    c = Connectivity.from_overlaps([{"n1 m1": 2.0, "n2 m2": 2.0}], rank=2)
    ring = portrait(c, cycles=False)
    html = page.section(sections.Section("ring", "p", "t", "s", "", c, "tanh", portraits=(ring,)), {})
    text = Page(html).text
    assert "Proved enclosure: 1 fixed point" in text and "a continuum set within" in text


@given(st.floats(1e-300, 1e300))
def test_a_shown_bound_is_never_too_small(x):
    shown = str(markup.bound(x)).replace("−", "-").replace("·10<sup>", "e").replace("</sup>", "")
    assert x * (1 - 1e-11) <= float(shown) <= 2.0 * x * (1 + 1e-11)


@pytest.mark.parametrize(
    ("x", "shown"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (2.0, "2"),
        (-1.5, "−1.5"),
        (1e-12, "1·10<sup>−12</sup>"),
        (math.inf, "∞"),
        (math.nan, "not a number"),
    ],
)
def test_numbers_as_people_write_them(x, shown):
    assert str(markup.number(x)) == shown


def test_equations_are_aligned_and_what_cannot_be_set_is_shown_as_written():
    two = Page(markup.equation(r"\begin{split} a &= \begin{matrix} 1 & 2 \\ 3 & 4 \end{matrix} \\ b &= 2 \end{split}"))
    assert "mtable" in two.tags
    assert markup.equation(r"a &= b \\ c &= d").count("<tr>") == 2
    assert str(markup.formula(r"\left(<")) == r"<code>\left(&lt;</code>"
    assert "&amp;" in markup.formula(r"a & b") and "<mi>&</mi>" not in markup.formula(r"a & b")


def test_equations_and_matrices_show_no_rounding_noise():
    assert "0.353553<" in markup.equation(r"\kappa = 0.353553390593274 x + 0.5")
    assert Page(markup.matrix([[2.0, 6.8e-17], [-0.0, 1e-9]])).text == "(2001e−09)"


def test_prose_has_paragraphs_formulas_and_code():
    assert str(markup.prose("a < b\n\n  `x<y`  ")) == "<p>a &lt; b</p><p><code>x&lt;y</code></p>"
    assert "<math" in markup.inline(r"the $\kappa$ here") and "<math" not in markup.inline("costs $5")


@pytest.mark.parametrize(
    ("plain", "shown"),
    [
        ("tau dkappa/dt = -dV/dkappa.", "τ dκ/dt = -dV/dκ."),
        ("sigma~_12 and alpha_p kappa*", "σ\u0303<sub>12</sub> and α<sub>p</sub> κ*"),
        ("m n^T, |kappa|^2 < 1", "m n<sup>T</sup>, |κ|<sup>2</sup> &lt; 1"),
        ("<phi''>(Delta) = 1/lambda", "⟨φ′′⟩(Δ) = 1/λ"),
        ("read lambda.npz and mu_net, muscle, x.tau, graph", "read lambda.npz and mu_net, muscle, x.tau, graph"),
    ],
)
def test_names_of_greek_letters_are_written_as_letters(plain, shown):
    assert markup.greek(plain) == shown


def test_a_quick_report_has_one_coarse_file_per_figure(solved, tmp_path):
    report.write(tmp_path / "r", [("one", lambda say: make_section(solved))], "t", {}, quick=True)
    check_self_contained(tmp_path / "r")
    assert sorted(p.name for p in (tmp_path / "r/figures").iterdir()) == ["one-line.png"]


def test_a_figure_too_large_for_the_page_is_shown_in_pixels(solved, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "LARGEST_SVG", 10)
    write(tmp_path / "r", make_section(solved))
    assert 'src="data:image/png;base64,' in Path(tmp_path / "r/index.html").read_text(encoding="utf-8")
