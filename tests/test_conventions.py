"""The checks at the border, and the code held to the table of docs/conventions.md."""

import ast
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from meanfield import Connectivity, averages, dynamics
from meanfield.conventions import (
    check_array,
    check_integer,
    closest,
    loading_names,
    loading_slices,
    ordinal,
    rounding_tolerance,
)

ROOT = Path(__file__).resolve().parents[1]
C = Connectivity.from_overlaps(
    [{"weight": 0.25, "n1 m1": 2.0, "mean n2": 1.0}, {"weight": 0.75, "n2 A": 0.5, "w m1": 1.0}],
    rank=2,
    inputs=("A", "B", "C"),
    readouts=("w",),
    g=0.5,
)
SIZES = {"P": 2, "R": 2, "S": 3, "W": 1, "A": 2 * 2 + 3 + 1}


def table():
    """{identifier: (symbol, shape, meaning)} from the first table of the page."""
    rows = {}
    for line in (ROOT / "docs/conventions.md").read_text(encoding="utf-8").splitlines():
        row = re.match(r"\| *(\S.*?) *\| *((?:`[^`]+`(?:, )?)+) *\| *(.*?) *\| *(.*?) *\|$", line)
        if row:
            for identifier in re.findall(r"`([^`]+)`", row[2]):
                rows[identifier] = (row[1], row[3], row[4])
    return rows


def has_shape(array, shape):
    """Whether the array has the shape that the table states, e.g. "(P, A)"; "(..., R)" leaves leading axes free."""
    expected = [SIZES[letter] for letter in re.findall(r"[A-Z]", shape)]
    found = np.shape(array)
    return list(found[-len(expected) :] if "..." in shape else found) == expected


FIELD = dynamics.reduce(
    Connectivity(C.weights, C.means, C.covariances, C.rank, C.inputs, C.readouts), transfer="tanh", inputs={"A": 1.0}
)
KAPPA = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
VALUES = {
    "weights": lambda: C.weights,
    "means": lambda: C.means,
    "covariances": lambda: C.covariances,
    "mean(a)": lambda: C.mean("m"),
    "covariance(a, b)": lambda: C.covariance("n", "I"),
    "overlap(a, b)": lambda: C.overlap("n", "m"),
    "kappa": lambda: KAPPA,
    "v": lambda: FIELD.v,
    "mean": lambda: FIELD.mean(KAPPA),
    "variance": lambda: FIELD.variance(KAPPA),
    "gain(kappa, order)": lambda: FIELD.gain(KAPPA, 1),
    "drift": lambda: FIELD(KAPPA),
    "jacobian": lambda: FIELD.jacobian(KAPPA),
    "functional_connectivity": lambda: FIELD.functional_connectivity(KAPPA),
    "readout": lambda: FIELD.readout(KAPPA),
    "g": lambda: C.g,
    "tau": lambda: FIELD.tau,
}


@pytest.mark.parametrize("identifier", VALUES)
def test_shapes_are_those_of_the_table(identifier):
    shape = table()[identifier][1]
    value = VALUES[identifier]()
    if shape.startswith("scalar"):
        assert np.ndim(value) == 0
    else:
        assert has_shape(value, shape), f"{identifier} has shape {np.shape(value)}, the table says {shape}"


def test_every_row_of_the_table_is_checked():
    assert set(table()) == set(VALUES)


def test_order_of_the_loading_axis_is_that_of_the_page():
    page = (ROOT / "docs/conventions.md").read_text(encoding="utf-8")
    assert "`m1..mR`, `n1..nR`, inputs, readouts" in page
    assert C.names == ("m1", "m2", "n1", "n2", "A", "B", "C", "w")
    assert [C.slice(kind) for kind in "mnIw"] == [slice(0, 2), slice(2, 4), slice(4, 7), slice(7, 8)]


