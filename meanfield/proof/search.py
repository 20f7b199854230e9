"""Branch and prune: all zeros of a vector field in a box, each with a proof, and an enclosure of what is unsettled.

Knows no neuroscience. The field ``f`` offers ``values_with_error`` (values and Jacobian at points with bounds of
their error) and ``hessian_bound`` (magnitudes of second derivatives over a box). The tests are those of equations
:eq:`exclusion` to :eq:`uniqueness`; a box leaves the list only when one of them settles it.
"""

from dataclasses import dataclass, field

import numpy as np

_EPS = np.finfo(float).eps
# Covers rounding in the handful of R x R products below, relative to the sums of magnitudes involved; grows with R.
_SLACK = 64 * _EPS
_WIDE = 16
# A second-order remainder above this says that the Hessian has no bound: a kink lies in the box.
_ROUGH = 1e50
# Boxes narrower than this (relative to the searched box) that still fail every test are reported as unresolved.
_NARROW = 1e-7
# A crowd that extends less than this (relative to the searched box) surrounds a point, not a continuum.
_POINTLIKE = 1e-4
# A side this much shorter than the longest is not cut: contraction has settled that direction already.
_FLAT = 0.01
# A connected set of this many open boxes, all of them next to numerical zeros, is a continuum (by rank).
_CROWD = {1: 300, 2: 1200, 3: 6000, 4: 20000, 5: 60000}


@dataclass
class Found:
    """A proved zero: ``point`` +- ``radius`` holds exactly one, and no other lies within ``reach``."""

    point: np.ndarray
    radius: np.ndarray
    reach: np.ndarray
    jacobian: np.ndarray
    jacobian_error: np.ndarray


@dataclass
class Outcome:
    """What a search settled: zeros, open boxes (low, high) with why each was left open, and its cost."""

    zeros: list = field(default_factory=list)
    open_low: list = field(default_factory=list)
    open_high: list = field(default_factory=list)
    reason: list = field(default_factory=list)
    boxes: int = 0


@dataclass
class _Tests:
    """Linearisation of the field at box centres, with everything the tests need."""

    step: np.ndarray  #: Newton step -Y F
    spread: np.ndarray  #: all zeros of the box lie within centre + step +- spread
    contraction: np.ndarray  #: (M r); below r means at most one zero
    excluded: np.ndarray
    jacobian: np.ndarray
    jacobian_error: np.ndarray
    smear: np.ndarray


def search(f, low, high, max_boxes, progress=None):
    """Find every zero of ``f`` in the box [low, high].

    Parameters
    ----------
    f : field with ``values_with_error`` and ``hessian_bound``
        Where it is defined on part of the space only, ``floor`` (R,) bounds that part from below; ``known_zeros`` are
        exact zeros, which may lie on that border.
    low, high : ndarray (R,)
    max_boxes : int
        Budget; boxes still open then are reported with the reason "budget".
    progress : callable, optional
        Called with the number of open and of examined boxes after each generation.

    Returns
    -------
    Outcome
    """
    out, rank = Outcome(), len(low)
    size, corners = high - low, (low, high)
    out.zeros = [z for point in getattr(f, "known_zeros", ()) if (z := around_known(f, point, size)) is not None]
    low, high = low[None], high[None]
    crowd = _CROWD[rank]
    while len(low):
        out.boxes += len(low)
        low, high = _outside_known(out.zeros, low, high)
        low, high = _settle(f, low, high, size, out)
        narrow = ((high - low) / size).max(-1, initial=0.0) < _NARROW
        _leave_open(out, low[narrow], high[narrow], "narrow")
        low, high = low[~narrow], high[~narrow]
        if len(low) > crowd:
            low, high = _freeze_crowds(f, low, high, size, out, _CROWD[rank])
            crowd = max(_CROWD[rank], 2 * len(low))
        if out.boxes + len(low) > max_boxes:
            _leave_open(out, low, high, "budget")
            break
        if progress:
            progress(len(low), out.boxes)
    out.zeros = [
        z for z in out.zeros if (z.point + z.radius >= corners[0]).all() and (z.point - z.radius <= corners[1]).all()
    ]
    return out


