"""Chaos suppressed by white noise, and by a frozen input: two transitions that are not the same."""

from dataclasses import dataclass

import numpy as np

from meanfield import dmft, plotting
from meanfield.connectivity import Connectivity
from meanfield.dmft import plots
from meanfield.fluctuations import spread

from ..analysis import Figure
from ..networks import draw
from ..simulation import relax, simulate
from ..spectrum import jacobian_spectrum
from ..workers import over
from . import checks, draws, simulated, suppression
from .record import Case

SGH = "Schuecker, Goedeke & Helias, Phys. Rev. X 8, 041029 (2018)"
G = 2.0
#: Noise between the two curves; variance of a frozen input beyond the transition.
BETWEEN, REST = 1.5, 4.0
#: Noise and variances of the frozen input, the networks' sizes, draws of each; time measured and before it, in tau;
#: trials, which share each product with the matrix. The smaller networks are, the farther from the transition they
#: cease to be chaotic.
FULL = {"noise": (0.5, 0.8, BETWEEN, 3.0), "frozen": (0.2, 0.5), "sizes": (1000, 2000), "draws": 6}
FULL |= {"duration": 32.0, "discard": 20.0, "trials": 8, "exponent_trials": 4, "theory_step": 0.1}
QUICK = {"noise": (0.5, BETWEEN, 3.0), "frozen": (0.2, 0.5), "sizes": (250, 600), "draws": 6}
QUICK |= {"duration": 32.0, "discard": 20.0, "trials": 4, "exponent_trials": 4, "theory_step": 0.2}
#: Steps: noise is of second order, and at noise 3 a step of 0.2 still moves the exponent by 0.005.
NOISY_STEP, STEP = 0.1, 0.2
#: Places in ``simulated.LAGS`` of the lags at which Delta is compared.
LAGS = (1, 3, 6)
# Units that move by less are at rest.
_REST = 1e-6


def network(g=G):
    """Chaos without structure, with an input whose loadings are independent numbers of variance 1."""
    return Connectivity.from_overlaps([{"n1 m1": 0.0}], rank=1, inputs=("y",), g=g)


@dataclass(frozen=True, eq=False)
class Driven:
    """A kind of drive: "noise" or "input_variance", its strengths, the theory there, and what the networks did.

    Attributes
    ----------
    along, label : str
    states : dict strength -> ChaoticState
    windows : dict strength -> dict
        What the theory has in the networks' window of time, by name.
    found : dict (strength, N) -> dict of arrays (draws, ..) by name
    """

    along: str
    label: str
    states: dict
    windows: dict
    found: dict

    def drawn(self, name, sizes):
        """(K, L, D, ..): strengths, sizes, draws."""
        return np.array([[self.found[x, n][name] for n in sizes] for x in self.states])

    @property
    def named(self):
        """The strengths in words."""
        return f"{self.label} {', '.join(f'{x:g}' for x in self.states)}"


def _suppression(result, quick, seed):
    c, options = result.case.connectivity, QUICK if quick else FULL
    noise = dmft.noise_suppression(c, bracket=(0.0, 4.0))
    (end,) = dmft.chaos_onset(c, bracket=(0.1, 4.0), along="input_variance")
    noisy, frozen = _networks(c, options, seed)
    resting = _resting(c, 500 if quick else 1000, options["draws"], seed)
    moment, momentary = _momentary(c, noisy, 500 if quick else 1000, seed)
    statements = [*suppression.transitions(c, noise, end, SGH), _same_input(c)]
    for one in (noisy, frozen):
        statements += _agree(one, options)
    statements += [*_between(noisy, options), *momentary, *_at_rest(c, *resting), *_planted(c, noisy, frozen, options)]
    curves = suppression.curves(c, 12 if quick else 40)
    figures = (
        _curve_figure(curves, noisy, frozen, resting, options, noise, end),
        _decay_figure(noisy, frozen, options),
        moment,
        suppression.diagram(60 if quick else 160, ((G, list(noisy.states)), (G, [*frozen.states, REST]))),
    )
    return figures, statements


