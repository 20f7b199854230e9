"""Thesis, sections 4.1 and 4.2: rank two without input. Fig. 4.1 a-d, and the bimodal network of Fig. 4.2 to 4.4."""

import numpy as np

from meanfield import plotting
from meanfield.connectivity import Connectivity
from meanfield.dynamics import reduce
from meanfield.fixed_points import fixed_points

from ..analysis import Condition, Figure, portrait
from . import checks, derivations
from .record import Case

_CHAPTER = "Valente, master's thesis (2019), chapter 4"
_NEURONS = 400


def _overlaps(result):
    return result.case.connectivity.overlap("n", "m")


def _linear(result, source="thesis eq. 4.4"):
    """F'(0) is the overlap matrix minus 1."""
    f, overlap = result.portraits[0].field, _overlaps(result)
    found = f.jacobian(np.zeros(2))
    holds = np.allclose(found, overlap - np.eye(2), rtol=0, atol=1e-14)
    return checks.claim(
        "F'(0) is the overlap matrix minus 1", holds, checks.matrix(found), checks.matrix(overlap - np.eye(2)), source
    )


def _points(result, quick, seed):
    portrait, overlap = result.portraits[0], _overlaps(result)
    eigenvalues = np.linalg.eigvals(overlap)
    growing = eigenvalues.real > 1
    expected = {"stable": 2, "saddle": 1} if growing.sum() == 1 else {"stable": 2, "saddle": 2, "source": 1}
    return (), [
        _linear(result),
        checks.count(portrait, expected, result.case.source),
        checks.one_population(portrait, overlap, 1.0),
        checks.claim(
            "no limit cycle: the direction of kappa follows the linear flow of the overlap matrix, which cannot turn "
            "round when its eigenvalues are real",
            bool(np.isreal(eigenvalues).all()) and not portrait.cycles,
            "eigenvalues " + ", ".join(f"{x:.6g}" for x in eigenvalues),
            "real eigenvalues",
            "thesis 4.1",
        ),
    ]


def _ring(result, quick, seed):
    fp, overlap = result.portraits[0].fixed_points, _overlaps(result)
    value = overlap[0, 0]
    variance = derivations.variance_at_gain(1 / value)
    radius, radial = np.sqrt(variance), value * variance * derivations.gain(3, variance)
    boxes = np.concatenate([u.boxes for u in fp.unresolved])
    points = np.concatenate([u.points for u in fp.unresolved])
    eigenvalues = np.sort(np.concatenate([u.eigenvalues for u in fp.unresolved]).real, axis=-1)
    corners = np.linalg.norm(
        np.stack([boxes[:, i, 0] + 1j * boxes[:, j, 1] for i in (0, 1) for j in (0, 1)])[..., None], axis=-1
    )
    angle = np.linspace(0, 2 * np.pi, 2001)
    circle = radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)[:, None]
    covered = ((circle >= boxes[:, 0]) & (circle <= boxes[:, 1])).all(-1).any(-1).all()
    single = len(fp.unresolved) == 1 and fp.unresolved[0].kind == "continuum"
    return (), [
        _linear(result),
        checks.claim(
            "besides the origin, a source, all fixed points lie in one proved enclosure",
            single and checks.kinds(fp) == {"source": 1} and not fp.complete,
            f"{checks.describe(checks.kinds(fp))}; {len(fp.unresolved)} unresolved set, a "
            f"{fp.unresolved[0].kind} of {len(boxes)} boxes",
            "1 source, 1 continuum",
            result.case.source,
        ),
        checks.claim(
            "the enclosure is a ring: its boxes cover the circle <phi'>(|kappa|^2) = 1/2 and nothing far from it",
            covered and corners.min() < radius < corners.max() and np.ptp(corners) < 0.05 * radius,
            f"|kappa| in [{corners.min():.5f}, {corners.max():.5f}]",
            f"|kappa| = {radius:.10f}",
        ),
        checks.claim(
            "numerical zeros on the ring",
            np.abs(np.linalg.norm(points, axis=-1) - radius).max() < 1e-8,
            f"{len(points)} with |kappa| within {np.abs(np.linalg.norm(points, axis=-1) - radius).max():.0e}",
            f"{radius:.10f} (1e-8)",
        ),
        checks.claim(
            "no drift along the ring, attraction across it",
            np.abs(eigenvalues - [radial, 0.0]).max() < 1e-7,
            f"eigenvalues {eigenvalues[:, 0].mean():.8f} and 0 (largest {np.abs(eigenvalues[:, 1]).max():.0e})",
            f"{radial:.8f} and 0 (1e-7)",
        ),
    ]


def _cycle(result, quick, seed):
    portrait, overlap = result.portraits[0], _overlaps(result)
    period = derivations.period(overlap)
    value = np.linalg.eigvals(overlap)[0]
    statements = [
        _linear(result),
        checks.printed(
            "eigenvalues a ± ib of the overlap matrix",
            [value.real, abs(value.imag)],
            [2.25, 0.97],
            2,
            "thesis caption of Fig. 4.1d",
        ),
        checks.closed_orbit(
            portrait, "a stable limit cycle around a source, and no other fixed point", result.case.source
        ),
    ]
    for cycle in portrait.cycles[:1]:
        statements += [
            checks.number(
                "its period is 2 pi a/b, whatever phi", cycle.period, period, max(cycle.period_error, 1e-9 * period)
            ),
            checks.liouville(cycle),
        ]
    return (), statements


