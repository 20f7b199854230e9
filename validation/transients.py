"""Inputs that switch on and off: the reduced equations with dynamic v against simulated networks, transient included.

Part of x may lie outside the span of m and I at the start. It decays as exp(-t/tau), and until then it acts on the
neurons like one more input that is never driven: the theory has it as such.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from meanfield import plotting
from meanfield.connectivity import Connectivity
from meanfield.conventions import brief, check_array, check_integer, closest
from meanfield.dynamics import reduce
from meanfield.fluctuations import spread
from meanfield.trajectories import trajectory

from . import pictures
from .analysis import Figure, Statement
from .ensemble import network_of
from .npz import check_number
from .simulation import simulate
from .verdict import LEVEL, independent, limits

#: Step of the simulations, in tau; they are of fourth order.
STEP = 0.1
#: What lies outside the span at the start is a loading of this name in the theory.
OUTSIDE = "outside"
#: First order is compared while what displaces kappa by this many standard deviations, rarer than once in ten thousand
#: draws, to either side stays symmetric within one standard deviation. From there on single networks may end
#: elsewhere, as next to a separatrix.
SIDES = 4.0
#: Times, in tau, from which such displacements are followed, beside those of the switches.
PROBES = 4.0
#: The mean over draws is shifted by an amount of order 1/N that is not predicted in time; allowed is this many standard
#: deviations at N = 1, several times what it is at the fixed points of the examples.
SHIFT = 5.0
#: Statistics of times closer than tau would count the same deviation again and again.
TIMES_PER_TAU = 1.0


@dataclass(frozen=True)
class Pulse:
    """An input that is on at an amplitude from one time to another, in the unit of tau."""

    name: str
    amplitude: float
    start: float
    end: float


@dataclass(frozen=True, eq=False)
class Transient:
    """Trajectories of drawn networks under switched inputs, and those of the theory.

    Attributes
    ----------
    pulses : tuple of Pulse
    theory : Trajectory
        Of (kappa, v); the last v is the part outside the span.
    spread : TrajectorySpread
    kappa : ndarray (D, T, R)
        Simulated.
    outside : ndarray (D, T)
        Root mean square of x outside the span of m and I.
    n_neurons, seed : int
    compared : ndarray (T,) of bool
        Where first order is good enough to be compared.
    z : ndarray (D, C, R)
        z-scores there, at times about tau apart.
    """

    pulses: tuple[Pulse, ...]
    theory: object
    spread: object
    kappa: np.ndarray
    outside: np.ndarray
    n_neurons: int
    seed: int
    compared: np.ndarray
    z: np.ndarray = field(repr=False)

    @property
    def decay_error(self):
        """Largest relative deviation of ``outside`` from exp(-t/tau), while it is above a millionth of its start;
        nan when nothing started outside."""
        if not (self.outside[:, 0] > 1e-9).all():
            return np.nan
        expected = np.exp(-self.theory.t / self.theory.field.tau)
        early = expected > 1e-6
        return float(np.abs(self.outside[:, early] / (self.outside[:, :1] * expected[early]) - 1).max())

    @property
    def z_std(self):
        """Root mean square of the z-scores."""
        return float(np.sqrt((self.z**2).mean()))

    @property
    def mean_z(self):
        """Largest |mean over draws| of the z-scores times the root of the number of draws."""
        return float(np.abs(self.z.mean(0)).max() * np.sqrt(len(self.z)))

    @property
    def limits(self):
        """Within which z_std must lie: draws are independent, times count by how little they are correlated."""
        return limits(independent(self.z.reshape(len(self.z), -1)))

    @property
    def agrees(self):
        """Whether spread and mean are as predicted."""
        from scipy.stats import norm

        low, high = self.limits
        far = norm.isf(LEVEL / 2 / max(1, self.z[0].size))
        return bool(low <= self.z_std <= high and self.mean_z < far + SHIFT * np.sqrt(len(self.z) / self.n_neurons))

    def __str__(self):
        text, (low, high) = "agree" if self.agrees else "do not agree", self.limits
        return (
            f"{len(self.kappa)} networks of {self.n_neurons} neurons {text} with the theory in time: standard "
            f"deviation of {self.z.size} z-scores {self.z_std:.3f} (limits {low:.2f} and {high:.2f}), "
            f"largest mean {self.mean_z:.1f} standard errors"
        )


def follow(c, pulses, kappa, duration, transfer="tanh", n_neurons=2000, draws=20, seed=0, *, outside=1.0, tau=1.0):
    """Switch inputs on and off, in the reduced equations with dynamic v and in networks drawn from the mixture.

    Parameters
    ----------
    c : Connectivity
        A mixture.
    pulses : sequence of Pulse
        When each input is on; those of one input add up.
    kappa : array_like (R,)
        At the start; v starts at the inputs of t = 0.
    duration : float
        In the unit of tau.
    transfer : str
    n_neurons, draws, seed : int
    outside : float
        Root mean square of the part of x outside the span of m and I at the start, drawn independently for each neuron.
    tau : float

    Returns
    -------
    Transient

    Raises
    ------
    ValueError
        Unknown inputs, pulses or times that make no sense, and what :func:`meanfield.reduce` refuses.
    """
    if not isinstance(c, Connectivity) or c.point_masses:
        raise ValueError("follow draws networks from a mixture: give the mixture that the network came from")
    duration, tau = (check_number(what, x, positive=True) for what, x in (("duration", duration), ("tau", tau)))
    outside = check_number("outside", outside)
    if OUTSIDE in c.inputs:
        raise ValueError(
            f"an input may not be called {OUTSIDE!r} here: that is what starts outside the span; rename it"
        )
    pulses = tuple(_checked(p, c, duration) for p in pulses)
    names = tuple("input" if name == "I" else name for name in c.inputs)  # "I" may not have another beside it
    draws, kappa = check_integer("draws", draws, 2), check_array("kappa", kappa, (c.rank,))
    steps = int(np.ceil(duration / (STEP * tau) - 1e-9))
    times = np.linspace(0.0, duration, steps + 1)
    wider = replace(c, inputs=names).with_inputs({OUTSIDE: outside**2})
    drive = {new: _drive(name, pulses) for name, new in zip(c.inputs, names, strict=True)}
    f = reduce(wider, transfer, drive | {OUTSIDE: lambda t: 0.0}, tau)
    v = np.append([u(0.0) for u in drive.values()], 1.0)
    switches = sorted({t for p in pulses for t in (p.start, p.end) if 0 < t < duration})
    theory = trajectory(f, np.append(kappa, v), times, rtol=1e-9, atol=1e-11, breakpoints=switches)
    around = spread(theory)
    found, rest = _simulated(wider, drive, kappa, v, times, transfer, tau, (n_neurons, draws, seed))
    std = around.std(n_neurons)
    compared = _linear(f, theory, around, n_neurons, switches) & (times > 0.5 * tau)
    some = np.flatnonzero(compared)[:: max(1, int(tau / TIMES_PER_TAU / (times[1] - times[0])))]
    if not len(some):
        raise ValueError(
            f"nothing to compare in {duration:g}: the response is not linear, or the time is below tau; "
            "use a longer duration, larger networks, or a start farther from a separatrix"
        )
    z = (found[:, some] - theory.kappa[some]) / std[some]
    return Transient(pulses, theory, around, found, rest, n_neurons, seed, compared, z)


def _linear(f, theory, around, n_neurons, switches):
    """At which times the response to fluctuations is linear (T,), from both ends of the spread at earlier times."""
    times, scale = theory.t, np.linalg.norm(around.std(n_neurons), axis=-1)
    linear = np.ones(len(times), bool)
    for first in np.unique([*np.arange(PROBES * f.tau, times[-1], PROBES * f.tau), *switches]):
        k = int(np.searchsorted(times, first))
        if k > len(times) - 4:
            continue
        values, vectors = np.linalg.eigh(around.covariance[k] / n_neurons)
        step = SIDES * np.sqrt(max(values[-1], 0.0)) * vectors[:, -1]
        state = np.concatenate([theory.kappa[k], theory.v[k]])
        starts = state + np.outer([1.0, -1.0], np.append(step, 0 * theory.v[k]))
        ends = trajectory(f, starts, times[k:], rtol=1e-7, atol=1e-9, breakpoints=switches).kappa
        middle = np.linalg.norm(ends.mean(0) - theory.kappa[k:], axis=-1)
        linear[k:] &= np.logical_and.accumulate(middle <= scale[k:])
    return linear


def _checked(pulse, c, duration):
    if not isinstance(pulse, Pulse):
        raise ValueError(f"pulses are Pulse(name, amplitude, start, end): got {brief(pulse)}")
    if pulse.name not in c.inputs:
        raise ValueError(f"unknown input {pulse.name!r}; {closest(pulse.name, c.inputs)}")
    numbers = check_array(f"pulse of {pulse.name!r}", [pulse.amplitude, pulse.start, pulse.end, duration])
    if not 0 <= pulse.start < pulse.end or not numbers[3] > 0:
        raise ValueError(
            f"pulse of {pulse.name!r}: got {pulse.start:g} to {pulse.end:g} of {duration:g}, "
            "expected 0 <= start < end and a positive duration"
        )
    return pulse


def _drive(name, pulses):
    """The input as a function of time, right-continuous."""
    own = [p for p in pulses if p.name == name]
    return lambda t: float(sum(p.amplitude for p in own if p.start <= t < p.end))


def _simulated(c, drive, kappa, v, times, transfer, tau, ensemble):
    """kappa (D, T, R) and the rms of x outside the span (D, T) of drawn networks that all start on the same kappa."""
    n_neurons, draws, seed = ensemble
    steps, dt = len(times) - 1, times[1] - times[0]
    # every step has the inputs of its middle: pulses that switch within a step are off by less than STEP
    held = {name: np.array([u(t + dt / 2) for t in times[:-1]]) for name, u in drive.items()}
    found, rest = [], []
    for k in range(draws):
        net = network_of(c, n_neurons, k, seed, transfer, tau)
        start = net.m @ kappa + net.I @ v
        run = simulate(net, held, steps * dt, dt, start=start, method="rk4", record_x=True, progress=False)
        found.append(run.kappa)
        # what is left of the units themselves, the starting part outside the span of m and the inputs included
        left = run.x - run.kappa @ net.m.T - run.v[:, :-1] @ net.I[:, :-1].T
        rest.append(np.sqrt((left**2).mean(-1)))
    return np.array(found), np.array(rest)


def confirm(transient, name="transient"):
    """A figure and statements of a :class:`Transient`."""
    return _figure(transient, name), tuple(statements(transient))


def statements(t):
    """What holds in time."""
    words = ", ".join(f"{p.name} = {p.amplitude:g} from {p.start:g} to {p.end:g}" for p in t.pulses)
    low, high = t.limits
    share = t.compared.mean()
    yield Statement(
        f"inputs switched in time ({words}): kappa(t) of {len(t.kappa)} networks of {t.n_neurons} neurons against the "
        f"reduced equations with dynamic v ({share:.0%} of the time, where the predicted spread is small)",
        f"standard deviation of {t.z.size} z-scores {t.z_std:.3f}, largest mean {t.mean_z:.1f} standard errors",
        f"standard deviation between {low:.2f} and {high:.2f}",
        t.agrees,
        "finite networks",
    )
    if np.isnan(t.decay_error):
        return
    yield Statement(
        "the part of x outside the span of m and I decays as exp(-t/tau), whatever the network does",
        f"largest relative deviation {t.decay_error:.1e}",
        "below 1e-4, the integrator's error",
        t.decay_error < 1e-4,
        "thesis 1.1 and 2.2",
    )


def _figure(t, name):
    f, times = t.theory.field, t.theory.t
    std = t.spread.std(t.n_neurons)
    names = list(dict.fromkeys(p.name for p in t.pulses))
    data = {"t": times, "kappa": t.theory.kappa, "std": std, "drawn": t.kappa, "v": t.theory.v, "outside": t.outside}
    pulses = [(p.name, p.start, p.end) for p in t.pulses]
    shown = min(len(t.kappa), 10)

    def draw():
        with plotting.style():
            rank = data["kappa"].shape[1]
            figure, axes = plotting.figure(1, rank + 1, width=4.4, height=3.5)
            for r, ax in enumerate(axes[0, :rank]):
                pictures.plot_band(ax, times, data["kappa"][:, r], std[:, r], data["drawn"][:shown, :, r])
                for who, start, end in pulses:
                    ax.axvspan(start, end, color=plotting.COLOURS[1 + names.index(who) % 3], alpha=0.13, lw=0)
                    ax.text((start + end) / 2, 0.97, who, transform=ax.get_xaxis_transform(), ha="center", va="top")
                lines = np.vstack([data["kappa"][None, :, r], data["drawn"][:shown, :, r]])
                room = 0.3 * np.ptp(lines)
                limits = lines.min() - room, lines.max() + room
                ax.set(xlabel=r"time ($\tau$)", ylabel=rf"$\kappa_{{{r + 1}}}$", ylim=limits)
            axes[0, 0].legend(loc="best", fontsize=8)
            last = axes[0, rank]
            last.semilogy(times, np.maximum(data["outside"].T, 1e-12), color="#777777", lw=0.7)
            last.semilogy(
                times,
                data["outside"][:, 0].mean() * np.exp(-times / f.tau),
                "--",
                color=plotting.COLOURS[0],
                label=r"$e^{-t/\tau}$",
            )
            last.set(xlabel=r"time ($\tau$)", ylabel="x outside the span (rms)", ylim=(1e-7, 3))
            last.legend(loc="best")
        return figure

    caption = (
        f"Inputs switched in time (shaded). {shown} simulated networks of {t.n_neurons} neurons (grey) and the reduced "
        "equations with dynamic v, with the predicted 95 % band. Last: the part of x outside the span of m and I."
    )
    return Figure(name, caption, draw, data)