def _networks(c, options, seed):
    """Networks under noise, and under a frozen input in their chaotic phase."""
    noisy = {s: dmft.chaotic(c, noise=s)[0] for s in options["noise"]}
    frozen = {v: dmft.chaotic(c, input_variance=v)[0] for v in options["frozen"]}
    jobs = []
    for n in sorted(options["sizes"], reverse=True):
        for k in range(options["draws"]):
            start = {"n_neurons": n, "number": k, "kappa": np.zeros(1), "exponent": True}
            for s, state in noisy.items():
                jobs.append((s, simulated.Job(G, variance=state.delta0[0], noise=s, step=NOISY_STEP, **start)))
            for v, state in frozen.items():
                others = start | {"inputs": {"y": np.sqrt(v)}, "matched": True}
                jobs.append((v, simulated.Job(G, variance=state.delta0[0] - v, step=STEP, **others)))
    found, windows = ({}, {}), {}
    runs = over(simulated.measured, (c, options, seed), [job for _, job in jobs])
    for (strength, job), run in zip(jobs, runs, strict=True):
        found[bool(job.inputs)].setdefault((strength, job.n_neurons), []).append(run)
        if (key := (bool(job.inputs), strength)) not in windows:
            windows[key] = simulated.expected(c, job, options)
    gathered = [{key: simulated.gather(runs, runs[0]) for key, runs in one.items()} for one in found]
    return (
        Driven("noise", "noise", noisy, {s: windows[False, s] for s in noisy}, gathered[0]),
        Driven(
            "input_variance", "variance of the frozen input", frozen, {v: windows[True, v] for v in frozen}, gathered[1]
        ),
    )


def _agree(one, options):
    """Delta_0, Delta(lag), the frozen part and the exponent against the theory at every strength."""
    sizes, windows = options["sizes"], one.windows.values()
    yield _mean(f"Delta_0 at {one.named}", one.drawn("delta0", sizes), [w["delta0"] for w in windows], sizes)
    later = np.array([w["delta"][list(LAGS)] for w in windows])
    lags = ", ".join(f"{simulated.LAGS[k]:g}" for k in LAGS)
    yield _mean(f"Delta at the lags {lags}, {one.named}", one.drawn("delta", sizes)[..., list(LAGS)], later, sizes)
    if one.along == "input_variance":
        values = [w["delta_inf"] for w in windows]
        yield _mean(f"Delta_inf at {one.named}", one.drawn("delta_inf", sizes), values, sizes)
    exponents, values = one.drawn("lyapunov", sizes), [s.lyapunov for s in one.states.values()]
    # noise taken for a frozen input of the variance that it alone keeps up; the reverse is too close to tell apart
    wrong = [suppression.frozen_rate(network(), s**2 / 2) for s in one.states] if one.along == "noise" else None
    yield draws.limits_agree(f"lambda_max at {one.named}", sizes, exponents, values, wrong)
    for x, drawn, value in zip(one.states, exponents, values, strict=True):
        yield draws.limit_agrees(f"lambda_max at {one.label} {x:g}", sizes, drawn, value)
    last = exponents[:, -1]
    means, right = last.mean(axis=1), (np.sign(last) == np.sign(values)[:, None]).sum(axis=1)
    yield checks.claim(
        f"the sign of lambda_max at {one.named}: mean of {last.shape[1]} networks of {sizes[-1]} neurons, and how many",
        (np.sign(means) == np.sign(values)).all(),
        "; ".join(f"{mean:+.3f}, {k} as expected" for mean, k in zip(means, right, strict=True)),
        ", ".join(f"{value:+.3f}" for value in values),
        draws.NETWORKS,
    )


