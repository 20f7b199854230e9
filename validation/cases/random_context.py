"""Two populations with a random part: a contextual input decides which of two stimuli drives the readout."""

import numpy as np

from meanfield import dmft, plotting
from meanfield.connectivity import Connectivity
from meanfield.fluctuations import spread
from meanfield.transfer import get_transfer

from ..analysis import Condition, Figure
from ..networks import draw
from ..random_pictures import plot_draws, plot_response
from ..simulation import relax
from ..workers import over
from . import checks, derivations, draws
from .record import Case

BLUE, ORANGE = plotting.COLOURS[0], plotting.COLOURS[5]
G = 0.5
#: (1/N) n.m and (1/N) n.stimulus within a population, and the variance of a context over the population it saturates.
OVERLAP, STIMULUS, SATURATING = 1.0, 2.0, 64.0
STIMULI, CONTEXTS = ("A", "B"), ("context_a", "context_b")
#: Neurons and draws, in full and in brief, and the amplitudes at which networks are simulated.
FULL, QUICK = (1000, 8), (500, 8)
AMPLITUDES = np.array([0.0, 0.5, 1.0, 2.0])
# A stimulus for which the response is linear, to one part in a million.
_SMALL = 1e-3
_REST = 1e-6


def gated(a, b, variances, g=G):
    """kappa, Delta_0 (2,) and gains (2,) with stimuli a and b and contexts of these variances over the populations.

    kappa = sum_p (OVERLAP kappa + STIMULUS u_p) <phi'>_p / 2 with u = (a, b), and Delta_0 = kappa^2 + a^2 + b^2 + the
    context's variance + g^2 sum_p <phi^2>_p / 2, iterated.
    """
    kappa, square = 0.0, 0.0
    for _ in range(2000):
        variance = [kappa**2 + a * a + b * b + v + g * g * square for v in variances]
        q = np.array([derivations.gain(1, v) for v in variance])
        new = STIMULUS * (a * q[0] + b * q[1]) / 2 / (1 - OVERLAP * q.sum() / 2), 1 - q.mean()
        done = abs(new[0] - kappa) + abs(new[1] - square) < 1e-15
        kappa, square = new
        if done:
            break
    return kappa, np.array(variance), q


def respond(shared, job):
    """A worker's job: z of one network, its overlaps exactly the mixture's, under each of the conditions, (K,)."""
    (c, conditions), (n_neurons, seed) = shared, job
    net, out = draw(c, n_neurons, seed, match_moments=True), []
    for inputs in conditions:
        end = relax(net, np.zeros(c.rank), inputs, tolerance=_REST, progress=False)
        z = net.w[:, 0] @ get_transfer(net.transfer)(end.x) / n_neurons
        out.append(float(z) if end.success else np.nan)
    return np.array(out)


def _context(result, quick, seed):
    c, (n, many) = result.case.connectivity, QUICK if quick else FULL
    conditions = [{s: u, x: 1.0} for x in CONTEXTS for s in STIMULI for u in AMPLITUDES]
    conditions += [{**scape.condition.inputs} for scape in result.landscapes]
    found = np.array(over(respond, (c, conditions), [(n, [seed, n, k]) for k in range(many)]))
    drawn = found[:, :-2].reshape(many, 2, 2, len(AMPLITUDES))
    lines = {(x, s): _line(c, x, s, n) for x in CONTEXTS for s in STIMULI}
    statements = [
        *(_alone(scape, k) for k, scape in enumerate(result.landscapes)),
        _linear_ratio(c),
        *_relevant(lines, drawn, n),
        *_compared(lines, drawn, n),
        *_conflict(result, found[:, -2:], n),
    ]
    return (_figure(lines, drawn, n, many),), statements


def _alone(scape, k):
    """The only state under both stimuli at once, A = 1 and B = -1, against the separate derivation."""
    states, sign = scape.stationary, 1 - 2 * k
    kappa, variance, _ = gated(1.0, -1.0, (0.0, SATURATING)[::sign])
    state = states[0]
    off = max(abs(state.kappa[0] - kappa), np.abs(state.delta0 - variance).max() / SATURATING)
    return checks.claim(
        f"the only stationary state, {scape.condition.label}",
        states.complete and len(states) == 1 and state.stable and off < 1e-9,
        f"kappa = {state.kappa[0]:.9g}, {state.kind}; {'proved complete' if states.complete else states.status.value}",
        f"{kappa:.9g}, from its own equations (1e-9)",
    )


def _linear_ratio(c):
    small = [
        dmft.stationary_branch(c, "tanh", {CONTEXTS[0]: 1.0}, vary={s: np.array([_SMALL])}, start=([0.0], [1.0, 65.0]))
        for s in STIMULI
    ]
    ratio = float(small[1].kappa[0, 0] / small[0].kappa[0, 0])
    _, _, q = gated(0.0, 0.0, (0.0, SATURATING))
    return checks.number(
        "weak stimuli: irrelevant over relevant response is the ratio of the gains <phi'> of the two populations",
        ratio, q[1] / q[0], 10 * _SMALL**2, "Dubreuil et al. 2022: gain modulation by saturated populations",
    )  # fmt: skip


def _line(c, context, stimulus, n):
    """Theory of z over one stimulus in one context, and the spread of networks of n neurons."""
    u = np.linspace(0.0, AMPLITUDES[-1], 13)
    states = [dmft.stationary(c, "tanh", {stimulus: x, context: 1.0})[0] for x in u]
    return {
        "u": u,
        "z": np.array([s.readout[0] for s in states]),
        "std": np.array([spread(s, "moments").readout_std(n)[0] for s in states]),
    }