def _figure_41(letter, overlaps, words, check):
    keys = ("n1 m1", "n1 m2", "n2 m1", "n2 m2")
    return Case(
        name=f"fig-4.1{letter}",
        title=f"Rank two, one population: {words}",
        source=f"{_CHAPTER}, Fig. 4.1{letter}",
        text=(
            f"(sigma_11, sigma_12, sigma_21, sigma_22) = {overlaps}, as in the caption, where sigma_ij = (1/N) "
            "n_i m_j. m_1 and m_2 are independent with "
            "variance 1 (ours: the thesis does not say)."
        ),
        connectivity=Connectivity.from_overlaps([{k: s for k, s in zip(keys, overlaps, strict=True) if s}], rank=2),
        check=check,
    )


#: sigma of thesis eq. 4.5-4.8; any value above 1 gives the same picture.
SIGMA = 2.0
SIGNS = np.array([(1, 1), (1, -1), (-1, 1), (-1, -1)])


def bimodal(sigma):
    """Thesis eq. 4.5-4.8 as four populations: m_r and n_r have means +-sqrt(sigma) of one sign, and independent unit
    variances."""
    root = float(np.sqrt(sigma))
    return Connectivity.from_overlaps(
        [
            {
                "weight": 0.25,
                "mean m1": root * a,
                "mean n1": root * a,
                "mean m2": root * b,
                "mean n2": root * b,
                "n1 n1": 1.0,
                "n2 n2": 1.0,
            }
            for a, b in SIGNS
        ],
        rank=2,
    )


def mean_connections(c):
    """g_pq = E[m^(p) . n^(q)], the mean of N J_ij from population q to population p (independent neurons): (P, P)."""
    return c.mean("m") @ c.mean("n").T