def around_known(f, point, size):
    """An exact zero and the largest box around it that is proved to hold no other, or None.

    Two zeros in a convex set differ by a kernel vector of a mean of Jacobians on the segment between them; contraction
    excludes that. So this holds on the border of the field's domain too.
    """
    for k in range(3, 40):
        radius = 0.5**k * size
        tests = _test(f, point[None], radius[None])
        if (tests.contraction[0] < radius).all():
            return Found(point, 0.0 * size, radius * (1 - 1e-9), tests.jacobian[0], tests.jacobian_error[0])
    return None


def disjoint(zeros):
    """True when no two enclosures meet, as is the case for different zeros."""
    return not any(
        (np.abs(a.point - b.point) <= a.radius + b.radius).all() for i, a in enumerate(zeros) for b in zeros[:i]
    )


def _settle(f, low, high, size, out):
    """One generation: test every box; return what is left, contracted and split."""
    if not len(low):
        return low, high
    centre, radius = _centre_radius(low, high)
    tests = _test(f, centre, radius)
    keep = ~tests.excluded
    new_low = np.maximum(low, centre + tests.step - tests.spread)
    new_high = np.minimum(high, centre + tests.step + tests.spread)
    keep &= (new_low <= new_high).all(-1)
    unique = (tests.contraction < radius).all(-1)
    for i in np.flatnonzero(keep & unique):
        if _inside_one(out.zeros, new_low[i], new_high[i]) or _certify(f, new_low[i], new_high[i], size, out):
            keep[i] = False
    low, high, smear = new_low[keep], new_high[keep], tests.smear[keep]
    shrunk = ((high - low) / (2 * radius[keep])).max(-1, initial=0.0) < 0.5
    return _split(low, high, smear, ~shrunk, size)


def _centre_radius(low, high):
    centre = 0.5 * (low + high)
    return centre, np.maximum(high - centre, centre - low) * (1 + 4 * _EPS)


def _test(f, centre, radius):
    """Exclusion and Krawczyk quantities at every box, vectorised."""
    slack = _SLACK * max(1.0, centre.shape[-1] / _WIDE)
    value, value_error, jacobian, jacobian_error = f.values_with_error(centre)
    hessian = f.hessian_bound(centre, radius)
    turn = (hessian * radius[:, None, None, :]).sum(-1)  # |H| r, bounds J(x) - J(c)
    curve = 0.5 * (turn * radius[:, None, :]).sum(-1)
    size_j = np.abs(jacobian) + jacobian_error
    flat = (size_j * radius[:, None, :]).sum(-1) + curve
    rough = np.flatnonzero(~(curve < _ROUGH).all(-1)) if hasattr(f, "jacobian_bound") else []
    if len(rough):  # no curvature to speak of, but the slope may be bounded
        steep = (f.jacobian_bound(centre[rough], radius[rough]) * radius[rough, None, :]).sum(-1)
        flat[rough] = np.minimum(flat[rough], steep)
    excluded = (np.abs(value) - value_error > flat * (1 + slack)).any(-1)

    inverse = _inverse(jacobian)
    size_y = np.abs(inverse)
    defect = np.abs(np.eye(centre.shape[-1]) - inverse @ jacobian) + size_y @ (
        jacobian_error + slack * np.abs(jacobian)
    )
    step = -(inverse @ value[..., None])[..., 0]
    outer = value_error + slack * np.abs(value) + curve
    spread = (defect @ radius[..., None])[..., 0] + (size_y @ outer[..., None])[..., 0]
    spread = spread * (1 + slack) + slack * (np.abs(centre) + np.abs(step))
    contraction = ((defect + size_y @ turn) @ radius[..., None])[..., 0] * (1 + slack)
    blind = ~np.isfinite(step + spread).all(-1, keepdims=True)  # overflow or a singular matrix: these tests say nothing
    step, spread, contraction = (
        np.where(blind, 0.0, step),
        np.where(blind, np.inf, spread),
        np.where(blind, np.inf, contraction),
    )
    smear = ((size_j + 0.5 * turn) * radius[:, None, :]).max(-2)
    return _Tests(step, spread, contraction, excluded, jacobian, jacobian_error, smear)


