"""A ledger for people: tables as text, HTML and LaTeX, and the largest effects in sentences."""

import html

import numpy as np

#: An effect is told when it is at least this share of all contributions to the overlap, signs left out ..
LARGE = 0.2
#: .. when the other populations leave at least this share of it in the total ..
LEFT = 0.5
#: .. and when the total changes by at least this share of the largest contribution to any overlap of its row.
SEEN = 0.05
#: More populations than this are not listed one by one.
MOST = 8


def _signed(x):
    x = _zeroed(x)
    return f"{x:+.2f}" if x == 0 or 0.1 <= abs(x) < 1000 else f"{x:+.2g}"


def _zeroed(x):
    return round(float(x), 9) + 0.0


def _pairs(ledger):
    return [(i, j) for i in range(len(ledger.rows)) for j in range(len(ledger.columns))]


def _vector(values):
    return "(" + ", ".join(f"{_zeroed(x):.4g}" for x in values) + ")"


def _single(ledger):
    return ledger.kappa.ndim == 1


def _head(ledger):
    name = f"ledger, {ledger.label}" if ledger.label else "ledger"
    if not _single(ledger):
        return f"{name}: {ledger.kappa.shape[:-1]} states, {len(ledger.weights)} populations; .at(k) shows one"
    inputs = f", v = {_vector(ledger.v)}" if ledger.v.size else ""
    return f"{name}: kappa = {_vector(ledger.kappa)}{inputs}"


def _cells(ledger):
    """Header and rows of the table of one state: populations, effective overlaps, sums of the drift's terms."""
    names = [f"population {name}" for name in ledger.populations]
    head = ["", "total", *names]
    rows = [["weight", f"{ledger.weights.sum():.4g}", *(f"{x:.4g}" for x in ledger.weights)]]
    rows.append(["gain <phi'>", f"{ledger.weights @ ledger.gain:.4g}", *(f"{_zeroed(x):.4g}" for x in ledger.gain)])
    rows.append(["saturation", "", *(f"{_zeroed(x):.3g}" for x in ledger.saturation)])
    overlap, total = ledger.overlap, ledger.total
    for i, j in _pairs(ledger):
        values = overlap[:, i, j]
        if values.any():
            text = f"{ledger.rows[i]}.{ledger.columns[j]}"
            rows.append([text, _signed(total[i, j]), *map(_signed, values)])
    rank = ledger.kappa.shape[-1]
    for i, values in enumerate(ledger.contribution.T):
        text = f"drift {ledger.rows[i]} + kappa{i + 1}" if i < rank else f"readout {ledger.rows[i]}"
        rows.append([text, _signed(values.sum()), *map(_signed, values)])
    for i, values in enumerate(ledger.rest.T):
        if np.round(values, 9).any():
            rows.append([f"  of it not Gaussian, {ledger.rows[i]}", _signed(values.sum()), *map(_signed, values)])
    return head, rows


def _few(ledger):
    return _single(ledger) and len(ledger.weights) <= MOST


def _aligned(head, rows):
    wide = [max(len(row[k]) for row in (head, *rows)) for k in range(len(head))]
    lines = [
        "  ".join([row[0].ljust(wide[0]), *(cell.rjust(w) for cell, w in zip(row[1:], wide[1:], strict=True))])
        for row in (head, *rows)
    ]
    return [line.rstrip() for line in lines]


def table(ledger):
    """Text: one state of up to MOST populations as a table, else one line."""
    if not _few(ledger):
        hint = "; .grouped(labels) sums them" if len(ledger.weights) > MOST else ""
        return _head(ledger) + hint
    return "\n".join([_head(ledger), *_aligned(*_cells(ledger))])


def html_table(ledger):
    """The same for notebooks."""
    return _html(_head(ledger), *_cells(ledger)) if _few(ledger) else f"<p>{html.escape(table(ledger))}</p>"


def _html(title, head, rows):
    def line(cells, tag):
        return "<tr>" + "".join(f"<{tag}>{html.escape(x)}</{tag}>" for x in cells) + "</tr>"

    body = line(head, "th") + "".join(line(row, "td") for row in rows)
    return f"<div><p>{html.escape(title)}</p><table>{body}</table></div>"


def latex_table(ledger):
    """LaTeX tabular of the contributions to each effective overlap, one state.

    Raises
    ------
    ValueError
        Several states, or too many populations to list.
    """
    if not _few(ledger):
        raise ValueError(f"a table shows one state of up to {MOST} populations: take .at(k) and .grouped(labels) first")
    names = " & ".join(rf"$p = {_escaped(name)}$" for name in ledger.populations)
    lines = [rf"\begin{{tabular}}{{l{'r' * (1 + len(ledger.populations))}}}", rf"& total & {names} \\ \hline"]
    lines.append(r"$\langle\phi'\rangle_p$ & & " + " & ".join(f"${_zeroed(x):.3f}$" for x in ledger.gain) + r" \\")
    overlap, total = ledger.overlap, ledger.total
    for i, j in _pairs(ledger):
        if overlap[:, i, j].any():
            a, b = (_index(name) for name in (ledger.rows[i], ledger.columns[j]))
            cells = (f"${_zeroed(x):+.3f}$" for x in (total[i, j], *overlap[:, i, j]))
            lines.append(rf"$\tilde\sigma_{{{a}\,{b}}}$ & " + " & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\end{tabular}"])


