"""A cross-check as figures and statements: what the report shows of finite networks."""

import numpy as np

from meanfield import plotting
from meanfield.finite_size.neurons import neuron
from meanfield.fluctuations import spread

from . import pictures
from .analysis import Figure, Statement, common_limits
from .crosscheck import crosscheck
from .ensemble import network_of, simulated_cycle
from .simulation import simulate

#: Networks that confirm a portrait in a report: sizes and draws, in full and in brief.
FULL, QUICK = ((250, 1000, 4000), 40), ((1000, 5000), 24)
#: Drawn networks whose curves are shown, and the starts and length (in tau) of simulated trajectories.
SHOWN, STARTS, LENGTH = 12, 12, 15.0
#: Longest period, in tau, of cycles that are simulated for a picture alone.
LONGEST = 40.0
#: Observables whose spread is drawn, at most.
MOST = 8
SOURCE = "finite networks"


def against_networks(c, transfer, known, quick, seed):
    """The cross-check of a portrait with networks drawn for a report, fewer with ``quick``."""
    sizes, draws = QUICK if quick else FULL
    return crosscheck(c, transfer, known.condition.inputs, sizes, draws, seed, known=known, progress=False)


def confirm(check, number=0):
    """Figures and statements of a cross-check; ``number`` makes the names of the figures unique."""
    figures = (_overview(check, number), _calibration(check, number))
    return figures, statements(check)


def statements(check):
    """The verdict, line by line."""
    label = check.prediction.portrait.condition.label
    where = f", {label}" if label else ""
    sizes = f"{len(check.draws) // len(check.sizes)} networks each of N = {', '.join(map(str, check.sizes))}"
    good = sum(r.agrees for r in check.rows)
    yield Statement(
        f"finite networks ({sizes}) against the theory, observable by observable{where}",
        f"{good} of {len(check.rows)} agree" + "".join(f"; {text}" for text in check.failures[:3]),
        "all agree; family-wise level 0.001",
        not check.failures,
        SOURCE,
    )
    if len(check.z_scores):
        width, (low, high) = check.calibration, check.calibration_limits
        yield Statement(
            f"standard deviation of the {len(check.z_scores)} z-scores{where}",
            f"{width:.3f}",
            f"between {low:.2f} and {high:.2f}",
            bool(low <= width <= high),
            SOURCE,
        )
    if check.planted is not None:
        p = check.planted
        value = f"{'rejected' if p.rejected else 'not rejected'} by {p.why}" + (
            f", |z| = {p.z:.1f}" if p.z < np.inf else ""
        )
        yield Statement(f"a planted wrong theory, {p.what}{where}", value, "rejected", p.rejected, SOURCE)
    if check.topology:
        yield _portraits(check, where)
    if check.ring is not None:
        r = check.ring
        yield Statement(
            f"mean number of fixed points that finite size leaves on the ring{where}",
            f"{r.mean:.2f} ± {r.error:.2f}",
            f"{r.expected:.3f}, by the Kac-Rice formula",
            r.agrees,
            SOURCE,
        )


def _portraits(check, where):
    found = "; ".join(
        f"N = {t.n_neurons}: {t.same} of {t.draws}" + (f" ({', '.join(t.others[:2])})" if t.others else "")
        for t in check.topology
    )
    odds = ", ".join(f"{t.probability:.3g}" for t in check.topology)
    return Statement(
        f"networks with the same number and kinds of fixed points as the theory{where}",
        found,
        f"with probability {odds}, to leading order",
        all(t.agrees for t in check.topology),
        SOURCE,
    )


def _name(kind, number):
    return f"{kind}{number + 1}" if number else kind


def _overview(check, number):
    rank = check.prediction.field.rank
    return _line(check, number) if rank == 1 else _plane(check, number)


