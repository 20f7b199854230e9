"""What a simulation and a drawn network are asked for: axes, ways to say an input, and what is refused, in words."""

import dataclasses

import numpy as np
import pytest
from meanfield.validation.networks import draw
from meanfield.validation.simulation import relax, simulate

import meanfield as mf

MIXTURE = mf.Connectivity.from_overlaps([{"n1 m1": 2.0, "n2 m2": 1.6, "n1 A": 0.5, "w m1": 1.0}], 2, ("A", "B"), ("w",))


def network(seed=0, n=40):
    return dataclasses.replace(draw(MIXTURE, n, seed), tau=2.0, mixture=None)


def stepped(net, inputs=None, duration=1.0, dt=0.1, **options):
    return simulate(net, inputs, duration, dt, **options)


# ---- axes and inputs


def test_absurd_sizes_and_durations_are_refused_before_memory_is_asked_for():
    c = mf.Connectivity.from_overlaps([{"n1 m1": 1.0}], rank=1)
    with pytest.raises(ValueError, match="draw fewer"):
        draw(c, 10**12, 0)
    with pytest.raises(ValueError, match="shorten duration"):
        simulate(draw(c, 5, 0), None, 1e12, 1.0)


def test_shapes_follow_the_axes_that_are_given():
    net, nets = network(), [network(0), network(1)]
    assert stepped(net).kappa.shape == (11, 2)
    assert stepped(net, trials=1).kappa.shape == (1, 11, 2)
    assert stepped(net, trials=3, every=5).kappa.shape == (3, 3, 2)
    assert stepped(net, {"A": lambda t: np.ones(3)}).z.shape == (3, 11, 1)
    assert stepped(nets).kappa.shape == (2, 11, 2)
    assert stepped(nets[:1], trials=3).v.shape == (1, 3, 11, 2)
    assert stepped(nets, kappa=np.zeros((2, 3, 2))).end.shape == (2, 3, 40)
    assert stepped(nets, {"B": np.ones((4, 10))}, kappa=np.ones(2)).end.shape == (2, 4, 40)
    chosen = stepped(net, dt=None)
    assert chosen.dt == pytest.approx(0.1) and chosen.t[-1] == pytest.approx(1.0)


def test_ways_to_say_the_same_input():
    net, ones = network(), np.ones(20)
    runs = [
        simulate(net, inputs, 2.0, 0.1).x
        for inputs in ({"A": 1}, {"A": ones}, {"A": lambda t: 1}, np.stack([ones, 0 * ones], 1), {"A": 1.0, "B": 0})
    ]
    for run in runs[1:]:
        np.testing.assert_array_equal(run, runs[0])


# ---- drawing


