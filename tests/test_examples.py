"""Every script of the gallery runs, and one of its numbers is right."""

import runpy
from pathlib import Path

import matplotlib
import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[1] / "examples"


def derive(names):
    assert names["LARGEST_DIFFERENCE"] < 1e-11  # closed forms against the proved numeric points
    assert names["PERIOD"] == pytest.approx(2 * np.pi * 2.25 / (np.sqrt(15) / 4))


def gauss_hermite(names):
    assert 5e-3 < names["error_200_at_100"] < 7e-3 and names["error_ours"].max() < 1e-14


def overview(names):
    counts = {"two memories": 5, "a ring": 1, "four populations": 9, "an input makes it oscillate": 1}
    assert names["COUNTS"] == counts


def network(names):
    assert set(names["counts"][3000]) == {5}
    assert abs(names["SLOPE"] + 0.5) < 0.3  # fifteen networks per size: the slope scatters by about 0.1


def crosscheck(names):
    check = names["CHECK"]
    assert check.agrees and check.planted.z > 8 and 0.85 < check.calibration < 1.15
    assert all(abs(found - expected) < 0.3 for _, found, expected in names["SAME"])


def random_part(names):
    assert names["ONSET"] == pytest.approx(1.7958993004319, abs=1e-10)  # the paper: 1.796
    assert names["END"] == pytest.approx(2.1357916902, abs=1e-9)  # and 2.136
    assert np.all(np.diff(names["EXPONENTS"]) > 0) and names["EXPONENTS"][0] > 0


CHECKS = {
    "plot_crosscheck": crosscheck,
    "plot_derive": derive,
    "plot_gauss_hermite": gauss_hermite,
    "plot_overview": overview,
    "plot_network": network,
    "plot_random_part": random_part,
}


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("plot_*.py")))
def test_the_script_runs_and_one_of_its_numbers_is_right(name):
    with matplotlib.rc_context({"backend": "Agg"}):
        CHECKS[name](runpy.run_path(str(FOLDER / f"{name}.py")))
        matplotlib.pyplot.close("all")
