"""The command line: what it teaches, what it prints and writes, and its exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from meanfield.validation import cases, sections
from meanfield.validation.analysis import Condition, Statement, portrait
from test_report import check_self_contained, files

from meanfield import Connectivity, __version__, cli
from meanfield.commands import analyse, report

MODEL = """\
title = "A bistable model"
rank = 1
inputs = ["A", "B"]
[[population]]
"n1 m1" = 2.0
"n1 A" = 0.5
"""


class Equations:
    """Stands in for derived equations."""

    def latex(self):
        return r"\kappa = 2"


def fake_case(name, holds=True):
    c = Connectivity.from_overlaps([{"n1 m1": 2.0}], rank=1)
    case = cases.Case(name, f"Case {name}", "nowhere", "text", c)
    case_result = cases.CaseResult(
        case, Equations(), (portrait(c),), (), (Statement("it is so", "1", "1", holds, "us"),)
    )
    return case, case_result


@pytest.fixture
def two_cases(monkeypatch):
    made = {name: fake_case(name, holds) for name, holds in (("first", True), ("wrong", False))}
    monkeypatch.setattr(cases, "CASES", {name: case for name, (case, _) in made.items()})
    monkeypatch.setattr(cases, "FITTED", {})
    monkeypatch.setattr(cases, "run", lambda case, **options: made[case.name][1])


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.toml").write_text(MODEL)
    return tmp_path


@pytest.fixture
def no_figures(monkeypatch):
    monkeypatch.setattr(sections, "standard_figures", lambda *args, **options: ())


def run(capsys, *arguments):
    """Exit code, standard output, standard error."""
    code = cli.main([str(x) for x in arguments])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("command", [[], ["report"], ["analyse"], ["analyze"]])
def test_help_teaches(command, capsys):
    code, out, _ = run(capsys, *command, "--help")
    assert code == 0 and "exit codes:" in out and ("examples:" in out or "start here:" in out)
    assert max(map(len, out.splitlines())) <= 120


def test_the_model_file_in_the_help_is_one(capsys):
    from meanfield import io

    _, out, _ = run(capsys, "--help")
    text = out.split("A model file is a list of overlaps:")[1].split("exit codes:")[0]
    assert io.loads("\n".join(line.strip() for line in text.splitlines())).inputs == ("A",)


def test_the_model_file_on_the_command_line_page_is_one():
    from meanfield import io

    page = (Path(__file__).resolve().parents[1] / "docs/command-line.md").read_text(encoding="utf-8")
    assert io.loads(page.split("```toml")[1].split("```")[0]).rank == 2


def test_version(capsys):
    assert run(capsys, "--version")[:2] == (0, f"meanfield {__version__}\n")


def test_help_loads_nothing_heavy():
    show = "print('LOADED', {'numpy', 'scipy', 'sympy'} & set(sys.modules))"
    code = f"import sys\nfrom meanfield.cli import main\nmain(['--help'])\n{show}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "LOADED set()" in done.stdout


def test_analyse_prints_tables_and_writes_a_page(model, capsys):
    code, out, err = run(capsys, "analyse", "model.toml", "--quick", "--quiet")
    assert (code, err) == (0, "")
    assert (
        "no input: 3 fixed points (2 stable, 1 source); proved complete" in out
        and "\nA = 1: " in out
        and "\nB = 1: " in out
    )
    seen = check_self_contained(model / "report-model")
    assert "A bistable model" in seen.text
    record = json.loads((model / "report-model/report.json").read_text(encoding="utf-8"))
    (section,) = record["sections"]
    assert [p["condition"] for p in section["portraits"]] == ["no input", "A = 1", "B = 1"]
    assert section["equations"] and section["figures"] and record["options"]["file"] == "model.toml"


def test_analyse_twice_gives_the_same_bytes(model, capsys):
    for name in "ab":
        assert run(capsys, "analyse", "model.toml", "--quick", "--quiet", "--out", name)[0] == 0
    assert files(model / "a") == files(model / "b")


def test_conditions_digits_and_transfer(model, no_figures, capsys):
    chosen = ["--input", "none", "--condition", "A=0.25, B=-1", "--transfer", "erf", "--digits", "30"]
    code, out, _ = run(capsys, "analyse", "model.toml", "--quick", "--quiet", *chosen)
    assert code == 0 and "\nA = 0.25, B = -1: " in out and "A = 1" not in out
    # one zero-mean Gaussian population with erf: kappa^2 = 2 (lambda^2 - 1) / pi at overlap 2 and unit variance of m
    assert "1.38197659788534191706097858413" in out


def test_analyse_a_finite_network(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    m = rng.standard_normal((50, 1))
    np.savez("net.npz", m=m, n=2 * m, I=np.zeros((50, 0)), w=m[:, 0])
    code, out, _ = run(capsys, "analyse", "net.npz", "--quick", "--quiet")
    assert code == 0 and "3 fixed points (2 stable, 1 source); proved complete" in out
    record = json.loads((tmp_path / "report-net/report.json").read_text(encoding="utf-8"))
    assert (
        record["sections"][0]["connectivity"]["neurons"] == 50
        and r"\sum_{i=1}^{N}" in record["sections"][0]["equations"][0]
    )


@pytest.mark.parametrize("g", ["", "g = 0.5\n"])
def test_rank_six_is_found_but_not_proved_complete(model, g, no_figures, capsys):
    (model / "six.toml").write_text(f'rank = 6\n{g}[[population]]\n"n1 m1" = 2.0\n')
    code, out, _ = run(capsys, "analyse", "six.toml", "--starts", "2000")
    assert code == 1 and "not proved complete: found from many starts" in out
    assert "those of 1 are found from many starts and not proved complete." in out


def test_a_ring_is_not_complete(model, no_figures, capsys):
    (model / "ring.toml").write_text('rank = 2\n[[population]]\n"n1 m1" = 2.0\n"n2 m2" = 2.0\n')
    code, out, _ = run(capsys, "analyse", "ring.toml", "--quick", "--quiet")
    assert code == 1 and "continuum" in out


BAD = {
    "no such file": (["analyse", "none.toml"], "none.toml"),
    "no such network": (["analyse", "none.npz"], "no such file: none.npz"),
    "ending": (["analyse", "notes.txt"], "expected a model (.toml) or a network"),
    "not TOML": (["analyse", "broken.toml"], "not valid TOML"),
    "misspelt key": (["analyse", "misspelt.toml"], "did you mean 'rank'?"),
    "not a network": (["analyse", "broken.npz"], "broken.npz"),
    "unknown transfer": (["analyse", "model.toml", "--transfer", "tanhh"], "tanh"),
    "no known box": (["analyse", "steep.toml", "--transfer", "relu"], "box"),
    "unknown input": (["analyse", "model.toml", "--input", "C=1"], "unknown input 'C'"),
    "no amplitude": (["analyse", "model.toml", "--input", "A"], "expected NAME=AMPLITUDE"),
    "not a number": (["analyse", "model.toml", "--input", "A=x"], "must be a number: got 'x'"),
    "nan": (["analyse", "model.toml", "--input", "A=nan"], "finite"),
    "twice": (["analyse", "model.toml", "--input", "A=1,A=2"], "given twice"),
    "digits": (["analyse", "model.toml", "--digits", "0"], "from 1 to 1000"),
    "budget of another search": (["analyse", "six.toml", "--max-boxes", "1000"], "expected --starts N"),
    "two budgets": (["analyse", "model.toml", "--max-boxes", "1000", "--starts", "9"], "give one of them"),
    "folder with other files": (["analyse", "model.toml", "--out", "mine"], "not part of a report"),
    "folder is a file": (["report", "--out", "notes.txt"], "it is a file"),
    "unknown case": (["report", "--case", "frist"], "did you mean 'first'?"),
    "missing network": (["report", "--network", "none.npz"], "none.npz"),
    "seed": (["report", "--seed", "-1"], "seed"),
    "no command": ([], "COMMAND"),
    "unknown option": (["report", "--cases", "x"], "--cases"),
}


@pytest.mark.parametrize("mistake", BAD)
def test_a_mistake_gets_a_message_and_writes_nothing(mistake, model, two_cases, capsys):
    arguments, message = BAD[mistake]
    (model / "notes.txt").write_text("mine")
    (model / "mine").mkdir()
    (model / "mine/notes.txt").write_text("mine")
    (model / "broken.toml").write_text("rank = [")
    (model / "misspelt.toml").write_text("rnak = 1")
    (model / "steep.toml").write_text('rank = 1\n[[population]]\n"n1 m1" = 3.0\n')
    (model / "six.toml").write_text('rank = 6\n[[population]]\n"n1 m1" = 2.0\n')
    (model / "broken.npz").write_bytes(b"PK\x03\x04 nothing")
    before = files(model)
    code, out, err = run(capsys, *arguments)
    assert code == 2 and out == "" and message in err and "Traceback" not in err
    assert files(model) == before and not list(model.glob(".*"))


def test_report_on_all_cases(model, two_cases, no_figures, monkeypatch, capsys):
    monkeypatch.setattr(report, "SHARED_NETWORKS", ())
    code, out, err = run(capsys, "report", "--quick", "--quiet")
    assert code == 1 and out.startswith(
        "2 of 3 statements hold; the fixed points of 3 of 3 systems are proved complete."
    )
    assert "meanfield: wrong: it is so" in err
    seen = check_self_contained(model / "report")
    assert {"first", "wrong", "drawn-network"} <= set(seen.ids)
    assert "No trained networks were found" in seen.text and "meanfield report --network FILE" in seen.text


def test_report_on_one_case_and_a_network(model, two_cases, capsys):
    m = np.random.default_rng(1).standard_normal((40, 1))
    for folder in ("a", "b"):
        (model / folder).mkdir()
        np.savez(model / folder / "my net.npz", m=m, n=2 * m, I=np.zeros((40, 0)), w=m[:, 0])
    networks = ["--network", "a/my net.npz", "--network", "b/my net.npz"]
    code, out, err = run(capsys, "report", "--case", "FIRST", "--quick", "--out", "deep/er", *networks)
    assert code == 0 and "[3/3] my-net-2" in err
    assert {"first", "my-net", "my-net-2"} <= set(check_self_contained(model / "deep/er").ids)


def test_trained_networks_beside_the_checkout_are_added(model, two_cases, no_figures, monkeypatch, capsys):
    m = np.random.default_rng(1).standard_normal((40, 1))
    (model / "shared/networks").mkdir(parents=True)
    np.savez(model / "shared/networks" / report.SHARED_NETWORKS[0], m=m, n=2 * m, I=np.zeros((40, 0)), w=m[:, 0])
    monkeypatch.setenv("MEANFIELD_SHARED", str(model / "shared"))
    run(capsys, "report", "--quick", "--quiet")
    record = json.loads((model / "report/report.json").read_text(encoding="utf-8"))
    assert [s["name"] for s in record["sections"]] == ["first", "wrong", "drawn-network", "pop__rdm_lr_fig2"]
    assert record["notes"] == [] and str(model) not in (model / "report/index.html").read_text(encoding="utf-8")


def test_list(two_cases, capsys):
    code, out, _ = run(capsys, "report", "--list")
    assert code == 0 and out.splitlines() == ["first  Case first (nowhere)", "wrong  Case wrong (nowhere)"]


def test_an_internal_error_asks_for_a_report(model, two_cases, monkeypatch, capsys):
    def fail(case, **options):
        raise ValueError("deep inside")

    monkeypatch.setattr(cases, "run", fail)
    code, out, err = run(capsys, "report", "--case", "first")
    assert (code, out) == (3, "") and "internal error: ValueError: deep inside" in err and "--debug" in err
    assert "Traceback" not in err and not (model / "report").exists()
    code, _, err = run(capsys, "report", "--case", "first", "--debug")
    assert code == 3 and "Traceback" in err and "deep inside" in err


def test_ctrl_c_leaves_the_old_report(model, two_cases, monkeypatch, capsys):
    assert run(capsys, "report", "--case", "first", "--quiet")[0] == 0
    before = files(model)

    def interrupt(case, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(cases, "run", interrupt)
    code, _, err = run(capsys, "report", "--case", "first")
    assert code == 130 and "interrupted" in err and "Traceback" not in err
    assert files(model) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(model, two_cases, capsys):
    (model / "closed").mkdir(mode=0o500)
    code, _, err = run(capsys, "report", "--case", "first", "--out", "closed/report")
    assert code == 2 and "permission" in err


def test_terminated_runs_clean_up(model):
    """SIGTERM (a cancelled job) removes what was half-written."""
    code = (
        "import os, signal, sys\nfrom meanfield import cli\nfrom meanfield.validation import sections\n"
        "def stop(*args, **options):\n    os.kill(os.getpid(), signal.SIGTERM)\n"
        "sections.worked_out = stop\nsys.exit(cli.main(['analyse', 'model.toml']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=model, capture_output=True, text=True, check=False)
    assert done.returncode == 143 and os.listdir(model) == ["model.toml"]


def test_a_case_of_the_literature(tmp_path, capsys):
    if not cases.CASES:
        pytest.fail("validation.cases has no cases")
    name = next(iter(cases.CASES))
    code, out, err = run(capsys, "report", "--quick", "--quiet", "--case", name, "--out", tmp_path / "r")
    assert code == 0, err
    seen = check_self_contained(tmp_path / "r")
    assert name in seen.ids and cases.CASES[name].title in seen.text and "math" in seen.tags


def test_a_trained_network(shared_networks, tmp_path, capsys):
    code, out, _ = run(
        capsys, "analyse", shared_networks / "pop__rdm_lr_fig2.npz", "--quick", "--quiet", "--out", tmp_path / "r"
    )
    assert code == 0 and "no input: 3 fixed points (2 stable, 1 source); proved complete" in out
    check_self_contained(tmp_path / "r")


def test_conditions_are_labelled_for_people():
    c = Connectivity.from_overlaps([{"n1 m1": 2.0}], rank=1, inputs=("A", "B"))
    made = analyse._conditions(["none", "A=1,B=-0.5", ""], c)
    assert made == (
        Condition("no input", {}),
        Condition("A = 1, B = -0.5", {"A": 1.0, "B": -0.5}),
        Condition("no input", {}),
    )


def test_a_box_of_ones_own_where_none_is_known(model, capsys):
    (model / "steep.toml").write_text('rank = 1\n[[population]]\n"n1 m1" = 3.0\n')
    code, _, err = run(capsys, "analyse", "steep.toml", "--transfer", "relu", "--quiet")
    assert code == 2 and "--box LOW HIGH" in err
    code, out, _ = run(
        capsys, "analyse", "steep.toml", "--transfer", "relu", "--quiet", "--quick", "--box", "-2", "2.5"
    )
    assert code == 0 and "1 fixed point (1 source); proved complete" in out and "in the given box" in out
    code, out, _ = run(capsys, "analyse", "steep.toml", "--quiet", "--quick", "--max-boxes", "2")
    assert code == 1 and "not settled within the budget" in out
    code, _, err = run(capsys, "analyse", "steep.toml", "--box", "2", "-2")
    assert code == 2 and "LOW below HIGH" in err


def test_an_expression_as_transfer_function(model, capsys):
    (model / "one.toml").write_text('rank = 1\n[[population]]\n"n1 m1" = 2.0\n')
    code, out, _ = run(capsys, "analyse", "one.toml", "--transfer", "x/sqrt(1 + x**2)", "--quiet", "--quick")
    assert code == 0 and "3 fixed points" in out and "error estimates of the averages of x/sqrt(1 + x**2)" in out
    code, _, err = run(capsys, "analyse", "one.toml", "--transfer", "tahn")
    assert code == 2 and "an expression in x" in err
    code, _, err = run(capsys, "analyse", "one.toml", "--transfer", "evil(x)")
    assert code == 2 and "Traceback" not in err


def test_networks_are_drawn_from_a_model_on_request(model, capsys):
    code, out, _ = run(capsys, "analyse", "model.toml", "--networks", "--input", "A=0.2", "--quick", "--quiet")
    assert code == 0 and "A = 0.2: The drawn networks agree with the theory" in out
    seen = check_self_contained(model / "report-model")
    assert "Finite networks" in seen.text and "a planted wrong theory" in seen.text
    (section,) = json.loads((model / "report-model" / "report.json").read_text())["sections"]
    (check,) = section["crosschecks"]
    assert check["outcome"] == "agrees" and check["planted"]["rejected"] and len(check["rows"]) >= 6
    assert {"z", "z_std", "slope", "gap", "predicted_std"} <= set(check["rows"][0])


def test_networks_cannot_be_drawn_from_a_network(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("net.npz", m=np.ones((5, 1)), n=np.ones((5, 1)), I=np.ones((5, 0)), w=np.ones((5, 0)))
    code, _, err = run(capsys, "analyse", "net.npz", "--networks")
    assert code == 2 and "give the model (.toml)" in err and os.listdir(tmp_path) == ["net.npz"]


def test_a_model_with_a_random_part(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = 'rank = 1\ng = 1.9\n[[population]]\n"mean m1" = 1.1\n"mean n1" = 2.0\n"n1 n1" = 1.0\n'
    (tmp_path / "random.toml").write_text(text)
    code, out, err = run(capsys, "analyse", "random.toml", "--quick", "--quiet")
    assert code == 0 and err == ""
    assert "4 stationary states: proved complete" in out and "3 time-dependent states" in out
    record = json.loads((tmp_path / "report-random" / "report.json").read_text())
    (scape,) = record["sections"][0]["landscapes"]
    assert [s["attracting"] for s in scape["fluctuating"]] == [True, True, False]
    assert abs(scape["fluctuating"][0]["lyapunov"] - 0.0426809) < 1e-6
    page = (tmp_path / "report-random" / "index.html").read_text()
    assert "bulk radius" in page and "largest Lyapunov exponent" in page