def _bimodal(result, quick, seed):
    c = result.case.connectivity
    size = np.sqrt(SIGMA)
    both, alone = derivations.bimodal_pair(size, both=True), derivations.bimodal_pair(size, both=False)
    stable = [(both * np.array(k, float), None) for k in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    saddles = [(0.5 * alone * k, None) for k in SIGNS.astype(float)]
    sigmas = (1.1, 1.5, 3.0, 4.0)
    counts = [checks.kinds(fixed_points(reduce(bimodal(s)))) for s in sigmas]
    nine = {"stable": 4, "saddle": 4, "source": 1}
    onset = fixed_points(reduce(bimodal(1.0)), max_boxes=6000)
    rest = max((float(np.abs([u.low, u.high]).max()) for u in onset.unresolved), default=0.0)
    gaussian = Connectivity.from_overlaps(
        [
            {
                "m1 m1": 1 + SIGMA,
                "m2 m2": 1 + SIGMA,
                "n1 m1": SIGMA,
                "n2 m2": SIGMA,
                "n1 n1": 1 + SIGMA,
                "n2 n2": 1 + SIGMA,
            }
        ],
        rank=2,
    )
    ring = portrait(gaussian, "tanh", Condition("matched Gaussian")).fixed_points
    statements = [
        _linear(result),
        checks.count(
            result.portraits[0], nine, "thesis Fig. 4.2: 8 fixed points around the origin, 4 stable and 4 saddles"
        ),
        checks.located(
            result.portraits[0],
            [(np.zeros(2), np.full(2, SIGMA - 1)), *stable, *saddles],
            text="stable points on the axes, saddles on the diagonals, from one equation for s = kappa_1 + kappa_2",
        ),
        checks.claim(
            "the same nine for other sigma > 1",
            all(k == nine for k in counts),
            "; ".join(f"sigma = {s:g}: {checks.describe(k)}" for s, k in zip(sigmas, counts, strict=True)),
            checks.describe(nine),
            "thesis 4.2: sigma > 1",
        ),
        checks.claim(
            "at sigma = 1, the populations 1 + x as printed, only the origin is left, at its bifurcation",
            not onset.complete and len(onset) == 0 and rest < 0.02,
            f"proved: none farther out than {rest:.2g} (a degenerate point cannot be resolved)",
            "0 alone, because |<tanh>| < |s| at sigma = 1",
        ),
        checks.claim(
            "one Gaussian population with the same second moments has a ring",
            [u.kind for u in ring.unresolved] == ["continuum"],
            ", ".join(str(u) for u in ring.unresolved),
            "one continuum",
            "thesis 4.2",
        ),
        checks.claim(
            "the two pairs of populations are independent",
            None,
            f"s = {alone:.6f} where the other pair rests, {both:.6f} where it is active",
            "equal, if they were: they are coupled through the variance |kappa|^2",
            "thesis 4.2, with its note that all are connected",
        ),
        *_printed_connections(c),
    ]
    figures, sampled = _connections(c, _NEURONS // (2 if quick else 1), seed)
    return figures, [*statements, sampled]


def _printed_connections(c):
    unit = mean_connections(bimodal(1.0))
    for (p, q), value in {(0, 0): 2, (0, 1): 0}.items():
        yield checks.printed(f"g_{p + 1}{q + 1} with means ±1 (sigma = 1)", unit[p, q], value, 0, "thesis 4.2")
    found = mean_connections(c)
    expected = SIGMA * SIGNS @ SIGNS.T
    pairs = np.allclose(found, expected, atol=1e-14) and np.allclose(expected[1:3, [0, 3]], 0)
    yield checks.claim(
        "mean connections g_pq: populations 1, 4 and 2, 3 inhibit each other and excite themselves, nothing "
        "between the pairs",
        pairs,
        checks.matrix(found),
        checks.matrix(expected),
        "thesis Fig. 4.4, times sigma",
    )


def _connections(c, neurons, seed):
    """Fig. 4.2 right, 4.3 and 4.4 of one drawn network, and its block means against g_pq."""
    net = c.sample(neurons, seed=seed)
    matrix, mean, population = net.m @ net.n.T, mean_connections(c), net.population
    sizes = np.bincount(population, minlength=4)
    block = (
        np.stack([net.m[population == p].mean(0) for p in range(4)])
        @ np.stack([net.n[population == p].mean(0) for p in range(4)]).T
    )
    # var(mbar.nbar) to first order, unit variances: the means squared over the number of neurons averaged
    error = np.sqrt(SIGMA * 2 * (1 / sizes[:, None] + 1 / sizes[None, :]))
    worst = np.abs((block - mean) / error).max()
    names = [f"{p + 1}" for p in range(4)]

    def draw_scatter():
        with plotting.style():
            figure, axes = plotting.figure(1, 2, width=4.4, height=4.2)
            for ax, (x, y, label) in zip(axes[0], ((0, 0, "1"), (1, 1, "2")), strict=True):
                plotting.plot_loadings(
                    ax,
                    net.m[:, x],
                    net.n[:, y],
                    population,
                    [f"population {p}" for p in names],
                    names=(rf"$m_{label}$", rf"$n_{label}$"),
                    size=9,
                )
        return figure

    def draw_matrices():
        with plotting.style():
            figure, axes = plotting.figure(1, 3, width=4.4, height=3.8)
            plotting.plot_matrix(
                axes[0, 0], matrix, boundaries=np.cumsum(sizes)[:-1], label=r"$N J_{ij}$", limit=3 * np.abs(mean).max()
            )
            axes[0, 0].set(xlabel="from neuron j", ylabel="to neuron i")
            plotting.plot_matrix(axes[0, 1], mean, names, label=r"$g_{pq}$").set(
                xlabel="from population q", ylabel="to population p"
            )
            plotting.plot_population_graph(axes[0, 2], mean, names)
        return figure

    figures = (
        Figure(
            "loadings",
            f"Loadings of {neurons} drawn neurons (thesis Fig. 4.2, right).",
            draw_scatter,
            {"m": net.m, "n": net.n, "population": population},
        ),
        Figure(
            "connections",
            "Left: N J of the drawn neurons, ordered by population (thesis Fig. 4.3). Middle: mean connections "
            "g_pq. Right: the same as a graph (thesis "
            "Fig. 4.4); green excites, red inhibits.",
            draw_matrices,
            {"NJ": matrix, "g": mean, "block_means": block},
        ),
    )
    statement = checks.claim(
        f"block means of N J of {neurons} drawn neurons agree with g_pq",
        worst < 5,
        f"largest deviation {worst:.2f} standard errors",
        "below 5 (16 blocks)",
        "thesis Fig. 4.3",
    )
    return figures, statement


BIMODAL = Case(
    name="fig-4.2",
    title="Four populations: eight fixed points around the origin",
    source=f"{_CHAPTER}, Fig. 4.2 to 4.4, eq. 4.5-4.8",
    text=(
        "m_r = sqrt(sigma) z_r + x and n_r = sqrt(sigma) z_r + x' with z_r = ±1 and x, x' standard normal: "
        "four populations with means ±sqrt(sigma), no covariance of m and n within "
        "them. The thesis asks for sigma > 1 and gives no value: sigma = 2 is ours; every value tried above 1 "
        "gives the same nine fixed points."
    ),
    connectivity=bimodal(SIGMA),
    errata=(
        "Thesis 4.2 writes the populations as 1 + x, which is sigma = 1: there F'(0) = 0 and the origin is the "
        "only fixed point. The factor sqrt(sigma) of "
        "eq. 4.5-4.8 belongs in front of the ±1, and g_11 = 2 becomes 2 sigma.",
    ),
    check=_bimodal,
)

CASES = (
    _figure_41("a", (2.5, 0.0, 0.5, 0.5), "a saddle and two stable points", _points),
    _figure_41("b", (2.5, 0.0, 0.5, 1.5), "two saddles and two stable points", _points),
    _figure_41("c", (2.0, 0.0, 0.0, 2.0), "a ring of fixed points", _ring),
    _figure_41("d", (2.5, -1.0, 1.0, 2.0), "a limit cycle", _cycle),
    BIMODAL,
)
