"""Rank two with a random part: oscillations."""

import numpy as np

from meanfield import dmft, plotting
from meanfield.connectivity import Connectivity
from meanfield.dmft.plots import plot_spectrum
from meanfield.gaussian.hermite import hermite_coefficients
from meanfield.transfer import get_transfer

from ..analysis import Figure
from ..networks import draw
from ..random_pictures import plot_draws, plot_plane
from ..simulation import simulate
from ..spectrum import jacobian_spectrum
from ..workers import over
from . import checks, derivations, draws
from .record import Case

_NOTES = 'lecture notes "Low-rank RNNs"'
_MO18 = "Mastrogiuseppe & Ostojic, Neuron 2018"
BLUE, ORANGE, GREEN = plotting.COLOURS[0], plotting.COLOURS[5], plotting.COLOURS[2]
G = 0.8
# Steps of simulated networks in tau, by rk4: its error is far below any spread.
_STEP = 0.2


GROWTH, TURN = 2.0, 1.5
START = (0.5, 0.0)
#: Networks that are followed: sizes and draws, in full and in brief; and those whose eigenvalues are taken.
FULL, QUICK = ((400, 800, 1600), 8), ((250, 500, 750), 8)
SPECTRA, SPECTRA_QUICK = 800, 400
#: Duration of the theory, from where on networks are on the cycle, and for how many turns each is followed, in tau.
THEORY, SETTLED, TURNS = 20.0, 20.0, 4
_TERMS, _PHASES = 200, 256