def _inverse(matrices):
    """Approximate inverses; any matrix is valid in the tests, a good one makes them sharp."""
    try:
        return np.linalg.inv(matrices)
    except np.linalg.LinAlgError:
        return np.linalg.pinv(matrices)


def _split(low, high, smear, where, size):
    """Bisect the boxes marked ``where`` along their direction of largest influence; the others stay."""
    width = (high - low) / size
    long = width >= _FLAT * width.max(-1, keepdims=True)
    axis = np.argmax(np.where(long, smear, -1.0), axis=-1)
    rows = np.flatnonzero(where)
    middle = 0.5 * (low[rows, axis[rows]] + high[rows, axis[rows]])
    upper_low, upper_high = low[rows].copy(), high[rows].copy()
    upper_low[np.arange(len(rows)), axis[rows]] = middle
    high = high.copy()
    high[rows, axis[rows]] = middle
    return np.concatenate([low, upper_low]), np.concatenate([high, upper_high])


def _certify(f, low, high, size, out):
    """Prove a unique zero around the box, on a box centred on the Newton limit; True when the box is settled."""
    centre = 0.5 * (low + high)
    point = polish(f, centre[None], size)[0]
    if not (np.abs(point - centre) <= size).all():  # a nearly singular Jacobian leads far away
        return False
    needed = np.maximum(np.maximum(np.abs(high - point), np.abs(point - low)) * 1.01, 1e-8 * size)
    (found,) = enclose(f, point[None], (3.0 * needed, needed), size)
    if found is None:
        return False
    if not any(holds(z, found) or holds(found, z) for z in out.zeros):
        out.zeros.append(found)
    return True


def polish(f, points, size, steps=20):
    """Newton's method from (n, R) to where its steps are rounding; points that leave by more than ``size`` stay out."""
    start, points, active = points, points.copy(), np.arange(len(points))
    for _ in range(steps):
        value, _, jacobian, _ = f.values_with_error(points[active])
        step = (_inverse(jacobian) @ value[..., None])[..., 0]
        points[active] -= step
        near = (np.abs(points[active] - start[active]) <= size).all(-1)
        small = (np.abs(step) <= 4 * _EPS * (np.abs(points[active]) + _NARROW * size)).all(-1)
        active = active[near & ~small]
        if not active.size:
            break
    return points


def enclose(f, points, reaches, size):
    """For each of the points (n, R) a proved zero there, or None: unique within the first reach that the tests allow.

    Parameters
    ----------
    reaches : sequence of ndarray (R,)
        Half-widths to try, the largest first.
    size : ndarray (R,)
        Of the searched box.
    """
    found = [None] * len(points)
    radius = _tight(f, points, size)
    active = np.arange(len(points))
    for reach in reaches:
        one, tests = _hold_one(f, points[active], np.broadcast_to(reach, (len(active), len(size))))
        for i, k in enumerate(active):
            if one[i]:
                most = reach * (1 - 1e-9)  # less than what is proved, so that rounding of its corners does not matter
                least = np.minimum(radius[k], most)
                found[k] = Found(points[k], least, most, tests.jacobian[i], tests.jacobian_error[i])
        active = active[~one]
        if not active.size:
            break
    return found


def _tight(f, points, size):
    """Small half-widths (n, R) within which the tests prove one zero; inf where they prove none."""
    tiny = _test(f, points, np.broadcast_to(1e-10 * size, points.shape))
    radius = 2 * (np.abs(tiny.step) + tiny.spread)
    active = np.arange(len(points))
    for _ in range(8):
        one, _ = _hold_one(f, points[active], radius[active])
        active = active[~one]
        if not active.size:
            break
        radius[active] *= 4
    radius[active] = np.inf
    return radius