def test_a_drawn_network_knows_where_it_comes_from():
    net = draw(MIXTURE, 50, seed=0, match_moments=True, transfer="erf")
    assert (net.n_neurons, net.rank, net.input_names, net.transfer) == (50, 2, ("A", "B"), "erf")
    assert net.mixture is MIXTURE and net.name == "drawn" and len(net.population) == 50
    np.testing.assert_allclose(net.connectivity.overlap("n", "m"), MIXTURE.overlap("n", "m"), atol=1e-12)
    np.testing.assert_array_equal(draw(MIXTURE, 50, 0, True).m, net.m)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"c": None}, "draw needs a Connectivity: got NoneType"),
        ({"c": dataclasses.replace(MIXTURE, g=0.5), "n_neurons": 40_000}, r"12800000000 bytes, .*replace\(c, g=0.0\)"),
        ({"n_neurons": 0}, "n_neurons must be an integer, at least 1"),
        ({"n_neurons": 10.0}, "n_neurons must be an integer"),
        ({"seed": None}, "needs a seed"),
        ({"n_neurons": 3, "match_moments": True}, "draw more neurons"),
        ({"transfer": "cosh"}, "unknown transfer function 'cosh'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        draw(**{"c": MIXTURE, "n_neurons": 20, "seed": 0} | change)


# ---- errors


NET = network()
REFUSED = [
    ({"net": None}, "needs a Network or a sequence of them: got None; draw"),
    ({"net": []}, "needs a Network or a sequence"),
    ({"net": MIXTURE.sample(10, 0)}, r"needs a Network .*from_loadings"),
    ({"net": [NET, network(n=41)]}, r"the same n_neurons: got 40 first, and 41 for network 1 \(second\)"),
    ({"net": [NET, dataclasses.replace(NET, tau=1.0)]}, "the same tau: got 2.0 first, and 1.0"),
    ({"net": [NET, dataclasses.replace(NET, transfer="erf")]}, "the same transfer"),
    ({"net": [NET, dataclasses.replace(NET, input_names=("A", "C"))]}, "the same input_names"),
    ({"net": dataclasses.replace(NET, m=NET.m[:, [0, 0]])}, "m has rank 1, expected 2: .* does not determine kappa"),
    ({"net": [NET, dataclasses.replace(NET, m=0 * NET.m)]}, r"m of network 1 \(second\) has rank 0"),
    ({"duration": None}, "needs a duration, in the unit of tau"),
    ({"duration": 1.05}, "got 1.05 / 0.1 = 10.5 steps; the nearest are duration=1 or dt=0.105"),
    ({"duration": 0.01}, "whole number of steps"),
    ({"duration": -1.0}, "duration must be positive"),
    ({"duration": np.inf}, "duration must be finite"),
    ({"dt": 0.0}, "dt must be positive"),
    ({"dt": "a"}, "dt must be an array of real numbers"),
    ({"method": "euler", "dt": 4.0, "duration": 8.0}, "'euler' needs dt < 2 tau = 4: got dt = 4; "),
    ({"method": "rk4", "dt": 2.0, "duration": 8.0}, "'rk4' needs dt < 1 tau = 2: got dt = 2; .*'exponential'"),
    ({"method": "rk45"}, "unknown method 'rk45'; did you mean 'rk4'"),
    ({"every": 3}, "every must divide the number of steps, 10: got 3; the next is every=2"),
    ({"every": 0}, "every must be an integer"),
    ({"inputs": {"C": 1.0}}, "unknown input 'C'; known: A, B"),
    ({"inputs": {"A": np.ones(9)}}, r"input 'A': got shape \(9,\), expected a number, .*\(10,\) or \(trials, 10\)"),
    ({"inputs": {"A": np.ones((0, 10))}}, r"input 'A': got shape \(0, 10\)"),
    ({"inputs": {"A": np.ones((2, 2, 10))}}, r"input 'A': got shape \(2, 2, 10\)"),
    ({"inputs": {"A": np.nan}}, "input 'A' must be finite: got nan"),
    ({"inputs": {"A": "loud"}}, "input 'A' must be an array of real numbers"),
    ({"inputs": {"A": lambda t: np.nan if t > 0.5 else 0.0}}, "input 'A' must be finite: got nan, at t = 0.55"),
    ({"inputs": {"A": lambda t: "loud"}}, "input 'A' must be an array of real numbers: got 'loud', at t = 0"),
    ({"inputs": {"A": lambda t: np.ones(2 if t else 3)}}, r"must return a number, or \(trials,\) values: got shapes"),
    ({"inputs": {"A": lambda t: np.ones((2, 2))}}, r"must return a number, or \(trials,\) values"),
    ({"inputs": {"A": np.ones((2, 10)), "B": np.ones((3, 10))}}, "input 'A' has 2, input 'B' has 3; give each"),
    ({"inputs": np.ones((10, 3))}, r"inputs: got shape \(10, 3\), expected \(steps, inputs\) = \(10, 2\)"),
    ({"inputs": 1.0}, r"inputs: got shape \(\)"),
    ({"start": np.zeros(39)}, r"start: got shape \(39,\), expected \(40,\), \(trials, 40\)$"),
    ({"start": np.zeros((2, 2, 40))}, r"start: got shape \(2, 2, 40\)"),
    ({"start": np.full(40, np.nan)}, "start must be finite"),
    ({"kappa": np.zeros((3, 3))}, r"kappa: got shape \(3, 3\), expected \(2,\)"),
    ({"net": [NET, NET], "kappa": np.zeros((3, 1, 2))}, r"expected \(2,\), \(trials, 2\) or \(2, trials, 2\)"),
    ({"kappa": np.zeros(2), "start": np.zeros(40)}, "give one of them"),
    ({"trials": 0}, "trials must be an integer, at least 1"),
    ({"trials": 2, "start": np.zeros((3, 40))}, "trials has 2, start has 3"),
    ({"inputs": {"A": np.ones((2, 10))}, "kappa": np.zeros((3, 2))}, "inputs has 2, kappa has 3"),
    ({"noise": 0.1}, "needs a seed"),
    ({"noise": -0.1, "seed": 0}, "noise must be at least 0"),
    ({"noise": None, "seed": 0}, "does not know its noise_std and dt"),
    ({"noise": 0.1, "seed": 0, "method": "rk4"}, "'rk4' has order 1 with noise"),
    ({"noise": 0.1, "seed": 0, "with_error": True}, "leave noise or it out"),
    ({"dtype": "float16"}, "dtype must be 'float64' or 'float32': got 'float16'"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_what_makes_no_sense_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        stepped(**{"net": NET} | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": {"A": np.ones(3)}}, "relax needs constant inputs, a number for each name: got 'A'"),
        ({"inputs": {"A": np.sin}}, "relax needs constant inputs"),
        ({"inputs": [1.0, 0.0]}, "relax needs inputs as a mapping"),
        ({"tolerance": 1e-14}, "tolerance must be at least 1.1e-13 in float64: got 1e-14"),
        ({"tolerance": 1e-10, "dtype": "float32"}, "at least 6e-05 in float32"),
        ({"max_time": 0.0}, "max_time must be positive"),
        ({"dt": -1.0}, "dt must be positive"),
        ({"dt": 2.0}, "needs dt < 1 tau = 2: got dt = 2"),
        ({"kappa": np.zeros(3)}, "kappa: got shape"),
        ({"kappa": None}, "relax needs kappa"),
    ],
)
def test_what_cannot_come_to_rest_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        relax(**{"net": NET, "kappa": np.zeros(2)} | change)