def _line(check, number):
    """Rank 1: the drift of drawn networks in the predicted band, and their fixed points over N."""
    p, f = check.prediction, check.prediction.field
    window = common_limits([p.portrait])[0]
    kappa, size = np.linspace(*window, 161)[:, None], check.sizes[0]
    nu = neuron(f, kappa)
    std = np.sqrt(np.maximum(nu.covariance[:, 0, 0], 0.0) / size)
    nets = [network_of(f.connectivity, size, k, check.seed, f.transfer, f.tau) for k in range(SHOWN)]
    curves = np.stack([_drift(net, f, kappa)[:, 0] for net in nets])
    sp = spread(p.portrait.fixed_points)
    rows = np.stack([sp.fixed_points.kappa[:, 0], sp.bias[:, 0], sp.covariance[:, 0, 0]], axis=-1)
    drawn = np.array([(d.n_neurons, x) for d in check.draws for x in d.points[:, 0]]).reshape(-1, 2).T
    data = {"kappa": kappa[:, 0], "drift": f.tau * f(kappa)[:, 0], "std": std, "drawn_drift": curves}
    data |= {"fixed_points": rows, "drawn": drawn, "sizes": np.array(check.sizes)}

    def draw():
        with plotting.style():
            figure, axes = plotting.figure(1, 2, width=4.6, height=3.4)
            pictures.plot_band(axes[0, 0], data["kappa"], data["drift"], data["std"], data["drawn_drift"])
            axes[0, 0].axhline(0, color="black", lw=0.6)
            axes[0, 0].set(title=f"N = {size}", xlabel=r"$\kappa$", ylabel=r"$\tau\,d\kappa/dt$")
            axes[0, 0].legend(loc="best")
            pictures.plot_funnel(axes[0, 1], check.sizes, data["fixed_points"], data["drawn"])
        return figure

    caption = (
        f"Left: drift of {SHOWN} drawn networks in the band that the theory predicts. Right: all fixed points of all "
        "drawn networks, and the predicted 95 % intervals."
    )
    return Figure(_name("networks", number), _condition(check) + caption, draw, data)


def _drift(net, f, kappa):
    from meanfield.dynamics import reduce

    return f.tau * reduce(net.connectivity, f.transfer, f.inputs, f.tau)(kappa)


def _condition(check):
    label = check.prediction.portrait.condition.label
    return f"{label[0].upper()}{label[1:]}. " if label else ""


def _plane(check, number):
    """Rank 2 and more: simulated trajectories on the theory's flow; points, cycles or the ring of drawn networks."""
    p = check.prediction
    window = common_limits([p.portrait])
    flow = plotting.flow_values(p.field, window[:2], 31)
    size = 1000 if 1000 in check.sizes else check.sizes[-1]
    data = {"x": flow["x"], "y": flow["y"], "drift": flow["drift"], "paths": _trajectories(check, window, size)}
    panels = [
        panel for panel in (_points_panel(check, data), _cycle_panel(check, data), _ring_panel(check, data)) if panel
    ]
    panels = [one for panel in panels for one in panel][:3]

    def draw():
        with plotting.style():
            figure, axes = plotting.figure(1, 1 + len(panels), width=4.4, height=4.2)
            plotting.plot_flow(
                axes[0, 0], {k: data[k] for k in ("x", "y", "drift")}, p.portrait.fixed_points, colorbar=False
            )
            for path in data["paths"]:
                axes[0, 0].plot(*path[:, :2].T, color="#D55E00", lw=1.3, alpha=0.9, zorder=5)
                axes[0, 0].plot(*path[0, :2], ".", color="#D55E00", ms=5, zorder=5)
            axes[0, 0].set(title=f"one network of {size} neurons, simulated")
            for ax, panel in zip(axes[0, 1:], panels, strict=True):
                panel(ax)
        return figure

    caption = (
        f"Left: trajectories of all {size} units of one drawn network (orange), measured as kappa, on the flow of the "
        "theory. Right: what is found in all drawn networks, and where the theory puts 95 % of them."
    )
    return Figure(_name("networks", number), _condition(check) + caption, draw, data)


def _trajectories(check, window, size):
    """kappa of one simulated network from starts around the window's rim, (STARTS, T, R)."""
    f = check.prediction.field
    net = network_of(f.connectivity, size, 0, check.seed, f.transfer, f.tau)
    angle = 2 * np.pi * (np.arange(STARTS) + 0.3) / STARTS
    start = np.zeros((STARTS, f.rank))
    start[:, :2] = window[:2].mean(1) + 0.42 * np.ptp(window[:2], axis=1) * np.stack([np.cos(angle), np.sin(angle)], -1)
    run = simulate(net, f.inputs, LENGTH * f.tau, 0.05 * f.tau, kappa=start, every=2, record_x=False, progress=False)
    return run.kappa


def _points_panel(check, data):
    p = check.prediction
    found = p.portrait.fixed_points
    if len(found) < 2:
        return None
    sp = spread(found)
    panels, data["fixed_points"], data["covariance"] = [], found.kappa, sp.covariance
    for size in dict.fromkeys((check.sizes[0], check.sizes[-1])):
        group = [d for d in check.draws if d.n_neurons == size]
        points = np.concatenate([d.points for d in group])
        kinds = np.concatenate([d.point_kinds for d in group])
        data[f"drawn_{size}"] = points

        def panel(ax, points=points, kinds=kinds, size=size):
            pictures.plot_points(ax, found.kappa, found.kind, sp.covariance, points, kinds, size)

        panels.append(panel)
    return panels