def parameters():
    """(place, name) of every parameter of every function of the package."""
    for path in sorted((ROOT / "meanfield").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                yield from ((f"{path.name}: {node.name}", argument.arg) for argument in every)


def test_no_signature_says_std_or_alpha():
    forbidden = re.compile(r"std|stddev|sd|sigma|alpha|dt_over_tau|.*_std|std_.*")
    found = [(place, name) for place, name in parameters() if forbidden.fullmatch(name)]
    assert not found
    assert any(name == "variance" for _, name in parameters())  # the scan sees something


@pytest.mark.parametrize("function", [averages.gaussian_average, averages.pair_average])
def test_mean_and_variance_are_keyword_only(function):
    kinds = {name: parameter.kind for name, parameter in inspect.signature(function).parameters.items()}
    assert kinds["mean"] is kinds["variance"] is inspect.Parameter.KEYWORD_ONLY


def test_readout_and_input_called_by_their_kind():
    assert loading_names(1, ("I",), ("w",)) == ("m1", "n1", "I", "w")


@pytest.mark.parametrize(
    "rank, inputs, readouts, message",
    [
        (0, (), (), "rank must be an integer, at least 1: got 0"),
        (True, (), (), "rank must be an integer"),
        (2.0, (), (), "rank must be an integer"),
        (1, ("m1",), (), "'m1' already means something else"),
        (1, ("n12",), (), "'n12' already means"),
        (1, (), ("mean",), "readout name 'mean' already means"),
        (1, ("weight",), (), "'weight' already means"),
        (1, ("a b",), (), "a name must be a word without spaces: got 'a b'"),
        (1, ("",), (), "a name must be a word"),
        (1, (3,), (), "a name must be a word"),
        (1, ("a\x00",), (), "a name must be a word"),
        (1, ("A", "A"), (), "'A' is used twice"),
        (1, ("A",), ("A",), "'A' is used twice"),
        (1, ("I", "A"), (), "only a single input may be called so"),
        (1, ("w",), (), "only a single readout may be called so"),
        (1, (), ("w", "z"), "only a single readout"),
        (1, "AB", (), r"got the string 'AB'; write \('AB',\)"),
    ],
)
def test_bad_names(rank, inputs, readouts, message):
    with pytest.raises(ValueError, match=message):
        loading_names(rank, inputs, readouts)


def test_a_name_may_contain_the_kinds():
    assert loading_names(1, ("Iw", "context.A"), ())[2:] == ("Iw", "context.A")


@pytest.mark.parametrize(
    "value, message",
    [
        ([1.0, np.nan], "x must be finite: got nan at index 1"),
        ([[1.0, 0.0], [np.inf, 0.0]], r"x must be finite: got inf at index \(1, 0\)"),
        ([1.0, 2.0, 3.0], r"x: got shape \(3,\), expected \(2,\) \(axes\)"),
        (["1", "2"], "must be an array of real numbers"),
        ([1j, 0], "must be an array of real numbers"),
        ([True, False], "must be an array of real numbers"),
        ([[1.0], [1.0, 2.0]], "must be an array of real numbers"),
        ([10**400, 1], "must be an array of real numbers"),
        (None, "must be"),
    ],
)
def test_bad_arrays(value, message):
    with pytest.raises(ValueError, match=message):
        check_array("x", value, (2,) if np.ndim(np.array(value, dtype=object)) == 1 else None, "(axes)")


def test_arrays_are_copies_without_negative_zero():
    original = np.array([-0.0, 1.0])
    checked = check_array("x", original)
    original[1] = 7.0
    assert checked.tolist() == [0.0, 1.0] and not np.signbit(checked[0])
    with pytest.raises(ValueError, match="read-only"):
        checked[0] = 2.0
    assert isinstance(check_array("x", 3), np.ndarray)


def test_positions_are_said_so_that_nobody_can_err():
    assert [ordinal(p) for p in (0, 1, 2, 3, 10, 20, 110)] == [
        "0 (first)", "1 (second)", "2 (third)", "3 (4th)", "10 (11th)", "20 (21st)", "110 (111th)",
    ]  # fmt: skip


def test_small_helpers():
    assert "'alpha'" in closest("alhpa", ["alpha", "beta"]) and "known: alpha, beta" in closest(
        "zzz", ["alpha", "beta"]
    )
    assert check_integer("x", np.int64(3), 1) == 3
    assert rounding_tolerance(5) == 20 * np.finfo(float).eps
    assert loading_slices(1, 0, 0)["w"] == slice(2, 2)


def test_errata_of_thesis_4_3_1():
    """The Jacobians that the page prints beside the thesis's: overlap - 1; with input the weights and all gains."""
    populations = [
        {
            "weight": 0.5,
            "m1 m1": 2.0,
            "m2 m2": 2.0,
            "n1 m1": 3.0,
            "n2 m2": 2.5,
            "n1 m2": 1.0,
            "n2 m1": sign,
            "I I": variance,
        }
        for sign, variance in ((1.0, 100.0), (-1.0, 0.01))
    ]
    c = Connectivity.from_overlaps(populations, rank=2, inputs=("I",))
    without, driven = (dynamics.reduce(c, transfer="tanh", inputs={"I": u}).jacobian(np.zeros(2)) for u in (0.0, 1.0))
    np.testing.assert_allclose(without, [[2.0, 1.0], [0.0, 1.5]], rtol=0, atol=1e-14)
    page = (ROOT / "docs/conventions.md").read_text(encoding="utf-8")
    printed = re.search(r"the weights .*? are missing: \$\(([^)]*)\)", page)[1]
    assert printed == "{:.3f}, {:.3f}; {:.3f}, {:.3f}".format(*driven.ravel())
