"""Pieces of HTML that escape what they are given, so that no text can turn into markup by accident."""

import html
import math
import re
import textwrap
from xml.etree import ElementTree

import numpy as np

GREEK = dict(zip("alpha kappa lambda mu phi sigma tau Delta Phi".split(), "ακλμφστΔΦ", strict=True))
_GREEK = re.compile(rf"(?<![\w.])(d?)({'|'.join(GREEK)})('*)(?![A-Za-z]|_\w{{3}}|[.]\w)")
# a single letter with an index of at most two characters, and the power or upper index of anything
_LOWERED = re.compile(r"((?<![\w.])d?[A-Za-zα-ωΑ-Ω]\u0303?|⟩)_([A-Za-z0-9]{1,2})(?!\w)")
_RAISED = re.compile(r"(?<=[\w)|>⟩*])\^([A-Za-z0-9]{1,2})(?!\w)")


class Html(str):
    """Text that is markup already."""


def markup(x):
    """Markup as it is; anything else as escaped text."""
    return x if isinstance(x, Html) else Html(html.escape(str(x)))


def join(parts, between=""):
    """Several pieces as one."""
    return Html(markup(between).join(markup(part) for part in parts))


def tag(_name, *children, **attributes):
    """``<name attribute="...">children</name>``; a trailing underscore of an attribute (``class_``) is dropped."""
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{markup(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    opening = f"<{_name}{shown}>"
    return Html(opening) if _name in ("img", "br") else Html(f"{opening}{join(children)}</{_name}>")


def table(head, rows, caption=None, wide=False):
    """A table in a box that scrolls sideways when the screen is narrow; numbers do not break over lines."""
    cells = [[tag("td", x, class_="number" if isinstance(x, Number) else None) for x in row] for row in rows]
    body = [tag("tbody", *(tag("tr", *row) for row in cells))]
    title = [tag("caption", caption)] if caption else []
    top = tag("thead", tag("tr", *(tag("th", x, scope="col") for x in head)))
    return tag("div", tag("table", *title, top, *body, class_="wide" if wide else None), class_="scroll")


def facts(pairs):
    """A list of (name, value)."""
    return tag("dl", *(join([tag("dt", name), tag("dd", value)]) for name, value in pairs), class_="facts")


def prose(text):
    """Paragraphs separated by empty lines, with ``$formulas$`` and `` `code` ``."""
    paragraphs = re.split(r"\n\s*\n", textwrap.dedent(str(text)).strip())
    return join(tag("p", inline(paragraph.strip())) for paragraph in paragraphs if paragraph)


def inline(text):
    """One line of text with ``$formulas$`` and `` `code` ``; names of Greek letters are written as letters."""
    parts = []
    for piece in re.split(r"(\$[^$]+\$|`[^`]+`)", str(text)):
        if len(piece) > 2 and piece[0] == piece[-1] == "$":
            parts.append(formula(piece[1:-1]))
        elif len(piece) > 2 and piece[0] == piece[-1] == "`":
            parts.append(tag("code", piece[1:-1]))
        else:
            parts.append(greek(piece))
    return join(parts)


def greek(text):
    """Plain text with kappa_1, <phi'>, dkappa/dt, u^2 as people write them; file names and longer words stay."""
    text = _GREEK.sub(lambda found: found[1] + GREEK[found[2]] + "′" * len(found[3]), text)
    text = re.sub(r"<([φΦ]′*|tanh)>", r"⟨\1⟩", text)
    text = re.sub(r"(?<=[α-ωΑ-Ω])~", "\u0303", text)
    return Html(_RAISED.sub(r"<sup>\1</sup>", _LOWERED.sub(r"\1<sub>\2</sub>", markup(text))))


def equation(latex):
    """A displayed equation; lines are aligned where ``&`` stands, and decimals rounded to six digits."""
    body = re.sub(r"\\(?:begin|end)\{(?:aligned|align\*?|split|gathered|equation\*?)\}", "", str(latex))
    body = re.sub(r"\d+\.\d{6,}", lambda found: f"{float(found[0]):.6g}", body.strip().strip("$"))
    rows = [row for row in _rows(body) if any(row)]
    lines = (tag("tr", *(tag("td", formula(cell, displayed=True)) for cell in row)) for row in rows)
    return tag("div", tag("table", *lines, class_="equation"), class_="scroll")


def _rows(latex):
    r"""Cut into lines at ``\\`` and into cells at ``&``, outside environments such as matrices."""
    rows, depth = [[""]], 0
    for piece in re.split(r"(\\begin\{|\\end\{|\\\\(?:\[[^\]]*\])?|(?<!\\)&)", latex):
        depth += (piece == r"\begin{") - (piece == r"\end{")
        if not depth and piece.startswith("\\\\"):
            rows.append([""])
        elif not depth and piece == "&":
            rows[-1].append("")
        else:
            rows[-1][-1] += piece
    return [[cell.strip() for cell in row] for row in rows]


def formula(latex, displayed=False):
    """LaTeX as MathML, large when ``displayed``; what cannot be converted is shown as written."""
    from latex2mathml.converter import convert

    try:
        made = convert(latex, display="inline")
        made = re.sub(r"&(?!#?\w+;)", "&amp;", made)
        ElementTree.fromstring(made)
    except Exception:  # a third-party parser fails in many ways, and a page without one formula is better than none
        return tag("code", latex)
    made = re.sub(r"<mi>(&#x0203[234];)</mi>", r"<mo>\1</mo>", made)  # primes
    style = ' displaystyle="true"' if displayed else ""
    return Html(made.replace(' xmlns="http://www.w3.org/1998/Math/MathML" display="inline"', style))


class Number(Html):
    """A formatted number, kept on one line."""


def number(x, digits=4):
    """A number to ``digits`` significant digits, with a true minus sign."""
    x = float(x) + 0.0
    if not math.isfinite(x):
        return Number("∞" if x > 0 else "−∞" if x < 0 else "not a number")
    if float(x).is_integer() and abs(x) < 1e6:
        return Number(_minus(f"{x:.0f}"))
    shown = f"{x:.{digits}g}"
    return _scientific(shown) if "e" in shown else Number(_minus(shown))


def matrix(rows, digits=4):
    """A small matrix of numbers, set as one; what is 0 up to rounding is shown as 0."""
    rows = np.asarray(rows, dtype=float)
    rows = np.where(np.abs(rows) > 1e-14 * np.abs(rows).max(), rows, 0.0)
    cells = (tag("mtr", *(tag("mtd", tag("mn", _minus(f"{x + 0.0:.{digits}g}"))) for x in row)) for row in rows)
    return tag("math", tag("mrow", tag("mo", "("), tag("mtable", *cells), tag("mo", ")")))


def _minus(text):
    return text.replace("-", "−")


def _scientific(shown):
    mantissa, exponent = shown.split("e")
    return Number(f"{_minus(mantissa)}·10<sup>{_minus(str(int(exponent)))}</sup>")


def bound(x):
    """A bound to one digit, rounded up."""
    if x == 0 or not math.isfinite(x):
        return number(x)
    power = math.floor(math.log10(x))
    lead = math.ceil(x / 10.0**power * (1 - 1e-12))
    lead, power = (1, power + 1) if lead >= 10 else (lead, power)
    return (
        Number(f"{lead}·10<sup>{_minus(str(power))}</sup>")
        if not -3 <= power <= 3
        else Number(f"{lead * 10.0**power:.{max(0, -power)}f}")
    )


def complex_number(z, digits=4):
    """A complex number; a real one without its imaginary part."""
    real = number(z.real, digits)
    if z.imag == 0:
        return real
    return Number(f"{real} {'+' if z.imag > 0 else '−'} {number(abs(z.imag), digits)} i")


def enclosed(x, radius):
    """Numbers within ``radius``: the decimals worth showing, and the bound of what is shown, rounding included."""
    x, radius = np.atleast_1d(x).astype(float), float(np.max(radius))
    decimals = min(13, max(1, 1 - math.floor(math.log10(radius)))) if radius > 0 else 13
    return vector(x, decimals), Number("± " + bound(radius + np.abs(np.round(x, decimals) - x).max()))


def vector(x, decimals):
    """Coordinates with a fixed number of decimals."""
    shown = [_minus(f"{round(float(value), decimals) + 0.0:.{decimals}f}") for value in x]
    return Number(shown[0] if len(shown) == 1 else f"({', '.join(shown)})")
