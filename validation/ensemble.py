"""Many networks drawn from one mixture, and what is measured on each of them.

Fixed points that attract are measured by simulating all N units from next to where the theory puts them; the others by
the proved search on the network's own drift, which also counts and classifies them all.
"""

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from meanfield.dynamics import reduce
from meanfield.fixed_points import fixed_points
from meanfield.progress import progress_bar

from .measurements import measure_cycle
from .networks import draw
from .predictions import partners, place
from .simulation import relax, simulate
from .workers import over

#: Cycles: longest step, in tau, and turns that are simulated, the first of them to forget the start.
CYCLE_STEP, CYCLE_TURNS = 0.1, 6


@dataclass(frozen=True, eq=False)
class Draw:
    """What was measured on one drawn network.

    Attributes
    ----------
    n_neurons, number : int
        Its size, and which draw of this size it is.
    values : dict of key to float
        By the keys of :class:`~meanfield.validation.predictions.Observable`; nan where the network has no such thing.
    linear : dict of key to float
        For kappa: its displacement to first order, from this network's own drift at the predicted point.
    points : ndarray (K, R);  point_kinds : ndarray (K,) of str
        All fixed points of the network.
    kinds : tuple of (str, int)
        How many of each kind, sorted; ``status`` says what is proved of it.
    status : str
    apart : float
        Largest distance between the simulated attracting points and the same points by the search.
    ring : int
        Number of fixed points next to the ring, where there is one.
    remarks : tuple of str
    """

    n_neurons: int
    number: int
    values: dict = field(default_factory=dict)
    linear: dict = field(default_factory=dict)
    points: np.ndarray = field(default_factory=lambda: np.zeros((0, 1)), repr=False)
    point_kinds: np.ndarray = field(default_factory=lambda: np.zeros(0, str), repr=False)
    kinds: tuple = ()
    status: str = ""
    apart: float = 0.0
    ring: int = 0
    remarks: tuple = ()


def network_of(c, n_neurons, number, seed, transfer="tanh", tau=1.0):
    """The draw of this number: the same for the same seed, whatever else is drawn."""
    return replace(draw(c, n_neurons, [seed, n_neurons, number], transfer=transfer), tau=tau)


def measure_all(c, prediction, sizes, draws, seed, workers=None, progress=None):
    """Draw ``draws`` networks of each size from ``c`` and measure each: a list of :class:`Draw`.

    Parameters
    ----------
    c : Connectivity
        What is drawn from: that of the prediction, or another one that the prediction is put to the test with.
    prediction : Prediction
    sizes : sequence of int
    draws, seed : int
    workers : int, optional
        Processes; by default one per core.
    progress : bool, optional
        A bar on stderr, when it takes more than two seconds. Default: on a terminal.
    """
    jobs = [(n, k, seed) for n in sorted(sizes, reverse=True) for k in range(draws)]
    with progress_bar(len(jobs), "network", progress) as bar:
        return over(_measured, (c, prediction), jobs, workers, bar.update)


def _measured(shared, job):
    (c, prediction), (n_neurons, number, seed) = shared, job
    f = prediction.field
    return measure(network_of(c, n_neurons, number, seed, f.transfer, f.tau), prediction, number)


def measure(net, prediction, number=0):
    """Everything that the prediction speaks of, on one network."""
    f = prediction.field
    own = reduce(net.connectivity, f.transfer, f.inputs, f.tau)
    found = fixed_points(
        own, box=None if prediction.portrait.fixed_points.everywhere else prediction.portrait.fixed_points.box
    )
    values, linear, remarks = {}, {}, []
    for i, drift in enumerate(f.tau * own(prediction.states)):
        values |= {("drift", i, r): x for r, x in enumerate(drift)}
    apart = _points(net, own, found, prediction, values, linear, remarks)
    for j, cycle in enumerate(prediction.portrait.cycles):
        if any(o.key[:2] == ("cycle", j) and o.smallest <= net.n_neurons for o in prediction.observables):
            simulated_cycle(net, f, cycle, j, values, remarks)
    near = 0
    if prediction.ring is not None:
        points, left = prediction.ring.points, prediction.ring.left
        along = f.tau * (own(points) * left).sum(-1)
        values |= {("ring", i): x for i, x in enumerate(along)}
        near = _on_ring(found, points)
    kinds = tuple(sorted(Counter(found.kind.tolist()).items()))
    solved = {"points": found.kappa, "point_kinds": found.kind, "kinds": kinds, "status": found.status.name}
    return Draw(net.n_neurons, number, values, linear, **solved, apart=apart, ring=near, remarks=tuple(remarks))


def _on_ring(found, ring):
    """How many fixed points lie nearer to the ring than half way to its centre."""
    if not len(found):
        return 0
    centre = ring.mean(0)
    radius = np.linalg.norm(ring - centre, axis=-1).mean()
    distance = np.linalg.norm(found.kappa[:, None] - ring, axis=-1).min(-1)
    return int((distance < radius / 2).sum())


def _points(net, own, found, prediction, values, linear, remarks):
    """Fill in the fixed points; returns how far simulated and solved ones are apart."""
    theory = prediction.portrait.fixed_points
    partner = partners(theory, found)
    attracting = [k for k in prediction.points if theory.kind[k] == "stable" and partner[k] >= 0]
    simulated = {}
    if attracting:
        ends = relax(net, theory.kappa[attracting], own.inputs, progress=False)
        for k, kappa, status in zip(attracting, ends.kappa, ends.status, strict=True):
            simulated[k] = kappa
            if status != "fixed point":
                remarks.append(f"simulated from {place(theory.kappa[k])}: {status}")
    apart = 0.0
    jacobian = prediction.field.jacobian(theory.kappa) if len(theory) else None
    for k in prediction.points:
        if partner[k] < 0:
            continue
        solved = found.kappa[partner[k]]
        kappa = simulated.get(k, solved)
        if k in simulated:
            apart = max(apart, float(np.abs(kappa - solved).max()))
        values |= {("kappa", k, r): x for r, x in enumerate(kappa)}
        if np.linalg.cond(jacobian[k]) < 1e8:
            step = -np.linalg.solve(jacobian[k], own(theory.kappa[k]))
            linear |= {("kappa", k, r): x for r, x in enumerate(step)}
        for j, value in enumerate(_in_order(np.linalg.eigvals(own.jacobian(kappa)), theory.eigenvalues[k])):
            values |= {("eigenvalue", k, j, 0): value.real, ("eigenvalue", k, j, 1): value.imag}
        if net.w.shape[1]:
            values |= {("readout", k, j): x for j, x in enumerate(own.readout(kappa))}
    return apart


def _in_order(values, expected):
    """Eigenvalues in the order of the expected ones, the nearest pairing."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(np.abs(np.subtract.outer(expected, values)))
    return values[columns[np.argsort(rows)]]


def simulated_cycle(net, f, cycle, j, values, remarks):
    """Simulate all units from the predicted cycle, and measure the one they are on."""
    steps = int(np.ceil(cycle.period / f.tau / CYCLE_STEP)) * CYCLE_TURNS
    dt = CYCLE_TURNS * cycle.period / steps
    run = simulate(net, f.inputs, steps * dt, dt, kappa=cycle.orbit[0], method="rk4", record_x=False, progress=False)
    measured = measure_cycle(run.t, run.kappa) if run.success else None
    if measured is None or not measured.success:
        remarks.append(f"no cycle: {run.status.value if measured is None else measured.status.value}")
        return
    values[("cycle", j, 0)] = 1 / measured.period
    values |= {("cycle", j, r + 1): x for r, x in enumerate(measured.amplitude)}