def _relevant(lines, drawn, n):
    """What the two stimuli do to the readout at amplitude 1, less what it is without them in the same network."""
    at, place = list(AMPLITUDES).index(1.0), int(np.argmin(np.abs(lines[CONTEXTS[0], "A"]["u"] - 1.0)))
    for j, context in enumerate(CONTEXTS):
        relevant, other = STIMULI[j], STIMULI[1 - j]
        z = [lines[context, s]["z"][place] for s in (relevant, other)]
        change = drawn[:, j, :, at] - drawn[:, j, :, 0]
        first, second = change[:, j], change[:, 1 - j]
        words = context.replace("_", " ")
        yield draws.mean_agrees(f"{words}: response of z to the relevant stimulus {relevant}", first, z[0], n)
        yield draws.mean_agrees(f"{words}: response of z to the irrelevant stimulus {other}", second, z[1], n)
        yield draws.is_rejected(
            f"{words}: {relevant} drives the readout by more than {other}, in theory {z[1] / z[0]:.3f} of it",
            first - second, 0.0, n,
        )  # fmt: skip


def _compared(lines, drawn, n):
    """All means and spreads of z itself, at all amplitudes."""
    value, std = [], []
    for context in CONTEXTS:
        for stimulus in STIMULI:
            line = lines[context, stimulus]
            at = [int(np.argmin(np.abs(line["u"] - u))) for u in AMPLITUDES]
            value.append(line["z"][at])
            std.append(line["std"][at])
    value, std, flat = np.ravel(value), np.ravel(std), drawn.reshape(len(drawn), -1)
    yield draws.mean_agrees("z of both stimuli in both contexts at all amplitudes", flat, value, n, std)
    yield draws.spread_agrees("the same", (flat - value) / std)


def _conflict(result, drawn, n):
    """Stimuli of opposite sign together: the readout has the sign of the relevant one."""
    states = [scape.stationary[0] for scape in result.landscapes]
    z = np.array([s.readout[0] for s in states])
    apart = drawn[:, 0] - drawn[:, 1]
    yield checks.claim(
        "both stimuli at once, of opposite sign: the sign of z is that of the relevant one",
        z[0] > 0 > z[1] and abs(z[0] + z[1]) < 1e-9, f"z = {z[0]:.6f} and {z[1]:.6f} (theory)", "> 0 and < 0",
    )  # fmt: skip
    yield draws.mean_agrees("the difference of z between the contexts", apart, z[0] - z[1], n)
    # a theory in which the contexts saturate nothing: both stimuli count alike, and cancel
    yield draws.is_rejected("without the gating by contexts there is no difference", apart, 0.0, n)


def _figure(lines, drawn, n, many):
    data = {f"{x}_{s}_{key}": value for (x, s), line in lines.items() for key, value in line.items()}
    data |= {"amplitudes": AMPLITUDES, "drawn": drawn}

    def draw_it():
        with plotting.style():
            figure, axes = plotting.figure(1, 2, width=4.2, height=3.6, sharey=True)
            for j, (ax, context) in enumerate(zip(axes[0], CONTEXTS, strict=True)):
                for i, (s, colour, marker) in enumerate(zip(STIMULI, (BLUE, ORANGE), "os", strict=True)):
                    u, z, std = (data[f"{context}_{s}_{key}"] for key in ("u", "z", "std"))
                    word = "relevant" if i == j else "irrelevant"
                    plot_response(ax, u, z, colour, f"stimulus {s}, {word}", std)
                    plot_draws(ax, data["amplitudes"], data["drawn"][:, j, i], colour, marker=marker)
                ax.set(xlabel="amplitude of the stimulus", title=context.replace("_", " "))
                ax.legend(loc="upper left")
            axes[0, 0].set(ylabel="readout z", ylim=(None, 0.4))
        return figure

    caption = (
        "Readout over the amplitude of one stimulus in each context. Lines: theory; bands: one predicted standard "
        f"deviation of single networks; points: mean and standard deviation over {many} networks of {n} neurons "
        "with exactly these overlaps."
    )
    return Figure("contexts", caption, draw_it, data)


def _gated_network():
    populations = [{"weight": 0.5, "n1 m1": OVERLAP, "w m1": 1.0} for _ in range(2)]
    for p, (s, context) in enumerate(zip(STIMULI, CONTEXTS, strict=True)):
        populations[p][f"n1 {s}"] = STIMULUS
        populations[p][f"{context} {context}"] = 0.0
        populations[1 - p][f"{context} {context}"] = SATURATING
    return Connectivity.from_overlaps(populations, rank=1, inputs=(*STIMULI, *CONTEXTS), readouts=("w",), g=G)


_CONFLICT = {"A": 1.0, "B": -1.0}

CONTEXT = Case(
    name="context-with-g",
    title="A context decides which stimulus drives the readout",
    source=(
        'lecture notes "Low-rank RNNs": context-dependent responses; Mastrogiuseppe & Ostojic, Neuron 2018, the '
        "context-dependent task; mechanism of Dubreuil et al., Nature Neuroscience 2022"
    ),
    text=(
        "Rank 1, two populations of weight 1/2, random part of g = 0.5. Every neuron receives both stimuli; n covaries "
        "with A in population 1 and with B in population 2 (2 each), with m in both (1), and the readout with m. A "
        "context is an input of standard deviation 8 over one population, and none over the other: it saturates "
        "population 2 (context a) or 1 (context b), and what n would pass on there is lost with the gain. The two "
        "conditions present both stimuli at once with opposite signs. The networks are drawn with exactly these "
        "overlaps. All numbers are ours."
    ),
    connectivity=_gated_network(),
    conditions=tuple(Condition(f"A = 1, B = -1, {x.replace('_', ' ')}", {**_CONFLICT, x: 1.0}) for x in CONTEXTS),
    check=_context,
    networks=False,
)

CASES = (CONTEXT,)
