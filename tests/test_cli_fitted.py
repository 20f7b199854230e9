"""``meanfield train``, ``fit`` and ``explain`` as a user runs them."""

import json

import numpy as np
import pytest
from test_report import check_self_contained

from meanfield import Connectivity, cli
from meanfield import validation as mv


def run(capsys, *arguments):
    code = cli.main([str(x) for x in arguments])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def net():
    """A switch of one population, with a readout along m and an input along n."""
    c = Connectivity.from_overlaps([{"n1 m1": 1.5, "n1 A": 0.8, "w m1": 2.0}], 1, ("A",), ("w",))
    return mv.draw(c, 200, seed=1, match_moments=True)


def test_train_writes_a_network_and_a_page_and_goes_on_from_a_checkpoint(here, capsys):
    options = ["--neurons", 40, "--batch", 16, "--quick", "--quiet", "--checkpoint", "part.npz"]
    code, out, err = run(capsys, "train", "rdm", "--steps", 3, *options)
    assert code == 1 and "out of steps" in out and not err
    trained = mv.load_network(here / "rdm-low-rank.npz")
    assert (trained.n_neurons, trained.rank, trained.task) == (40, 1, "rdm")
    seen = check_self_contained(here / "report-rdm-low-rank")
    assert "psychometric curve of the network" in seen.text
    code, out, err = run(capsys, "train", "dms", "--steps", 3, *options)
    assert code == 2 and "part.npz" in err and "another" in err
    assert not (here / "dms-low-rank.npz").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "tennis"], "unknown task 'tennis'"),
        (["train", "rdm", "--set", "decision"], "expected NAME=NUMBER"),
        (["train", "rdm", "--set", "colour=3"], "colour"),
        (["train", "rdm", "--out", "net.txt"], "ends in .npz"),
        (["fit", "none.npz"], "none.npz"),
        (["fit", "rec.npz", "--rank", "99"], "rank"),
        (["explain", "net.npz", "--task", "dms"], "inputs"),
        (["explain", "net.npz", "--task", "rdm", "--trials", "t.npz"], "give one of them"),
    ],
)
def test_mistakes(here, net, capsys, arguments, message):
    mv.save_network(net, "net.npz")
    np.savez("rec.npz", rates=np.zeros((3, 20, 5)) + np.arange(5) / 10, dt=0.1)
    before = sorted(p.name for p in here.iterdir())
    code, out, err = run(capsys, *arguments)
    assert code == 2 and message in err and "Traceback" not in err and not out
    assert sorted(p.name for p in here.iterdir()) == before


def test_fit_then_explain(here, net, capsys):
    trials = mv.get_task("rdm").trials(40, 2)
    x = mv.run_trials(net, trials, noise_std=0.05, seed=3, record_x=True).x
    np.savez("rec.npz", rates=np.tanh(x), inputs=trials.u, dt=20.0)
    code, out, err = run(capsys, "fit", "rec.npz", "--tau", 100, "--rank", 1, 2, "--quick", "--quiet")
    assert code == 0 and not err, (out, err)
    record = json.loads((here / "report-rec-fit/report.json").read_text(encoding="utf-8"))
    assert any("R^2 of held-out rates" in s["text"] for s in record["sections"][0]["statements"])
    check_self_contained(here / "report-rec-fit")
    fitted = mv.load_network("rec-fit.npz")
    assert fitted.rank == 1 and fitted.n_neurons == net.n_neurons
    mv.save_network(net, "net.npz")
    code, out, err = run(capsys, "explain", "net.npz", "--task", "rdm", "--populations", 1, "--quick", "--quiet")
    assert code == 0 and "1 population: the fewest" in out, (out, err)
    seen = check_self_contained(here / "report-net")
    assert "population 0 silenced" in seen.text
