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
        (["train", "rdm", "--set", "name=3"], "no parameter 'name'"),
        (["train", "rdm", "--first", "colour=3"], "no parameter 'colour'"),
        (["train", "rdm", "--set", "inputs=3"], "inputs"),
        (["train", "rdm", "--out", "net.txt"], "ends in .npz"),
        (["train", "rdm", "--out", "none/net.npz"], "the folder none does not exist"),
        (["train", "rdm", "--checkpoint", "none/part.npz"], "the folder none does not exist"),
        (["train", "dms", "--kind", "hand-built", "--steps", "1"], "rank 1, inputs"),
        (["fit", "none.npz"], "none.npz"),
        (["fit", "rec.npz", "--rank", "99"], "rank"),
        (["explain", "net.npz", "--task", "dms"], "inputs"),
        (["explain", "net.npz", "--task", "rdm", "--trials", "t.npz"], "give one of them"),
    ],
)
def test_mistakes(here, net, capsys, arguments, message):
    mv.save_network(net, "net.npz")
    np.savez("rec.npz", rates=np.arange(300.0).reshape(3, 20, 5) / 300, dt=0.1)
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


def test_fit_does_not_overwrite_the_recording(here, capsys):
    np.savez("rec.npz", rates=np.random.default_rng(0).uniform(-0.5, 0.5, (4, 20, 5)), dt=0.1)
    before = (here / "rec.npz").read_bytes()
    code, _, err = run(capsys, "fit", "rec.npz", "--rank", 1, "--out", "rec.npz")
    assert code == 2 and "the recording itself" in err and (here / "rec.npz").read_bytes() == before


def test_explain_what_it_cannot(here, capsys):
    """Rates without bound, and a random part: said, not explained away."""
    c = Connectivity.from_overlaps([{"n1 m1": 1.5, "w m1": 2.0}], 1, (), ("w",))
    mv.save_network(mv.draw(c, 100, 0, transfer="relu"), "relu.npz")
    code, out, err = run(capsys, "explain", "relu.npz")
    assert code == 2 and "arbitrarily far out" in err and "box=" not in err and not out
    wild = Connectivity.from_overlaps([{"n1 m1": 1.5, "w m1": 2.0}], 1, (), ("w",), g=2.5)
    mv.save_network(mv.draw(wild, 100, 0), "wild.npz")
    code, out, err = run(capsys, "explain", "wild.npz", "--populations", 1, "--quick", "--quiet")
    assert code == 1 and "left out of the theory: a random part" in out, (out, err)
