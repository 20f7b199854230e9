"""What one section of a report holds: an example of the literature, a model file, or a finite network."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from meanfield.connectivity import Connectivity
from meanfield.fixed_points import Status

from . import random_confirmation
from .analysis import Condition, Statement, portrait, standard_figures
from .confirmation import against_networks, confirm
from .landscape import EQUATIONS, landscape, landscape_figures

#: Mixtures with more populations are shown by the general formula: their own would fill pages.
MOST_POPULATIONS = 8

FINITE_DRIFT = (
    r"\tau \frac{d\kappa_r}{dt} = -\kappa_r + \frac{1}{N} \sum_{i=1}^{N} n^{(r)}_i \,"
    r" \phi\left( \sum_{s} m^{(s)}_i \kappa_s + \sum_{s} I^{(s)}_i v_s \right)"
)
MIXTURE_DRIFT = (
    r"\tau \frac{d\kappa_r}{dt} = -\kappa_r + \sum_{p} \alpha_p \left[ \mu_{n_r}^{p} \langle \phi \rangle_p"
    r" + \sum_s \sigma_{n_r m_s}^{p} \langle \phi' \rangle_p \, \kappa_s"
    r" + \sum_s \sigma_{n_r I_s}^{p} \langle \phi' \rangle_p \, v_s \right]"
)

#: Thesis, Fig. 4.1b: the mixture of the network that a report draws for itself.
DRAWN = {"n1 m1": 2.5, "n2 m1": 0.5, "n2 m2": 1.5}
DRAWN_NEURONS = 500

EXAMPLES, MODELS, NETWORKS = "Examples of the literature", "Models", "Finite networks"


@dataclass(frozen=True, eq=False)
class Section:
    """One system under all its conditions: parameters, equations, portraits, statements, figures.

    Attributes
    ----------
    name : str
        Short and fit for a file name; unique in its report.
    part : str
        The heading it stands under in the table of contents.
    equations : tuple of str
        LaTeX, one displayed equation each.
    notes : tuple of str
        What was assumed or converted when a file was read.
    search : mapping
        ``box`` and ``max_boxes`` of :func:`meanfield.fixed_points`, where the defaults are not wanted.
    portraits, figures, statements : tuples of the records of :mod:`meanfield.validation.analysis`
    crosschecks : tuple of CrossCheck or RandomCheck
    landscapes : tuple of Landscape
        With a random part these stand in the place of portraits.
    """

    name: str
    part: str
    title: str
    source: str
    text: str
    connectivity: Connectivity
    transfer: str
    equations: tuple = ()
    portraits: tuple = ()
    figures: tuple = ()
    statements: tuple = ()
    errata: tuple = ()
    notes: tuple = ()
    crosschecks: tuple = ()
    landscapes: tuple = ()
    search: Mapping = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What a report establishes: counts of statements, and of searches (one system under one condition each)."""

    holding: int = 0
    failing: int = 0
    complete: int = 0
    enclosed: int = 0
    found: int = 0  #: from many starts, in too many variables for a proof that none is missing
    unsettled: int = 0
    failures: tuple = field(default=(), compare=False)  #: (section, what failed)

    @property
    def good(self):
        """No statement fails, no search ran out of its budget, and nothing speaks for fixed points that are missing."""
        return not self.failing and not self.unsettled

    @property
    def everything_complete(self):
        """Every search is proved complete, and no statement fails."""
        return self.good and not self.enclosed and not self.found

    def __str__(self):
        systems = self.complete + self.enclosed + self.found + self.unsettled
        first = (
            f"{self.holding} of {self.holding + self.failing} statements hold; " if self.holding + self.failing else ""
        )
        text = f"{first}the fixed points of {self.complete} of {systems} systems are proved complete"
        if self.enclosed:
            text += f", those of {self.enclosed} are a proved enclosure with a continuum or a bifurcation point"
        if self.found:
            text += f", those of {self.found} are found from many starts and not proved complete"
        if self.unsettled:
            text += f", those of {self.unsettled} are not settled"
        return text[0].upper() + text[1:] + "."


def verdict(sections):
    """Count what holds over all sections."""
    statements = [(s, x) for s in sections for x in s.statements if x.holds is not None]
    searches = [(s, p.condition, p.fixed_points.status) for s in sections for p in s.portraits]
    searches += [(s, x.condition, x.stationary.status) for s in sections for x in s.landscapes]
    status = [found for *_, found in searches]
    failures = [(s.name, x.text) for s, x in statements if not x.holds]
    counted = {kind: status.count(kind) for kind in (Status.COMPLETE, Status.ENCLOSED, Status.FOUND)}
    failures += [(s.name, f"{at.label}: {found.value}") for s, at, found in searches if found not in counted]
    holding = sum(bool(x.holds) for _, x in statements)
    unsettled = len(status) - sum(counted.values())
    return Verdict(holding, len(statements) - holding, *counted.values(), unsettled, tuple(failures))


def case_section(result):
    """The section of a :class:`~meanfield.validation.cases.CaseResult`."""
    case = result.case
    return Section(
        case.name,
        EXAMPLES,
        case.title,
        case.source,
        case.text,
        case.connectivity,
        getattr(case.transfer, "name", case.transfer),
        equation_lines(result.equations),
        tuple(result.portraits),
        tuple(result.figures),
        tuple(result.statements),
        tuple(case.errata),
        crosschecks=tuple(result.crosschecks),
        landscapes=tuple(result.landscapes),
    )