def _mean(text, drawn, values, sizes):
    """``draws.mean_agrees`` of quantities (K, L, D, ..) at the largest size, their spread taken from all sizes."""
    drawn, values = np.moveaxis(drawn, 0, 2), np.asarray(values)
    drawn = drawn.reshape(*drawn.shape[:2], values.size)
    return draws.mean_agrees(text, drawn[-1], values.ravel(), sizes[-1], *draws.pooled(sizes, drawn))


def _between(noisy, options):
    """Between the two curves the bulk radius is above 1, and neighbouring paths come together all the same."""
    n, state = options["sizes"][-1], noisy.states[BETWEEN]
    exponents, radius = noisy.found[BETWEEN, n]["lyapunov"], suppression.radius(G, state.delta0[0])
    yield checks.claim(
        f"noise {BETWEEN:g}, between the curves: a bulk radius above 1, with which a frozen input leaves chaos, and "
        f"yet none ({len(exponents)} networks of {n} neurons)",
        radius > 1 and (exponents < 0).all() and state.lyapunov < 0,
        f"lambda_max {exponents.mean():+.4f}, at most {exponents.max():+.4f}",
        f"below 0 (theory {state.lyapunov:+.4f}), bulk radius {radius:.4f}",
        draws.NETWORKS,
    )


def _momentary(c, noisy, n, seed):
    """Eigenvalues of the Jacobian of one network at one moment, under the noise between the curves."""
    net, state = draw(c, n, [seed, n, 1]), noisy.states[BETWEEN]
    strength, _ = simulated.split_noise(BETWEEN, NOISY_STEP)
    end = simulate(
        net, duration=40.0, dt=NOISY_STEP, seed=[seed, n], noise=strength, every=400, record_x=False, progress=False
    ).end
    found, radius = jacobian_spectrum(net, end), suppression.radius(G, state.delta0[0])
    statement = checks.claim(
        f"noise {BETWEEN:g}: one network of {n} neurons, its Jacobian at one moment",
        found.eigenvalues[0].real > 0 and abs(found.radius - radius) < 3 / np.sqrt(n) * radius,
        f"bulk radius {found.radius:.4f}, rightmost eigenvalue {found.eigenvalues[0].real:+.4f}",
        f"radius {radius:.4f} within 3/sqrt(N), eigenvalues beyond 0 although lambda_max = {state.lyapunov:+.4f}",
        draws.NETWORKS,
    )
    data = {"eigenvalues": found.eigenvalues, "radius": np.array(radius), "lyapunov": np.array(state.lyapunov)}

    def draw_it():
        with plotting.style():
            figure, axes = plotting.figure(1, 1, width=5.0, height=4.6)
            suppression.plot_disc(axes[0, 0], **data)
        return figure

    caption = (
        f"Noise {BETWEEN:g}. Dots: eigenvalues of the Jacobian of one network of N = {n} at one moment; circle: bulk "
        "of the theory. Some lie beyond 0, yet perturbations die out: the Jacobian turns before they grow. Dashed: "
        "their mean rate, lambda_max of the theory."
    )
    return Figure("momentary", caption, draw_it, data), [statement]


def still(shared, job):
    """A worker's job: Delta_0, rightmost eigenvalue and bulk radius of a network at rest under the frozen input."""
    c, variance = shared
    n, number, seed = job
    inputs = {"y": np.sqrt(variance)}
    net = draw(c, n, [seed, n, number, round(1000 * variance)], True)
    end = relax(net, np.zeros(1), inputs, tolerance=_REST, progress=False)
    if not end.success:
        return (np.nan,) * 3
    spectrum = jacobian_spectrum(net, end.x)
    return end.x.var(), spectrum.eigenvalues[0].real, spectrum.radius


def _resting(c, n, many, seed):
    """(n, state, Delta_0, rightmost eigenvalues and bulk radii (D, 3)) of networks at rest beyond the transition."""
    (state,) = dmft.stationary(c, inputs={"y": np.sqrt(REST)})
    return n, state, np.array(over(still, (c, REST), [(n, k, seed) for k in range(many)]))


