"""LINT on networks whose connectivity is known: of low rank here, of full rank in :mod:`.fitted_full`."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from meanfield import plotting

from ..analysis import Condition, Figure
from ..fitted.store import STORED, fitted, task_of
from ..lint.comparison import compare_connectivity, identifiable_factors
from ..lint.fitting import lint
from ..lint.prediction import difference_error, free_errors, free_score, squares_about_mean
from ..lint.recovery import activity_of, recovery
from ..sections import EXAMPLES, network_section, worked_out
from . import checks, fitted_full, full_statements
from .record import FittedCase

NAME = "lint-teachers"
SOURCE = "Valente, Pillow, Ostojic 2022"
#: The teachers; the fit to the first is the network of the section.
TEACHERS = ("rdm-0", "dms-0")
#: A difference counts beyond so many of its standard errors.
ERRORS = 3.0
#: What is asked of a fit by the literature or by an earlier prototype.
LEAST_CORRELATION, LEAST_R2 = 0.95, 0.999


@dataclass(frozen=True)
class Effort:
    """Trials to fit to, held out, and of each condition in averages; of the recovery: numbers of trials, noises, and
    repetitions.
    """

    trials: int = 150
    tested: int = 60
    averaged: int = 10
    counts: tuple = (10, 30, 100)
    noises: tuple = (0.0, 0.02, 0.1)
    repetitions: int = 3


QUICK = Effort(50, 30, 4, (10, 40), (0.0, 0.05), 2)


@dataclass(frozen=True, eq=False)
class Teacher:
    """One teacher and the fits to its activity.

    Attributes
    ----------
    name : str
    net : Network
    trials, test : Trials
    noisy, clean, averaged, shuffled : LintFit
        To activity with private noise; without; to means over trials of one condition; and to activity with noise and
        the inputs of other trials.
    own, clean_r2 : Score
        R^2 of the teacher itself against its own noisy rates, and of ``noisy`` against noise-free rates.
    short : (float, float)
        How much R^2 the fit to noisy activity lacks of the teacher's own, with its standard error.
    compared : dict of str to Comparison
        With the teacher, by name of the fit.
    """

    name: str
    net: object
    trials: object
    test: object
    noisy: object
    clean: object
    averaged: object
    shuffled: object
    own: object
    clean_r2: object
    short: tuple
    compared: dict


def conditions_of(net):
    """No input, and each input alone."""
    return (Condition(), *(Condition(f"input {name}", {name: 1.0}) for name in net.input_names))


def fit_to(net, x, u, count):
    """The closed form on the first trials; the others are held out."""
    options = {"dt": net.dt, "tau": net.tau, "variable": "current", "transfer": net.transfer, "w": net.w}
    return lint(x, u, net.rank, held_out=range(count, len(x)), method="closed form", **options)


def averages(net, trials, repeats, seed):
    """x and inputs of every condition once: means over noisy trials with the same inputs."""
    x = [activity_of(net, trials.u, net.noise_std, [*seed, k]) for k in range(repeats)]
    return np.mean(x, axis=0), trials.u


def study(name, effort, seed):
    """Fit to one teacher in all ways."""
    trained = fitted(name)
    net, task = trained.network, task_of(trained)
    trials, test = task.trials(effort.trials, [seed, 1]), task.trials(effort.tested, [seed, 2])
    u, count = np.concatenate([trials.u, test.u]), effort.trials
    x = activity_of(net, u, net.noise_std, [seed, 3])
    noisy, clean = fit_to(net, x, u, count), fit_to(net, activity_of(net, u, 0.0, None), u, count)
    other = np.random.default_rng([seed, 4]).permutation(count)
    shuffled = fit_to(net, x, np.concatenate([u[other], u[count:]]), count)
    # as many conditions as trials are averaged: each with inputs of its own
    mean_x, mean_u = averages(net, trials.at(np.arange(count // 2)), effort.averaged, [seed, 5])
    averaged = fit_to(net, np.concatenate([mean_x, x[count:]]), np.concatenate([mean_u, u[count:]]), count // 2)
    squares = squares_about_mean(noisy.activity, noisy.held_out)
    errors = [free_errors(one, noisy.activity, noisy.held_out) for one in (noisy.network, net)]
    short = (errors[0] - errors[1]).sum() / squares.sum(), difference_error(*((e, squares) for e in errors))
    fits = {"noisy": noisy, "clean": clean, "averaged": averaged}
    conditions = conditions_of(net)
    compared = {key: compare_connectivity(fit, net, test, conditions if fit is noisy else ()) for key, fit in
                fits.items()}  # fmt: skip
    own = free_score(net, noisy.activity, noisy.held_out)
    clean_r2 = free_score(noisy.network, clean.activity, clean.held_out)
    return Teacher(name, net, trials, test, noisy, clean, averaged, shuffled, own, clean_r2, short, compared)


def statements(t):
    """What a fit to one teacher recovers."""
    found, source = t.compared["noisy"], f"{t.name}; {SOURCE}"
    many = f"{len(t.trials)} trials, noise of {t.net.noise_std:g} per step private to each neuron"
    short, error = t.short
    yield checks.claim(
        f"{t.name}, {many}: held-out rates, running free, as well as by the teacher itself",
        short <= max(t.own.error, ERRORS * error),
        f"R^2 {t.noisy.r2}",
        f"{t.own}; the fit lacks {short:.1e} ± {error:.0e}, at most one standard error of R^2",
        source,
    )
    yield checks.claim(
        f"{t.name}: the same against noise-free rates", t.clean_r2.r2 > LEAST_R2, f"R^2 {t.clean_r2.r2:.6f}",
        f"above {LEAST_R2:g}", source,
    )  # fmt: skip
    yield checks.claim(
        f"{t.name}: decisions of the fit, without noise, are the teacher's", found.same_decisions.all(),
        f"the same on {found.same_decisions.sum()} of {len(t.test)}", "all", source,
    )  # fmt: skip
    yield checks.claim(
        f"{t.name}: cosine of J with the teacher's", None, f"{found.cosine:.3f}",
        f"{found.expected_cosine:.3f}: what the fit itself expects, without knowing the teacher", source,
    )  # fmt: skip
    yield checks.claim(
        f"{t.name}: correlation of J on the span of m and I", found.identifiable_correlation > LEAST_CORRELATION,
        f"{found.identifiable_correlation:.4f}", f"above {LEAST_CORRELATION:g}", source,
    )  # fmt: skip
    for rest in found.rest:
        yield checks.claim(
            f"{t.name}: fixed points of the fit, {rest.condition.label}", rest.same,
            f"{checks.describe(checks.kinds(rest.fitted))}; at most {rest.apart:.2g} from the teacher's in x",
            checks.describe(checks.kinds(rest.teacher)), f"{source}; both proved complete",
        )  # fmt: skip
    yield from _identified(t)
    worse = np.count_nonzero(t.shuffled.r2.per_trial < t.noisy.r2.per_trial)
    yield full_statements.sign_test(
        f"{t.name}: planted: with the inputs of other trials the fit fails", worse, len(t.test),
        f"R^2 {t.shuffled.r2}; worse", t.name,
    )  # fmt: skip


def _identified(t):
    """What data without noise, and means over trials, identify."""
    kinds = {"clean": "noise-free activity", "averaged": "means over trials of the same inputs"}
    for key, words in kinds.items():
        found, fit = t.compared[key], getattr(t, key)
        value = f"cosine {found.identifiable_cosine:.4f} there, {found.cosine:.3f} of all of J"
        expected = f"above {LEAST_CORRELATION:g} there; of all of J what the activity visits, {fit.determined:.0f} of "
        expected += f"{t.net.n_neurons} directions"
        yield checks.claim(
            f"{t.name}, {words}: J is identified on the span of m and I", found.identifiable_cosine > LEAST_CORRELATION,
            value, expected, SOURCE,
        )  # fmt: skip


def recovery_statement(found):
    """More trials with noise identify more of J; without noise they do not."""
    cosine, noisy = found.values["cosine"], found.noises > 0
    gain = cosine[:, -1] - cosine[:, 0]
    yield checks.claim(
        f"cosine of J from {found.counts[0]} to {found.counts[-1]} trials: it grows where there is noise, and more "
        "than without",
        bool((gain[noisy] > 0).all() and gain[noisy].min() > gain[~noisy].max()),
        ", ".join(f"noise {noise:g}: +{g.mean():.3f}" for noise, g in zip(found.noises, gain, strict=True)),
        "each of the repetitions", SOURCE,
    )  # fmt: skip


def loadings_figure(teachers):
    """Fitted against true loadings of every neuron: m, n, and n on the span of m and I."""
    data = {}
    for t in teachers:
        basis = identifiable_factors(t.net)[1]
        data |= {f"{t.name}: m": t.net.m, f"{t.name}: n": t.net.n, f"{t.name}: seen": basis @ (basis.T @ t.net.n)}
        for key in ("noisy", "clean"):
            net = getattr(t, key).network
            turn = np.linalg.lstsq(net.m, t.net.m)[0]
            m, n, own = net.m @ turn, net.n @ np.linalg.inv(turn).T, identifiable_factors(net)[1]
            data |= {f"{t.name}: m, {key}": m, f"{t.name}: n, {key}": n, f"{t.name}: seen, {key}": own @ (own.T @ n)}
    names = [t.name for t in teachers]
    caption = (
        "Loadings of every neuron, all columns, of the fit (in the teacher's basis) against the teacher's: m, n, and n "
        f"projected on the span of m and I. Rows: {', '.join(names)}. Fits to activity with private noise, and without."
    )
    return Figure("loadings", caption, lambda: _draw_loadings(data, names), data)


def _draw_loadings(data, names):
    labels = {"m": "m", "n": "n", "seen": "n on span(m, I)"}
    with plotting.style():
        figure, axes = plotting.figure(len(names), 3, width=3.2, height=2.9)
        for row, name in zip(axes, names, strict=True):
            for ax, (part, label) in zip(row, labels.items(), strict=True):
                true = data[f"{name}: {part}"].ravel()
                for key, colour, words in (("clean", 1, "without noise"), ("noisy", 0, "private noise")):
                    fit = data[f"{name}: {part}, {key}"].ravel()
                    ax.plot(true, fit, ".", ms=2.5, alpha=0.5, color=plotting.COLOURS[colour], label=words)
                ends = np.array([true.min(), true.max()])
                ax.plot(ends, ends, color="k", lw=0.8)
                ax.set(xlabel=f"teacher's {label}", ylabel=f"fitted {label}", title=name)
        axes[0, 0].legend(markerscale=4, loc="upper left")
    return figure


TEXT = (
    "Activity of trained networks of low rank is simulated, with their private noise, and a network of the same rank "
    "is fitted to it in closed form: ridge regression of tau dx/dt + x on phi(x) and the inputs, cut to the rank in "
    "the metric of the activity. The teachers are the network of random dots of this report, whose fit is shown, and "
    "one of delayed match-to-sample. Fits are judged on trials that they did not see, from the true first sample on, "
    "and by the connectivity of the teacher. Without noise, activity visits few directions: there J is identified on "
    "the span of m and I, which is all that acts as long as x stays there, and the rest of n is not. Private noise "
    "moves x everywhere and identifies the rest, however weak it is; means over trials have less of it, and are fewer. "
    "Numbers of trials are ours."
)


def _check(portraits, say, quick, seed, first):
    effort = QUICK if quick else Effort()
    say("fits to the other teacher")
    teachers = [first, *(study(name, effort, seed) for name in TEACHERS[1:])]
    say("recovery against trials and noise")
    net, task = first.net, task_of(fitted(first.name))
    u, test = task.trials(max(effort.counts), [seed, 6]).u, task.trials(effort.tested, [seed, 7]).u
    found = recovery(net, u, test, effort.counts, effort.noises, seed, effort.repetitions)
    lines = [line for t in teachers for line in statements(t)]
    return (loadings_figure(teachers), found.figure), (*lines, *recovery_statement(found))


def section(quick, seed, say):
    """The section of the report, worked out: the network fitted to the first teacher."""
    say(f"{NAME}: fits to {TEACHERS[0]}")
    first = study(TEACHERS[0], QUICK if quick else Effort(), seed)
    stored = STORED[TEACHERS[0]]
    base = network_section(NAME, stored.path, first.noisy.network)
    base = replace(base, part=EXAMPLES, title=CASES[0].title, source=CASES[0].source, text=TEXT)
    made = [f"The teacher {name} was made by: {STORED[name].command}" for name in TEACHERS]
    base = replace(base, notes=(*made, *str(first.noisy).splitlines()))
    return worked_out(base, conditions_of(first.net), quick, say, partial(_check, quick=quick, seed=seed, first=first))


CASES = (
    FittedCase(NAME, "LINT: networks of low rank, recovered from their activity", SOURCE, section),
    *fitted_full.CASES,
)