def equation_lines(equations):
    """The LaTeX of derived equations; lines of LaTeX are handed through."""
    if isinstance(equations, tuple):
        return equations
    latex = equations.latex()
    return (latex,) if isinstance(latex, str) else tuple(latex)


def default_conditions(c):
    """No input, and each input alone at amplitude 1."""
    return (Condition(), *(Condition(f"{name} = 1", {name: 1.0}) for name in c.inputs))


def worked_out(section, conditions=None, quick=False, progress=None, check=None, networks=False, seed=0):
    """A section of any connectivity, mixture or finite network, with its equations, portraits, figures and statements.

    Parameters
    ----------
    section : Section
        What is studied, and the words about it.
    conditions : sequence of Condition, optional
        Default: :func:`default_conditions`.
    quick : bool
        Coarser pictures.
    progress : callable, optional
        Called with a message before each step.
    check : callable, optional
        ``check(portraits, say)`` returns more (figures, statements).
    networks : bool
        Also draw finite networks from the mixture, with this ``seed``, and check the theory of each portrait by them.
    """
    c, say = section.connectivity, progress or (lambda message: None)
    if np.any(c.g):
        return _random_part(section, conditions or default_conditions(c), quick, say, networks, seed)
    say(f"{section.name}: equations")
    equations = _equations(c, section.transfer)
    portraits = []
    for condition in conditions or default_conditions(c):
        step = f"{section.name}: fixed points and cycles, {condition.label}"
        say(step)
        portraits.append(portrait(c, section.transfer, condition, partial(_tell, say, step), **section.search))
    say(f"{section.name}: figures")
    figures, statements = [*standard_figures(tuple(portraits), points=21 if quick else 41)], []
    if check:
        shown, lines = check(portraits, lambda message: say(f"{section.name}: {message}"))
        figures, statements = [*figures, *shown], [*statements, *lines]
    checks = []
    for k, known in enumerate(portraits if networks else ()):
        say(f"{section.name}: finite networks, {known.condition.label}")
        checks.append(against_networks(c, section.transfer, known, quick, seed))
        shown, lines = confirm(checks[-1], k)
        figures, statements = [*figures, *shown], [*statements, *lines]
    found = {"equations": equations, "portraits": portraits, "figures": figures, "statements": statements}
    return replace(section, **{name: tuple(value) for name, value in found.items()}, crosschecks=tuple(checks))


def _random_part(section, conditions, quick, say, networks, seed):
    """:func:`worked_out` where g > 0."""
    c, transfer = section.connectivity, section.transfer
    scapes, checks, figures, statements = [], [], [], []
    for k, condition in enumerate(conditions):
        say(f"{section.name}: states, {condition.label}")
        scapes.append(landscape(c, transfer, condition, **section.search))
        if networks:
            say(f"{section.name}: finite networks, {condition.label}")
            checks.append(random_confirmation.against_networks(c, transfer, scapes[-1], quick, seed))
            shown, lines = random_confirmation.confirm(checks[-1], k)
            figures, statements = [*figures, *shown], [*statements, *lines]
    found = {"landscapes": scapes, "figures": [*landscape_figures(scapes), *figures], "statements": statements}
    return replace(
        section, equations=EQUATIONS, **{name: tuple(value) for name, value in found.items()}, crosschecks=tuple(checks)
    )


def _tell(say, step, still_open, examined):
    say(f"{step}, {examined} boxes examined, {still_open} open")


def _equations(c, transfer):
    if c.point_masses:
        return (FINITE_DRIFT,)
    if c.n_populations > MOST_POPULATIONS:
        return (MIXTURE_DRIFT,)
    from meanfield.symbolic import derive

    return equation_lines(derive(c, transfer))


def model_section(name, path, c, extras):
    """The section, not yet worked out, of a model that :func:`meanfield.io.read_model` read."""
    title = extras.get("title", f"The model {Path(path).stem}")
    return Section(name, MODELS, title, f"Read from {Path(path).name}.", "", c, extras.get("transfer", "tanh"))


def network_section(name, path, net):
    """The section, not yet worked out, of a network that :func:`~meanfield.validation.networks.load_network` read."""
    neurons, rank = net.m.shape
    text = f"{neurons} neurons of rank {rank}, studied exactly as they are: every neuron is a population of its own."
    title, source = f"The network {Path(path).stem}", f"Read from {Path(path).name}."
    c = Connectivity.from_network(net)
    return Section(name, NETWORKS, title, source, text, c, net.transfer, notes=tuple(net.notes))


def drawn_section(seed):
    """The section, not yet worked out, of a network drawn from a mixture of the literature, and its check."""
    limit = Connectivity.from_overlaps([DRAWN], rank=2)
    c = Connectivity.from_network(limit.sample(DRAWN_NEURONS, seed))
    text = (
        f"{DRAWN_NEURONS} neurons whose loadings are drawn (seed {seed}) from the mixture of thesis Fig. 4.1b. The "
        "same solver works on the network itself, every neuron a population of its own: no average is taken, and the "
        "fixed points are those of this network, not of its limit."
    )
    title = f"A network of {DRAWN_NEURONS} neurons, drawn"

    def check(portraits, say):
        found, expected = (_kinds(p.fixed_points) for p in (portraits[0], portrait(limit, cycles=False)))
        text = "The drawn network has the fixed points of its infinite limit"
        return (), (Statement(text, found, expected, found == expected, "the mixture it was drawn from"),)

    return Section("drawn-network", NETWORKS, title, "Drawn for this report.", text, c, "tanh"), check


def _kinds(found):
    return ", ".join(f"{(found.kind == kind).sum()} {kind}" for kind in ("stable", "saddle", "source"))