def _at_rest(c, n, state, found):
    text = f"frozen input of variance {REST:g}, beyond the transition"
    std = spread(state, "moments").delta0_std(n)[0]
    yield draws.mean_agrees(f"{text}: Delta_0 at rest", found[:, 0], state.delta0[0], n, std)
    yield draws.mean_agrees(f"{text}: bulk radius", found[:, 2], state.bulk_radius, n)
    rate, edge, mean = state.bulk_radius - 1, 3 / np.sqrt(n) * state.bulk_radius, found[:, 1].mean()
    yield checks.claim(
        f"{text}: the rightmost eigenvalue of {len(found)} networks of {n} neurons",
        abs(mean - rate) < edge and bool((found[:, 1] < 0).all()),
        f"mean {mean:+.4f}, from {found[:, 1].min():+.4f} to {found[:, 1].max():+.4f}",
        f"all below 0, and their mean at bulk radius - 1 = {rate:+.4f} within {edge:.2g} (3/sqrt(N) of the radius)",
        draws.NETWORKS,
    )


def _same_input(c):
    """A frozen input is the same as an input with independent loadings, and as ``input_variance``."""
    v = 0.4
    one, other = dmft.chaotic(c, input_variance=v)[0], dmft.chaotic(c, inputs={"y": np.sqrt(v)})[0]
    text = "an input with independent loadings, at amplitude sqrt(variance), is that variance of a frozen input: lambda"
    return checks.number(text, one.lyapunov, other.lyapunov, 10 * (one.lyapunov_error + other.lyapunov_error) + 1e-12)


def _planted(c, noisy, frozen, options):
    n, strongest = options["sizes"][-1], max(frozen.states)
    drawn = frozen.drawn("delta0", options["sizes"])[[*frozen.states].index(strongest)]
    text = f"a planted wrong theory, frozen input of variance {strongest:g} left out: its Delta_0 is rejected"
    yield draws.is_rejected(text, drawn[-1], dmft.chaotic(c)[0].delta0[0], n, *draws.pooled(options["sizes"], drawn))
    std, freedom = draws.pooled(
        options["sizes"], noisy.drawn("delta0", options["sizes"])[[*noisy.states].index(BETWEEN)]
    )
    alone = BETWEEN**2 / 2
    for what, wrong in (
        (f"noise {BETWEEN:g} left out", dmft.chaotic(c)[0].delta0[0]),
        (f"noise {BETWEEN:g} taken for a frozen input of the variance {alone:g} that it alone keeps up",
         dmft.chaotic(c, input_variance=alone)[0].delta0[0]),
    ):  # fmt: skip
        text = f"a planted wrong theory, {what}: its Delta_0 is rejected"
        yield draws.is_rejected(text, noisy.found[BETWEEN, n]["delta0"], wrong, n, std, freedom)


def _points(one, name, n):
    pairs = np.array([simulated.mean_and_error(one.found[x, n][name]) for x in one.states])
    return np.array([*one.states]), pairs[:, 0], pairs[:, 1]


