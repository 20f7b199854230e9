"""Rank one with a random part: a network that answers to one of two inputs."""

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

_NOTES = 'lecture notes "Low-rank RNNs"'
_MO18 = "Mastrogiuseppe & Ostojic, Neuron 2018"
#: Neurons and draws, in full and in brief.
FULL, QUICK = (1000, 8), (500, 6)
# At rest: units that move by less, far below the spread of any network that is drawn.
_REST = 1e-6
G = 0.8


def square(variance):
    """<tanh^2> = 1 - <tanh'> over N(0, variance)."""
    return 1 - derivations.gain(1, variance)


OVERLAP_GO, OVERLAP_W = 1.5, 1.0
GO, NOGO, BLUE, GREY = "go", "nogo", plotting.COLOURS[0], plotting.COLOURS[5]
#: Amplitudes at which networks are simulated.
AMPLITUDES = np.array([0.0, 0.5, 1.0, 2.0, 3.0])


def response(u, overlap=OVERLAP_GO, g=G):
    """kappa and Delta_0 at amplitude u of an input with n.I = ``overlap``: kappa = n.I u <phi'> put into Delta_0's."""

    def excess(variance):
        kappa = overlap * u * derivations.gain(1, variance)
        return kappa**2 + u * u + g * g * square(variance) - variance

    variance = derivations.root(excess, 1e-12, u * u * (1 + overlap**2) + g * g)
    return overlap * u * derivations.gain(1, variance), variance


def respond(shared, job):
    """A worker's job: kappa, readouts and Delta_0 (K, R + W + 1) of a network at rest under ``shared``'s inputs."""
    (c, conditions), (n_neurons, seed) = shared, job
    net = draw(c, n_neurons, seed)
    out = []
    for inputs in conditions:
        end = relax(net, np.zeros(c.rank), inputs, tolerance=_REST, progress=False)
        z = net.w.T @ get_transfer(net.transfer)(end.x) / n_neurons
        out.append([*end.kappa, *z, end.x.var()] if end.success else [np.nan] * (c.rank + len(z) + 1))
    return np.array(out)


def _go_nogo(result, quick, seed):
    rest, go, nogo = (scape.stationary for scape in result.landscapes)
    c, (n, many) = result.case.connectivity, QUICK if quick else FULL
    conditions = [{name: u} for name in (GO, NOGO) for u in AMPLITUDES]
    found = np.array(over(respond, (c, conditions), [(n, [seed, n, k]) for k in range(many)]))
    drawn = {GO: found[:, : len(AMPLITUDES)], NOGO: found[:, len(AMPLITUDES) :]}
    kappa, variance = response(1.0)
    at_one, one = int(np.flatnonzero(AMPLITUDES == 1.0)[0]), spread(go[0])
    still = spread(nogo[0])
    lines = {name: _lines(c, name, rest[0], n) for name in (GO, NOGO)}
    statements = [
        _single(rest, "without input the network is silent", [0.0]),
        _single(nogo, "under the nogo input kappa = 0: nothing of it lies along n", [0.0]),
        _single(go, "under the go input kappa = (n.I/N) u <phi'>", [kappa]),
        checks.number("Delta_0 under go", go[0].delta0[0], variance, go[0].radius.sum() * 10 + 1e-12),
        checks.number(
            "the readout under go: z = (m.w/N) kappa <phi'> = (m.w) kappa^2 / (n.I u)",
            go[0].readout[0], OVERLAP_W * kappa**2 / OVERLAP_GO, go[0].radius.sum() * 10 + 1e-12,
        ),
        checks.claim(
            "z under nogo is 0 at every amplitude", np.abs(lines[NOGO]["value"][:, 1]).max() <= 1e-12,
            f"|z| up to {np.abs(lines[NOGO]['value'][:, 1]).max():.1g}", "0", _NOTES,
        ),
        draws.mean_agrees("kappa under go at u = 1", drawn[GO][:, at_one, 0], kappa, n, one.std(n)),
        draws.mean_agrees("z under go at u = 1", drawn[GO][:, at_one, 1], go[0].readout[0], n, one.readout_std(n)[0]),
        draws.mean_agrees("z under nogo at u = 1", drawn[NOGO][:, at_one, 1], 0.0, n, still.readout_std(n)[0]),
        draws.spread_agrees("kappa and z under both inputs", _scores(drawn, lines, n)),
        draws.mean_agrees(
            "Delta_0 under nogo at u = 1", drawn[NOGO][:, at_one, 3], nogo[0].delta0[0], n, still.delta0_std(n)[0]
        ),
        draws.is_rejected(
            "Delta_0 under nogo without the random part, u^2, does not fit", drawn[NOGO][:, at_one, 3], 1.0, n,
            still.delta0_std(n)[0],
        ),
        *_selective(drawn, go[0], still, at_one, n),
    ]  # fmt: skip
    return (_response_figure(lines, drawn, n, many),), statements


