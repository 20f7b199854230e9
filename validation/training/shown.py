"""A training on a page: how the loss fell, how trials are decided, and the section of what was trained."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from meanfield import plotting
from meanfield.conventions import counted

from ..analysis import Figure, Statement
from ..decisions import limit_on_trials, run_trials
from ..sections import MODELS, Section, network_section
from ..tasks.scores import GRADED, accuracy, psychometric_curve


def training_statements(trained):
    """Whether the goal was reached, and what the result decides right on fresh trials."""
    share = (
        f"{trained.test_accuracy:.4f} ± {trained.test_error:.4f} on {trained.options['task'].get('name', 'the task')}"
    )
    goal = trained.options.get("accuracy")
    expected = "" if goal is None else f"{goal:g} or more, up to three standard errors"
    # the validation that ended the training is one of many, and the largest of them: this test is on fresh trials
    holds = None if goal is None else bool(trained.test_accuracy + 3 * trained.test_error >= goal)
    steps = counted(len(trained.loss), "step")
    return (
        Statement("training", f"{trained.message}; {steps}", "the goal", trained.success, "loss on fresh trials"),
        Statement("right decisions on trials used for nothing else", share, expected, holds, "binomial standard error"),
    )


def learning_figure(trained):
    """The loss at each step, and the share of right decisions at each validation."""
    keys = ("loss", "validated", "validation_loss", "accuracy", "accuracy_error", "stage")
    data = {key: getattr(trained, key) for key in keys}
    caption = (
        "Training. Left: weighted mean squared error of the readout, on the training trials of each step (grey) and on "
        "fresh trials (points). Right: share of right decisions on the fresh trials, with its standard error; colours: "
        "stages of the shaping."
    )
    return Figure("learning", caption, lambda: _draw_learning(data), data)


def _draw_learning(data):
    with plotting.style():
        figure, axes = plotting.figure(1, 2, width=4.2, height=3.0)
        left, right = axes[0]
        left.plot(np.arange(len(data["loss"])), data["loss"], color="0.7", lw=0.8)
        for stage in np.unique(data["stage"]):
            at, colour = data["stage"] == stage, plotting.COLOURS[stage % len(plotting.COLOURS)]
            x = data["validated"][at]
            left.plot(x, data["validation_loss"][at], color=colour, ls="", marker="o", ms=3)
            right.errorbar(x, data["accuracy"][at], data["accuracy_error"][at], color=colour, ls="", marker="o", ms=3)
        left.set(xlabel="step", ylabel="loss", yscale="log")
        right.set(xlabel="step", ylabel="right decisions", ylim=(None, 1.02))
    return figure


def trained_section(name, trained, task, path):
    """The section of a trained network or mixture, not yet worked out, and its check for :func:`sections.worked_out`.

    A network with a random part, of full rank, is studied as its first singular values; the page says so, and how
    trials are decided without the rest.
    """
    kind, c = trained.options["parametrisation"]["kind"], trained.connectivity
    text = f"Trained on {task.name} ({kind}); {trained.message}."
    if trained.network is None or c is not None:
        title, source = f"A mixture trained on {task.name}", f"Written to {Path(path).name}."
        section = Section(name, MODELS, title, source, text, c, trained.options["transfer"])
    else:
        section = network_section(name, path, replace(trained.network, random=None))
        section = replace(section, title=f"A network trained on {task.name}", text=f"{text} {section.text}")

    def check(portraits, say):
        figures, statements = [learning_figure(trained)], [*training_statements(trained)]
        say("trials")
        found = _decided(trained, task)
        for who, trials, z in found:
            share = accuracy(trials, z)
            statements.append(Statement(f"decisions of {who}", str(share), "", None, "fresh trials"))
        who, trials, z = found[0]
        graded = next((key for key in GRADED if key in trials.conditions), None)
        if graded:
            curve = psychometric_curve(trials, z, graded)
            figures.append(curve.figure())
            statements.append(Statement(f"psychometric curve of {who}", str(curve), "", None, "fresh trials"))
        return tuple(figures), tuple(statements)

    return section, check


#: Trials, and their seed, on which a page shows decisions.
SHOWN, SHOWN_SEED = 1000, 977


def _decided(trained, task):
    """(who, trials, z (B, T)) of what was trained, the infinite limit and the network without its random part."""
    trials, noise = task.trials(SHOWN, SHOWN_SEED), trained.options["noise_std"]
    net, c, found = trained.network, trained.connectivity, []
    if net is not None:
        run = run_trials(net, trials, noise_std=noise, seed=SHOWN_SEED)
        who = "the network" if c is None else "a network drawn from the mixture"
        found.append((who, trials, run.z[:, 1:, 0]))
        if net.has_random:
            cut = replace(net, random=None)
            run = run_trials(cut, trials, noise_std=noise, seed=SHOWN_SEED)
            found.append((f"the network cut to rank {net.rank}", trials, run.z[:, 1:, 0]))
    if c is not None:
        rest = np.zeros(c.rank), np.zeros(len(c.inputs))
        limit = limit_on_trials(c, trained.options["transfer"], trials, task.dt / task.tau, *rest, noise_std=noise)
        found.append(("the infinite network", trials, limit.z[:, 1:]))
    return found
