"""A case of the report, worked out once for all tests of a file."""

import functools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from meanfield.validation.cases import run


def worked_once(case):
    """(mark, result, data): the mark keeps the tests in one process, ``result()`` is the quick run, ``data(figure)``
    what a figure shows.
    """

    @functools.cache
    def result():
        return run(case, quick=True)

    def data(figure):
        return next(f for f in result().figures if f.name == figure).data

    return pytest.mark.xdist_group(case.name), result, data


def check_statements(statements):
    """None fails, many have a verdict, every one is complete, and a wrong theory was planted."""
    assert [s for s in statements if s.holds is False] == []
    assert sum(s.holds is True for s in statements) >= 15
    assert all(s.text and s.value and s.expected and s.source for s in statements)
    assert any("planted wrong theory" in s.text for s in statements)


def check_figures(figures, may_end=lambda figure, key: False):
    """Figures have names of their own, are no blank pages, and their data is finite; but lines that ``may_end``."""
    assert len({f.name for f in figures}) == len(figures) >= 4
    for figure in figures:
        canvas = FigureCanvasAgg(figure.draw())
        canvas.draw()
        assert np.asarray(canvas.buffer_rgba()).std() > 5  # not a blank page
        for key, values in figure.data.items():
            if np.asarray(values).dtype.kind in "fc" and not may_end(figure.name, key):
                assert np.isfinite(values).all(), (figure.name, key)