def turning(g, growth=GROWTH, turn=TURN):
    """Radius of the cycle, and D(0), of one population with overlaps (a, -b; b, a), m of variance 1.

    kappa turns at a constant rate, so Delta_0 is constant, and as at g = 0 a <phi'> = 1 and omega = b/a. The random
    part follows with the same period, (1 + k^2 omega^2) D_k = g^2 C_k for its harmonics, where C is that of
    Delta(lag) = r^2 cos(omega lag) + D(lag) and r^2 = Delta_0 - D(0).
    """
    variance, omega = derivations.variance_at_gain(1 / growth), turn / growth
    c = hermite_coefficients(get_transfer("tanh"), 0.0, variance, _TERMS) ** 2
    wave = np.cos(2 * np.pi * np.arange(_PHASES) / _PHASES)
    harmonics = np.arange(_PHASES // 2 + 1) * omega
    D = np.zeros(_PHASES)
    for _ in range(500):
        rho = ((variance - D[0]) * wave + D) / variance
        new = np.fft.irfft(np.fft.rfft(g * g * np.polyval(c[::-1], rho)) / (1 + harmonics**2))
        if np.abs(new - D).max() < 1e-15:
            break
        D = new
    return np.sqrt(variance - D[0]), D[0]


def turn_round(shared, job):
    """A worker's job: t (T,) and kappa (T, R) of one network from ``START``; its overlaps are exactly the mixture's."""
    (c, duration), (n_neurons, seed) = shared, job
    net = draw(c, n_neurons, seed, match_moments=True)
    run = simulate(
        net, duration=duration, dt=_STEP, kappa=np.array(START), method="rk4", dtype="float32", record_x=False,
        progress=False,
    )  # fmt: skip
    return run.kappa


def at_origin(shared, job):
    """A worker's job: eigenvalues of one network's Jacobian at x = 0, and its outliers."""
    n_neurons, seed = job
    found = jacobian_spectrum(draw(shared, n_neurons, seed, match_moments=True), np.zeros(n_neurons))
    return found.eigenvalues, found.outliers


def period_of(t, kappa):
    """Mean time of a turn of kappa (T, 2) from ``SETTLED`` on, by the times at which its angle returns."""
    late = t >= SETTLED
    angle = np.unwrap(np.arctan2(kappa[late, 1], kappa[late, 0]))
    angle = (angle - angle[0]) * np.sign(angle[-1] - angle[0])
    turns = int(angle[-1] / (2 * np.pi))
    return (np.interp(2 * np.pi * turns, angle, t[late]) - t[late][0]) / turns


def _oscillation(result, quick, seed):
    c, (sizes, many) = result.case.connectivity, QUICK if quick else FULL
    states, period = result.landscapes[0].stationary, derivations.period(np.array([[GROWTH, -TURN], [TURN, GROWTH]]))
    theory = dmft.transient(c, "tanh", duration=THEORY, dt=0.1 if quick else 0.05, kappa=START, with_error=True)
    duration = _STEP * np.ceil((SETTLED + (TURNS + 0.5) * period) / _STEP)
    jobs = [(n, [seed, n, k]) for n in sizes[::-1] for k in range(many)]
    runs = np.array(over(turn_round, (c, duration), jobs)).reshape(len(sizes), many, -1, 2)[::-1]
    t = _STEP * np.arange(runs.shape[2])
    eigen_n = SPECTRA_QUICK if quick else SPECTRA
    spectra = over(at_origin, c, [(eigen_n, [seed, 1, k]) for k in range(many)])
    periods = np.array([[period_of(t, run) for run in group] for group in runs])
    late = t >= SETTLED
    radii = np.linalg.norm(runs[:, :, late], axis=-1).mean(axis=-1)
    r, D = turning(G)
    before, _ = turning(0.0)
    statements = [
        _origin(states),
        _without_random(before, period),
        *_two_time(theory, r, D),
        checks.claim(
            "the random part makes the cycle smaller and leaves its period alone", r < before,
            f"radius {r:.6g} at g = {G:g}; period 2 pi a/b = {period:.6g}", f"below {before:.6g}, that of g = 0",
        ),
        *_outliers(spectra, eigen_n),
        _followed(theory, sizes, runs),
        draws.limit_agrees("period", sizes, periods, period),
        draws.falls_like_root("the spread of the period", sizes, periods[..., None]),
        draws.limit_agrees("mean |kappa| on the cycle, not that of g = 0", sizes, radii, r, before),
    ]  # fmt: skip
    return _oscillation_figures(theory, t, runs, periods, (r, before, period), sizes, spectra, states[0]), statements


def _origin(states):
    state, expected = states[0], GROWTH - 1 + 1j * TURN
    seen = state.outliers[state.visible]
    holds = states.complete and len(states) == 1 and state.kind == "saddle" and len(seen) == 2
    off = np.abs(seen - np.array([expected, expected.conjugate()])).max() if len(seen) == 2 else np.inf
    return checks.claim(
        "silence is the only stationary state, and a pair of outliers makes it unstable",
        holds and off < 1e-9,
        f"{len(states)} state ({'proved complete' if states.complete else states.status.value}), outliers "
        + ", ".join(f"{x:.6g}" for x in seen),
        f"overlap eigenvalues - 1 = {GROWTH - 1:g} ± {TURN:g}i, beyond the bulk of radius {G:g}",
        _NOTES,
    )


def _without_random(radius, period):
    from meanfield.cycles import limit_cycle
    from meanfield.dynamics import reduce

    cycle = limit_cycle(reduce(_turning_network(0.0)), np.array(START))
    size = np.linalg.norm(cycle.orbit, axis=-1)
    off = max(abs(cycle.period - period) / period, np.abs(size - radius).max())
    return checks.claim(
        "at g = 0 the reduced equations have this cycle: radius sqrt(Delta) with <phi'>(Delta) = 1/a, period 2 pi a/b",
        off < 1e-8, f"radius {size.mean():.9g}, period {cycle.period:.9g}", f"{radius:.9g}, {period:.9g} (1e-8)",
    )  # fmt: skip


def _two_time(theory, r, D):
    found, error = np.linalg.norm(theory.kappa[-1]), float(theory.error[-1])
    yield checks.claim(
        f"the two-time equations end on the cycle that the harmonics of D give, |kappa| at t = {THEORY:g}",
        abs(found - r) <= error, f"{found:.7g} ± {error:.1g}", f"{r:.10g}", "two ways to one number",
    )  # fmt: skip
    found, error = float(theory.variance[-1, 0] - theory.kappa[-1] @ theory.kappa[-1]), float(theory.error_D[-1])
    yield checks.claim(
        "variance of the random part on the cycle", abs(found - D) <= error, f"{found:.7g} ± {error:.1g}", f"{D:.10g}",
        "two ways to one number",
    )  # fmt: skip


def _outliers(spectra, n):
    counts = [len(outliers) for _, outliers in spectra]
    yield checks.claim(
        f"networks of {n} neurons have two eigenvalues beyond the bulk", set(counts) == {2},
        ", ".join(map(str, counts)), "2 each", draws.NETWORKS,
    )  # fmt: skip
    first = np.array([outliers[np.argmax(outliers.imag)] for _, outliers in spectra if len(outliers)])
    yield draws.mean_agrees(
        "their growth rate and frequency", np.stack([first.real, first.imag], axis=-1), [GROWTH - 1, TURN], n
    )


def _followed(theory, sizes, runs):
    """kappa(t) over the first two turns, at times tau apart."""
    at = np.arange(1, int(THEORY - 2))
    value = np.stack([np.interp(at, theory.t, theory.kappa[:, i]) for i in (0, 1)], axis=-1)
    drawn = runs[:, :, np.rint(at / _STEP).astype(int)].reshape(*runs.shape[:2], -1)
    return draws.mean_agrees(
        f"kappa(t) at t = 1 to {at[-1]} from one start, against the two-time theory",
        drawn[-1], value.ravel(), sizes[-1], *draws.pooled(sizes, drawn), error=float(theory.error.max()),
    )  # fmt: skip


def _oscillation_figures(theory, t, runs, periods, numbers, sizes, spectra, state):
    r, before, period = numbers
    shown = t <= THEORY
    data = {
        "t": theory.t, "kappa": theory.kappa, "error": theory.error, "times": t[shown], "drawn": runs[-1][:, shown],
        "radius": np.array(r), "radius_g0": np.array(before), "period": np.array(period), "sizes": np.array(sizes),
        "periods": periods,
    }  # fmt: skip
    n, many = sizes[-1], periods.shape[1]

    def draw_it():
        with plotting.style():
            figure, axes = plotting.figure(1, 3, width=4.1, height=3.6)
            for i, colour in enumerate((BLUE, ORANGE)):
                axes[0, 0].plot(data["t"], data["kappa"][:, i], color=colour, label=rf"$\kappa_{i + 1}$")
                plot_draws(axes[0, 0], data["times"][::4], data["drawn"][:, ::4, i], colour)
            axes[0, 0].set(xlabel=r"time ($\tau$)", ylabel=r"$\kappa$", ylim=(None, 2.1))
            axes[0, 0].legend(loc="upper right", ncols=2)
            circles = [(r, BLUE, f"theory, g = {G:g}"), (before, GREEN, "theory, g = 0")]
            plot_plane(axes[0, 1], circles, data["drawn"][:3])
            axes[0, 1].legend(loc="center", bbox_to_anchor=(0.5, 0.45))
            plot_draws(axes[0, 2], data["sizes"], data["periods"].T, BLUE, f"{many} networks each")
            axes[0, 2].axhline(period, color=BLUE, label=r"theory, $2\pi a/b$")
            axes[0, 2].set(xlabel="neurons N", ylabel=r"period ($\tau$)", xscale="log")
            axes[0, 2].set_xticks(sizes, [str(x) for x in sizes])
            axes[0, 2].set_xlim(0.8 * sizes[0], 1.25 * sizes[-1])
            axes[0, 2].minorticks_off()
            axes[0, 2].legend(loc="best")
        return figure

    caption = (
        f"Left: kappa(t) from one start; lines: two-time theory; points: mean and standard deviation over {many} "
        f"networks of {n} neurons. Middle: the cycle with and without the random part (theory), and three of the "
        "networks (grey). Right: period over the number of neurons, mean and standard deviation over draws."
    )
    values = np.array([found for found, _ in spectra])

    def draw_spectrum():
        with plotting.style():
            figure, axes = plotting.figure(1, 1, width=5.6, height=4.6)
            plot_spectrum(axes[0, 0], state, values[0])
            pairs = values[1:, :2].ravel()
            axes[0, 0].plot(
                pairs.real, pairs.imag, ".", ms=5, color=plotting.COLOURS[3], label="other networks' outliers"
            )
            axes[0, 0].legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2)
        return figure

    return Figure("cycle", caption, draw_it, data), Figure(
        "eigenvalues",
        f"Eigenvalues at silence: one network of {values.shape[1]} neurons (grey) and the outliers of {many - 1} "
        "others, beside the predicted bulk and outliers (circles).",
        draw_spectrum,
        {"eigenvalues": values, "outliers": state.outliers, "bulk_radius": np.array(state.bulk_radius)},
    )


def _turning_network(g):
    keys = {"n1 m1": GROWTH, "n1 m2": -TURN, "n2 m1": TURN, "n2 m2": GROWTH}
    return Connectivity.from_overlaps([keys], rank=2, g=g)


OSCILLATION = Case(
    name="oscillation",
    title="Oscillations with a random part",
    source=f"{_NOTES}, rank 2: oscillations; {_MO18}, rank two",
    text=(
        "Rank 2, overlaps n_1.m_1 = n_2.m_2 = 2 and n_2.m_1 = -n_1.m_2 = 1.5 (over N), m_1 and m_2 independent with "
        "variance 1, random part of g = 0.8. Silence is unstable to a pair of outliers, and kappa goes round a circle. "
        "The random part takes variance from it, at the same speed: kappa(t) and all correlations follow from the "
        "two-time equations. The networks are drawn with exactly these overlaps. All numbers are ours."
    ),
    connectivity=_turning_network(G),
    check=_oscillation,
    networks=False,
)


CASES = (OSCILLATION,)