def _cycle_panel(check, data):
    p = check.prediction
    stable = [(j, cycle) for j, cycle in enumerate(p.portrait.cycles) if cycle.stable]
    if not stable:
        return None
    (j, cycle), panels = stable[0], []
    sp = spread(cycle)
    value, covariance = np.array([cycle.period, cycle.amplitude[0]]), sp.covariance[:2, :2]
    data["period_amplitude"], data["period_amplitude_covariance"] = value, covariance
    for size in dict.fromkeys((check.sizes[0], check.sizes[-1])):
        values = [d.values for d in check.draws if d.n_neurons == size]
        if not any(("cycle", j, 0) in v for v in values):
            values = _some_cycles(check, cycle, j, size)
        drawn = np.array([[v.get(("cycle", j, k), np.nan) for k in (0, 1)] for v in values]).reshape(-1, 2)
        drawn = drawn[np.isfinite(drawn[:, 0])]
        if not len(drawn):
            continue
        drawn[:, 0] = 1 / drawn[:, 0]
        data[f"cycles_{size}"] = drawn

        number = len(values)

        def panel(ax, drawn=drawn, size=size, number=number):
            pictures.plot_scatter(ax, value, covariance, drawn, size, ("period", r"amplitude of $\kappa_1$"))
            ax.set(title=f"N = {size}: {len(drawn)} of {number} networks oscillate")

        panels.append(panel)
    return panels


def _some_cycles(check, cycle, j, size):
    """What SHOWN networks do that are too small to be compared: for the eye only, where it does not take long."""
    f, found = check.prediction.field, []
    for k in range(SHOWN if cycle.period <= LONGEST * f.tau else 0):
        found.append({})
        net = network_of(f.connectivity, size, k, check.seed, f.transfer, f.tau)
        simulated_cycle(net, f, cycle, j, found[-1], [])
    return found


def _ring_panel(check, data):
    p, f = check.prediction, check.prediction.field
    if p.ring is None:
        return None
    ring, size = p.ring, check.sizes[-1]
    nets = [network_of(f.connectivity, size, k, check.seed, f.transfer, f.tau) for k in range(SHOWN)]
    curves = np.stack([(_drift(net, f, ring.points) * ring.left).sum(-1) for net in nets])
    angle = np.unwrap(np.arctan2(*(ring.points - ring.points.mean(0)).T[::-1]))
    counts = np.array([d.ring for d in check.draws])
    data |= {"angle": angle, "ring_drift": curves, "ring_std": ring.drift_std(size), "ring_counts": counts}

    def drifts(ax):
        pictures.plot_band(ax, angle, 0 * angle, ring.drift_std(size), curves)
        ax.set(title=f"N = {size}", xlabel="angle on the ring", ylabel=r"drift along it, $\tau\,d\kappa/dt$")
        ax.legend(loc="upper right")

    def numbers(ax):
        ax.hist(counts, np.arange(-0.5, counts.max() + 2), color="#777777", alpha=0.7)
        ax.axvline(ring.expected_zeros, color=plotting.COLOURS[0], label=f"mean expected: {ring.expected_zeros:.3f}")
        ax.axvline(counts.mean(), color="black", ls="--", label=f"mean found: {counts.mean():.3f}")
        ax.set(xlabel="fixed points left on the ring", ylabel=f"networks of {len(counts)}", title="all sizes")
        ax.legend(loc="upper right")

    return [drifts, numbers]


def _calibration(check, number):
    """Spread over N, and the histogram of z-scores with that of the planted wrong theory."""
    rows = sorted(check.rows, key=lambda r: r.observable.key[0] == "drift")[:MOST]
    labels = [r.observable.label for r in rows]
    wrong = check.planted.scores if check.planted is not None else np.zeros(0)
    data = {
        "sizes": np.array(check.sizes),
        "spread": np.array([r.std for r in rows]),
        "predicted": np.array([r.predicted_std for r in rows]),
        "z": check.z_scores,
        "planted_z": wrong if len(wrong) else np.full(1, np.nan),
    }
    words = f"wrong theory, {check.planted.what}" if check.planted is not None else ""

    def draw():
        with plotting.style():
            figure, axes = plotting.figure(1, 2, width=4.6, height=4.2)
            pictures.plot_spread(axes[0, 0], check.sizes, data["spread"], data["predicted"], labels)
            pictures.plot_scores(axes[0, 1], data["z"], wrong, words)
        return figure

    caption = (
        "Left: spread over draws, measured (dots) and predicted (lines), no parameter fitted. Right: all z-scores; "
        "in red the scores of one observable under the planted wrong theory (those beyond the frame stand at its edge)."
    )
    return Figure(_name("calibration", number), _condition(check) + caption, draw, data)