def _curve_figure(curves, noisy, frozen, resting, options, noise, end):
    n, data = options["sizes"][-1], dict(curves)
    for one in (noisy, frozen):
        for name in ("delta0", "lyapunov", *(("delta_inf",) if one is frozen else ())):
            for part, values in zip(("at", "mean", "error"), _points(one, name, n), strict=True):
                data[f"{one.along}_{name}_{part}"] = values
    data |= {"transitions": np.array([q.value for q in (*noise, end)]), "still": np.array(REST)}
    data["still_mean"], data["still_error"] = simulated.mean_and_error(resting[2])

    def draw_it():
        with plotting.style():
            figure, axes = plotting.figure(2, 2, width=4.4, height=3.3)
            for column, along in zip(axes.T, ("noise", "input_variance"), strict=True):
                suppression.plot_curves(column, data, along)
                for ax, name in zip(column, ("delta0", "lyapunov"), strict=True):
                    points = (data[f"{along}_{name}_{part}"] for part in ("at", "mean", "error"))
                    plots.plot_measured(ax, *points, colour=6, label=f"networks, N = {n}")
            for k, ax in enumerate(axes[:, 1]):
                rest = [data["still"]], data["still_mean"][k : k + 1], data["still_error"][k : k + 1]
                plots.plot_measured(ax, *rest, colour=6, marker="s")
            points = (data[f"input_variance_delta_inf_{part}"] for part in ("at", "mean", "error"))
            plots.plot_measured(axes[0, 1], *points, colour=6, marker="^")
            for ax in axes[:, 0]:
                ax.legend(loc="best")
            axes[0, 1].legend(loc="best")
        return figure

    caption = (
        f"Chaos at g = {G:g} under white noise (left) and a frozen input (right). Lines: theory. Points: mean and "
        f"standard error over {options['draws']} networks of N = {n}; square: networks of N = {resting[0]} at rest, "
        "with the rightmost eigenvalue of their Jacobian; triangles: the frozen part, with what the activity still "
        "remembers in the networks' window of time. Dotted: transitions. Under noise chaos ends while the bulk radius "
        "is still above 1; under a frozen input both pass at once. Exponents of finite networks differ from the theory "
        "by some 1/N, their rightmost eigenvalues by some 1/sqrt(N)."
    )
    return Figure("suppression", caption, draw_it, data)


def _decay_figure(noisy, frozen, options):
    n, lags = options["sizes"][-1], np.linspace(0.0, 10.0, 101)
    data = {"lags": lags, "measured_lags": simulated.LAGS}
    for one in (noisy, frozen):
        data[f"{one.along}_strengths"] = np.array([*one.states])
        data[f"{one.along}_theory"] = np.array([s.delta(lags)[:, 0] for s in one.states.values()])
        pairs = [simulated.mean_and_error(one.found[x, n]["delta"]) for x in one.states]
        data[f"{one.along}_measured"], data[f"{one.along}_error"] = (np.array(q) for q in zip(*pairs, strict=True))

    def draw_it():
        with plotting.style():
            figure, axes = plotting.figure(1, 2, width=4.6, height=3.8)
            for ax, one, sign in ((axes[0, 0], noisy, "noise"), (axes[0, 1], frozen, "variance")):
                labels = [f"{sign} {x:g}" for x in data[f"{one.along}_strengths"]]
                measured = data["measured_lags"], data[f"{one.along}_measured"]
                plots.plot_decay(ax, lags, data[f"{one.along}_theory"], labels, measured, data[f"{one.along}_error"])
        return figure

    caption = (
        "Autocorrelation of the input under white noise (left, with a kink at 0) and with a frozen input (right, with "
        f"a frozen part). Lines: theory. Points: mean and standard error over {options['draws']} networks of N = {n}."
    )
    return Figure("autocorrelation", caption, draw_it, data)


CASES = (
    Case(
        name="suppression",
        title="Suppression of chaos by noise and by a frozen input",
        source=f"{SGH}; lecture notes, Chaotic RNNs",
        text=(
            "No low-rank part, J = g chi with g = 2. White noise of strength s in tau dx/dt = .. + tau s xi(t) alone "
            "keeps up the variance s^2/2. It makes neighbouring paths come together from s = 1.05 on, while the bulk "
            "of the Jacobian at each moment reaches beyond 0 up to s = 2.37: perturbations are followed under the same "
            "noise, and the Jacobian turns faster than they grow. A frozen input, which differs from neuron to neuron, "
            "ends chaos where the bulk radius of the state at rest passes 1, at variance 1.64; in networks it is one "
            "more input with independent loadings, of exactly that variance. The noise of a step is split "
            "symmetrically, so that steps are of second order: of 0.1 tau with noise, 0.2 tau without, which moves "
            "exponents by less than 0.002."
        ),
        connectivity=network(),
        check=_suppression,
        networks=False,
    ),
)