def _index(name):
    return rf"{name[0]}_{{{name[1:]}}}" if name[0] in "mn" and name[1:].isdigit() else rf"\text{{{_escaped(name)}}}"


def _escaped(text):
    return "".join("\\" + x if x in "_&%$#{}" else x for x in text)


def _change_cells(comparison):
    before, after = comparison.before, comparison.after
    head = ["", "total", *(f"population {name}" for name in after.populations)]
    rows = [["gain <phi'>", "", *map(_arrow, before.gain, after.gain)]]
    totals = before.total, after.total
    for i, j in _pairs(after):
        if before.overlap[:, i, j].any() or after.overlap[:, i, j].any():
            cells = map(_arrow, before.overlap[:, i, j], after.overlap[:, i, j])
            rows.append([f"{after.rows[i]}.{after.columns[j]}", _arrow(*(t[i, j] for t in totals)), *cells])
    parts = comparison.terms()
    for i, row in enumerate(after.rows):
        for name, values in parts.items():
            if np.round(values[:, i], 9).any():
                changes = map(_signed, values[:, i])
                rows.append([f"change of {row}'s terms by {name}", _signed(values[:, i].sum()), *changes])
    return head, rows


def _arrow(a, b):
    return f"{_zeroed(a):.3g} -> {_zeroed(b):.3g}"


def _change_title(comparison):
    return f"{comparison.before.label or 'before'} -> {comparison.after.label or 'after'}"


def comparison_table(comparison):
    """Text: both ledgers side by side, and what the sentences say."""
    if not _few(comparison.after):
        return f"{_change_title(comparison)}: {table(comparison.after)}"
    lines = [_change_title(comparison), *_aligned(*_change_cells(comparison))]
    return "\n".join([*lines, *comparison.sentences()])


def html_comparison(comparison):
    """The same for notebooks."""
    if not _few(comparison.after):
        return f"<p>{html.escape(comparison_table(comparison))}</p>"
    told = "".join(f"<p>{html.escape(text)}</p>" for text in comparison.sentences())
    return _html(_change_title(comparison), *_change_cells(comparison)) + told


def sentences(comparison, most=4):
    """The effects that are large against what cancels, those first that change a total by the largest factor."""
    before, after = comparison.before, comparison.after
    if not _single(after):
        raise ValueError("sentences are about two single states: take .at(k) of both ledgers first")
    old, new, changed = before.overlap, after.overlap, comparison.overlap
    gross = np.maximum(np.abs(old).sum(0), np.abs(new).sum(0))  # (A, B)
    on = np.concatenate([np.ones(before.kappa.shape[-1], bool), (before.v != 0) | (after.v != 0)])
    total = changed.sum(0)
    seen = (np.abs(total) >= SEEN * np.maximum(np.abs(old), np.abs(new)).max((0, 2))[:, None]) & on
    told = (np.abs(changed) >= LARGE * gross) & (np.abs(total) >= LEFT * np.abs(changed)) & (changed != 0) & seen
    # a change of sign, or from nothing to something, before the same change of a large total
    size = np.maximum(np.abs(before.total), np.abs(after.total))
    weight = np.divide(np.abs(total), size, out=np.zeros_like(size), where=size > 0)
    places = sorted(np.argwhere(told), key=lambda at: (-round(weight[*at[1:]], 6), -abs(changed[*at])))
    return tuple(_sentence(comparison, *at) for at in places[:most])


def _sentence(comparison, p, i, j):
    before, after = comparison.before, comparison.after
    old, new = before.overlap[p, i, j], after.overlap[p, i, j]
    what = f"{after.rows[i]}.{after.columns[j]}"
    total = f"the total goes from {_signed(before.total[i, j])} to {_signed(after.total[i, j])}"
    return f"{_cause(comparison, p, i, j)}, which {_effect(old, new)} {what}; {total}"


def _effect(old, new):
    if not new:
        return f"removes all of its {_signed(old)} to"
    if old * new >= 0 and abs(new) < abs(old):
        return f"removes {_signed(old - new)} of its {_signed(old)} to"
    if old * new >= 0:
        return f"adds {_signed(new - old)} to its {_signed(old)} to"
    return f"turns its {_signed(old)} into {_signed(new)} to"


def _cause(comparison, p, i, j):
    before, after = comparison.before, comparison.after
    who, name = after.label or "the change", f"population {after.populations[p]}"
    if abs(comparison.by_structure[p, i, j]) > abs(comparison.by_gain[p, i, j]):
        gone = not after.overlap[p].any() and before.overlap[p].any()
        return f"{who} {'silences' if gone else 'changes the loadings of'} {name}"
    one, two = before.gain[p], after.gain[p]
    verb = "saturates" if two < one else "raises the gain of"
    return f"{who} {verb} {name} (<phi'> {_zeroed(one):.2f} -> {_zeroed(two):.2f})"
