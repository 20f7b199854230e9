"""The LINT poster's equations: rank two, one input, several populations."""

import numpy as np

from meanfield.connectivity import Connectivity
from meanfield.dynamics import reduce

from ..analysis import Condition
from ..transients import Pulse
from . import checks, derivations
from .record import Case

_NEURONS = 20_000
_SOURCE = "LINT poster"
# A point away from every symmetry at which the equations are compared term by term.
KAPPA, INPUT = np.array([0.7, -0.4]), 1.0

POPULATIONS = (
    {"weight": 0.5, "n1 m1": 2.5, "n1 m2": 0.5, "n2 m1": -0.5, "n2 m2": 2.0, "n1 I": 0.5, "I I": 0.25},
    {"weight": 0.3, "n1 m1": 1.5, "n2 m2": 2.5, "n2 I": 0.8, "m1 m1": 0.5, "I I": 1.0},
    {"weight": 0.2, "n1 m2": 1.0, "n2 m1": 1.0, "n2 m2": -1.0, "n1 I": -0.5, "m2 m2": 2.0, "I I": 4.0},
)


def _by_hand(kappa, v, average, weighted=True):
    """-kappa + sigma~_nm kappa + sigma~_nI v with sigma~ = sum_p [alpha_p] sigma^p <average>_p, straight from the list
    above."""
    out = -kappa
    for p in POPULATIONS:
        variance = p.get("m1 m1", 1.0) * kappa[0] ** 2 + p.get("m2 m2", 1.0) * kappa[1] ** 2 + p["I I"] * v**2
        factor = (p["weight"] if weighted else 1.0) * average(variance)
        sigma = np.array([[p.get(f"n{r} {b}", 0.0) for b in ("m1", "m2", "I")] for r in (1, 2)])
        out = out + factor * sigma @ [*kappa, v]
    return out


def _check(result, quick, seed):
    f = reduce(result.case.connectivity, "tanh", {"I": INPUT})
    theory = f(KAPPA)
    right = _by_hand(KAPPA, INPUT, lambda variance: derivations.gain(1, variance))
    wrong = {
        "sigma <phi>, as printed": _by_hand(KAPPA, INPUT, lambda variance: derivations.gain(0, variance)),
        "sigma <phi'> without the weights": _by_hand(
            KAPPA, INPUT, lambda variance: derivations.gain(1, variance), weighted=False
        ),
    }
    neurons = _NEURONS // (4 if quick else 1)
    net = result.case.connectivity.sample(neurons, seed=seed)
    drawn = reduce(Connectivity.from_network(net), "tanh", {"I": INPUT})(KAPPA)
    error = (net.n * np.tanh(net.m @ KAPPA + net.I @ [INPUT])[:, None]).std(axis=0) / np.sqrt(neurons)
    deviation = np.abs(drawn - theory) / error
    statements = [
        checks.claim(
            "dkappa/dt = -kappa + sigma~_nm kappa + sigma~_nI v with sigma~_ab = sum_p alpha_p sigma_ab^p "
            "<phi'>_p, at kappa = (0.7, -0.4), v = 1",
            np.allclose(theory, right, rtol=0, atol=1e-13),
            checks.matrix(theory, 10),
            checks.matrix(right, 10),
            f"{_SOURCE}, with prime and weights",
        ),
        checks.claim(
            f"the exact drift of {neurons} drawn neurons there",
            deviation.max() < 4.5,
            f"{checks.matrix(drawn)}: {deviation.max():.2f} standard errors away",
            "below 4.5",
        ),
    ]
    for name, value in wrong.items():
        far = (np.abs(drawn - value) / error).max()
        statements.append(
            checks.claim(
                f"the same neurons reject sigma~ = {name}",
                far > 6,
                f"{checks.matrix(value)}: {far:.0f} standard errors away",
                "above 6",
                f"{_SOURCE}, erratum",
            )
        )
    rest = result.portraits[0].fixed_points
    statements.append(
        checks.claim(
            "every fixed point, with the proof that none is missing",
            all(p.fixed_points.complete for p in result.portraits),
            rest.summary,
            "complete",
        )
    )
    return (), statements


CASE = Case(
    name="lint-poster",
    title="Functional connectivity of several populations",
    source="Valente, Ostojic and Pillow, poster on LINT (low-rank inference from neural trajectories)",
    text=(
        "The poster's equations for rank 2, one input and P zero-mean Gaussian populations, here derived for "
        "three populations. The poster gives no numbers: those here are ours, "
        "chosen without symmetry."
    ),
    connectivity=Connectivity.from_overlaps(POPULATIONS, rank=2, inputs=("I",)),
    conditions=(Condition("no input"), Condition("input on", {"I": INPUT})),
    errata=(
        "The poster writes sigma~_ab = sum_p sigma_ab^p <phi^p>. The prime and the weights are missing: "
        "sigma~_ab = sum_p alpha_p sigma_ab^p <phi'>_p. As printed, <phi> = 0 in every zero-mean "
        "population and nothing but the leak would be left.",
    ),
    check=_check,
    pulses=(Pulse("I", INPUT, 5.0, 12.0),),
    duration=20.0,
)

CASES = (CASE,)