def _single(states, text, kappa):
    """One stationary state, proved to be all, stable, at this kappa."""
    state = states[0]
    error = np.abs(state.kappa - kappa).max()
    return checks.claim(
        text,
        states.complete and len(states) == 1 and state.stable and error <= state.radius.max() + 1e-12,
        f"kappa = {checks.matrix(state.kappa, 8)}, {state.kind}; {len(states)} state, "
        f"{'proved complete' if states.complete else states.status.value}",
        f"{checks.matrix(kappa, 8)}, the only state, stable",
    )


def _selective(drawn, go, still, at_one, n):
    """How many standard deviations of single networks apart the answers are, with m.w > 0 and without."""
    apart = drawn[GO][:, at_one, 1:3] - drawn[NOGO][:, at_one, 1:3]
    std = np.hypot(spread(go).readout_std(n), still.readout_std(n))
    predicted = (go.readout - 0.0) / std
    yield checks.claim(
        f"z tells go from nogo in single networks of {n} neurons when m.w > 0",
        bool((apart[:, 0] > 0).all()) and predicted[0] > 3,
        f"apart by {apart[:, 0].mean():.4g}, in every draw by at least {apart[:, 0].min():.4g}",
        f"{go.readout[0]:.4g}, that is {predicted[0]:.2g} predicted standard deviations",
        _NOTES,
    )
    # the two responses of one network are correlated: their difference is measured
    yield draws.mean_agrees("a readout with m.w = 0 does not tell them apart: its difference", apart[:, 1], 0.0, n)


def _lines(c, name, start, n):
    """Theory over the amplitude of one input: kappa and readouts, and the spread of networks of n neurons."""
    u = np.linspace(0.0, AMPLITUDES[-1], 25)
    branch = dmft.stationary_branch(c, "tanh", vary={name: u}, start=start)
    states = [dmft.stationary(c, "tanh", {name: x})[0] for x in u]
    spreads = [spread(s) for s in states]
    value = np.array([[*kappa, *s.readout] for kappa, s in zip(branch.kappa, states, strict=True)])
    std = np.array([[*s.std(n), *s.readout_std(n)] for s in spreads])
    return {"u": u, "value": value, "std": std}


def _scores(drawn, lines, n):
    """z-scores of kappa and the first readout at the amplitudes above 0, (D, Q)."""
    out = []
    for name, found in drawn.items():
        at = [int(np.argmin(np.abs(lines[name]["u"] - u))) for u in AMPLITUDES[1:]]
        value, std = (lines[name][key][at, :2] for key in ("value", "std"))
        out.append(((found[:, 1:, :2] - value) / std).reshape(len(found), -1))
    return np.concatenate(out, axis=1)


def _response_figure(lines, drawn, n, many):
    names = (r"$\kappa$", "decision readout z, m.w > 0", "control readout z, m.w = 0")
    data = {f"{name}_{key}": value for name in lines for key, value in lines[name].items()}
    data |= {f"{name}_drawn": found for name, found in drawn.items()} | {"amplitudes": AMPLITUDES}

    def draw_it():
        with plotting.style():
            figure, axes = plotting.figure(1, 3, width=3.7, height=3.4)
            for j, (ax, label) in enumerate(zip(axes[0], names, strict=True)):
                for name, colour, marker in ((GO, BLUE, "o"), (NOGO, GREY, "s")):
                    value, std = data[f"{name}_value"][:, j], data[f"{name}_std"][:, j]
                    plot_response(ax, data[f"{name}_u"], value, colour, name, std)
                    plot_draws(ax, data["amplitudes"], data[f"{name}_drawn"][..., j], colour, marker=marker)
                ax.set(xlabel="input amplitude u", ylabel=label)
            low, high = axes[0, 1].get_ylim()
            axes[0, 2].set_ylim(low, high)
            axes[0, 0].legend(loc="upper left")
        return figure

    caption = (
        "Lines: theory; bands: one predicted standard deviation of single networks. Points: mean and standard "
        f"deviation over {many} drawn networks of {n} neurons. Right: a readout without overlap with m, which answers "
        "to neither."
    )
    return Figure("response", caption, draw_it, data)


GO_NOGO = Case(
    name="go-nogo",
    title="Go and nogo: a network that answers to one of two inputs",
    source=f"{_NOTES}, their example of m and n orthogonal; {_MO18}, Fig. 3 and the Go-Nogo task",
    text=(
        "Rank 1 with a random part of g = 0.8. m and n do not overlap, so without input there is nothing but silence. "
        "The go input overlaps with n, (1/N) n.I = 1.5, and drives kappa; the nogo input does not. The readout "
        "overlaps with m, (1/N) m.w = 1, and so answers to go alone. A second readout of the same variance without "
        "that overlap is the control. All numbers are ours."
    ),
    connectivity=Connectivity.from_overlaps(
        [{"n1 go": OVERLAP_GO, "decision m1": OVERLAP_W, "control control": OVERLAP_W**2}],
        rank=1, inputs=(GO, NOGO), readouts=("decision", "control"), g=G,
    ),
    conditions=(Condition("no input"), Condition("go", {GO: 1.0}), Condition("nogo", {NOGO: 1.0})),
    check=_go_nogo,
    networks=False,
)  # fmt: skip

CASES = (GO_NOGO,)