def holds(one, other):
    """True when the other's enclosure lies where ``one`` is proved to be the only zero: they are the same."""
    return (np.abs(one.point - other.point) + other.radius <= one.reach).all()


def _hold_one(f, points, radius):
    """Where the tests at points +- radius (n, R) prove exactly one zero, and the tests."""
    tests = _test(f, points, radius)
    inside = (np.abs(tests.step) + tests.spread < radius).all(-1)
    defined = (points - radius >= getattr(f, "floor", -np.inf)).all(-1)
    return inside & defined & (tests.contraction < radius).all(-1), tests


def _inside_one(zeros, low, high):
    return any((low >= z.point - z.reach).all() and (high <= z.point + z.reach).all() for z in zeros)


def _outside_known(zeros, low, high):
    """Drop boxes that lie wholly where a known zero is proved to be the only one."""
    for z in zeros:
        outside = ((low < z.point - z.reach) | (high > z.point + z.reach)).any(-1)
        low, high = low[outside], high[outside]
    return low, high


def _leave_open(out, low, high, reason):
    if len(low):
        out.open_low.append(low)
        out.open_high.append(high)
        out.reason.extend([reason] * len(low))


def _freeze_crowds(f, low, high, size, out, crowd):
    """Set aside large connected sets of open boxes in which nearly every box lies next to a numerical zero.

    They surround a continuum when they extend, and a degenerate point when they have shrunk onto one.
    """
    label = components(low, high)
    frozen = np.zeros(len(low), dtype=bool)
    for k in np.flatnonzero(np.bincount(label) > crowd / 4):
        rows = np.flatnonzero(label == k)
        some = sample(rows)
        if next_to_zero(f, low[some], high[some])[1].mean() > 0.9:
            frozen[rows] = True
            extent = (high[rows].max(0) - low[rows].min(0)) / size
            _leave_open(out, low[rows], high[rows], "continuum" if extent.max() > _POINTLIKE else "narrow")
    return low[~frozen], high[~frozen]


def sample(rows, size=200):
    """At most ``size`` of the rows, evenly spread over the list."""
    return rows[:: 1 + len(rows) // size]


def next_to_zero(f, low, high):
    """Damped Gauss-Newton from the centres: (points, True where it ends on a zero within three radii of its box)."""
    centre, radius = _centre_radius(low, high)
    point = centre.copy()
    eye = np.eye(low.shape[-1])
    for _ in range(8):
        value, error, jacobian, _ = f.values_with_error(point)
        transpose = jacobian.swapaxes(-1, -2)
        with np.errstate(over="ignore", invalid="ignore"):
            normal = transpose @ jacobian
        damping = 1e-3 * np.trace(normal, axis1=-2, axis2=-1)[:, None, None] + 1e-30
        with np.errstate(over="ignore", invalid="ignore"):
            step = np.linalg.solve(normal + damping * eye, transpose @ value[..., None])[..., 0]
        point = np.where(np.isfinite(step).all(-1, keepdims=True), point - step, point)  # next to a kink: no step
    value, error, _, _ = f.values_with_error(point)
    small = (np.abs(value) <= 1e-9 + error).all(-1)
    return point, small & (np.abs(point - centre) <= 3 * radius.max(-1, keepdims=True)).all(-1)


def components(low, high, margin=0.5):
    """Label boxes by connected set, int array (B,); gaps up to ``margin`` box widths count as touching."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    centre = 0.5 * (low + high)
    widest = np.max(high - low, axis=0) + 1e-300
    pairs = cKDTree(centre / widest).query_pairs(1 + margin, p=np.inf, output_type="ndarray")
    i, j = pairs[:, 0], pairs[:, 1]
    gap = margin * widest  # contraction opens gaps between boxes of one set
    touch = ((low[i] <= high[j] + gap) & (low[j] <= high[i] + gap)).all(-1)
    i, j = i[touch], j[touch]
    graph = coo_matrix((np.ones(len(i)), (i, j)), shape=(len(low), len(low)))
    return connected_components(graph, directed=False)[1]
