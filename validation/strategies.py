"""Hypothesis strategies for property tests of your own: mixtures, transfer functions, kappas, inputs, finite networks.

    from meanfield.validation import strategies as mfst

    @given(c=mfst.connectivities(rank=2), kappa=mfst.kappas(2), phi=mfst.transfers(odd=True))
    def test_something(c, kappa, phi): ...

Everything is drawn as numbers, not as seeds, so that a counterexample shrinks to the simplest one: few populations, few
numbers other than 0 and 1. A single number (a mean, a loading, a coordinate) is 0 or at least 1/1024 of its bound, so
that no test fails for a square that underflows.
"""

import functools
import math
from collections.abc import Sequence

import hypothesis.extra.numpy as hnp
import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from meanfield.connectivity import Connectivity
from meanfield.conventions import brief, check_integer, loading_names, loading_slices
from meanfield.transfer import _BUILTIN, get_transfer

from .networks import Network

__all__ = ["connectivities", "inputs", "kappas", "networks", "transfers"]

#: No population is more than this many times as large as another.
WEIGHT_RATIO = 10.0

#: Numbers other than 0 are at least this part of their bound.
DUST = 2.0**-10

# Numbers of one array that are drawn one by one; hypothesis refuses examples of some kilobytes, and would shrink them
# for minutes.
_DENSE = 64


def connectivities(
    rank=range(1, 4),
    inputs=(),
    readouts=(),
    populations=range(1, 4),
    *,
    zero_mean=False,
    singular=True,
    max_mean=2.0,
    max_variance=4.0,
):
    """Strategy of :class:`~meanfield.Connectivity` mixtures, with g = 0.

    Per population, m and the inputs have a private and one common source, and n and w are linear functions of them
    plus a private part, so every covariance is a factor times its transpose. The simplest draw is the smallest rank,
    one population, zero means and the unit matrix as covariance: no overlap of n and m, and dkappa/dt = -kappa.

    Parameters
    ----------
    rank, populations : int, range or strategy of int
        R and P; ``range(1, 4)`` is 1, 2 or 3.
    inputs, readouts : sequence of str, or strategy of such sequences
    zero_mean : bool
        All means 0.
    singular : bool
        Also draw populations whose covariance has not the full rank, and populations without any (point masses).
        Without them the condition number of a covariance is at most A q^2 (1 + q sqrt(R + W))^2 with
        q = max(4, 2 sqrt(max_variance)): about 10^4 for eight loadings.
    max_mean, max_variance : float
        Largest magnitude of a mean and largest variance, for the latter within rounding. Hence also covariances are
        at most ``max_variance``, and total overlaps ``max_variance + max_mean**2``. Below 1, ``max_variance`` takes
        the place of the simplest variance.

    The weights are positive, and no population is more than ``WEIGHT_RATIO`` = 10 times as large as another.

    Raises
    ------
    ValueError
        At once: a rank or number of populations below 1, an empty range, bad names, bounds that are not positive
        numbers. In the draw: the same where a strategy draws them.
    """
    for what, value in (("zero_mean", zero_mean), ("singular", singular)):
        _boolean(what, value)
    return _connectivities(
        _integers("rank", rank),
        *_names(inputs, readouts),
        _integers("populations", populations),
        0.0 if zero_mean else _positive("max_mean", max_mean),
        _positive("max_variance", max_variance),
        singular,
    )


def transfers(odd=None, bounded=None, smooth=None):
    """Strategy of names of built-in transfer functions, ``"tanh"`` first.

    Parameters
    ----------
    odd, bounded, smooth : bool or None
        Only those with this property (True), without it (False), or either (None): phi(-x) = -phi(x); a finite
        supremum of ``|phi|``; no kink or jump.

    Raises
    ------
    ValueError
        A value that is none of these, or a combination that no built-in function has.
    """
    wanted = {"odd": odd, "bounded": bounded, "smooth": smooth}
    wanted = {name: _boolean(name, value) for name, value in wanted.items() if value is not None}
    names = [name for name, transfer in _BUILTIN.items() if wanted.items() <= _properties(transfer).items()]
    if not names:
        asked = ", ".join(f"{name}={value}" for name, value in wanted.items())
        known = "; ".join(f"{name}: {_words(transfer)}" for name, transfer in _BUILTIN.items())
        raise ValueError(f"no built-in transfer function has {asked}; leave one of these out. There are {known}")
    return st.sampled_from(names)


def kappas(c, batch=(), radius=3.0):
    """Strategy of arrays of collective variables, (..., R), exact zeros and points on the axes included.

    Parameters
    ----------
    c : int, or anything with a ``rank``
        R, or a connectivity, a vector field, a network.
    batch : int or tuple of int
        Leading axes. Up to 64 numbers are drawn one by one; in a larger batch the points repeat in turn.
    radius : float
        Largest magnitude of a coordinate.

    Raises
    ------
    ValueError
        A rank below 1, a strategy in place of what it draws, a batch that is no shape, a radius that is not a positive
        number.
    """
    _not_a_strategy("kappas", c)
    rank = check_integer("rank", getattr(c, "rank", c), 1)
    batch = tuple(batch) if isinstance(batch, Sequence) else (batch,)
    shape = (*(check_integer("each axis of batch", size, 0) for size in batch), rank)
    rows = _rows(math.prod(shape[:-1]), rank, _reals(_positive("radius", radius)))
    return rows.map(lambda x: x.reshape(shape))


def inputs(c, amplitude=3.0):
    """Strategy of input amplitudes ``{name: u}`` as ``reduce`` takes them; those left out are off, at first all.

    Parameters
    ----------
    c : Connectivity, Network, or sequence of names
    amplitude : float
        Largest magnitude of u.

    Raises
    ------
    ValueError
        Names that cannot be names of inputs, a strategy in place of what it draws, an amplitude that is not a positive
        number.
    """
    _not_a_strategy("inputs", c)
    if not isinstance(c, Connectivity | Network | Sequence):
        raise ValueError(f"inputs needs a Connectivity, a Network or names such as ('A', 'B'): got {brief(c)}")
    names = getattr(c, "input_names", getattr(c, "inputs", c))
    loading_names(1, inputs=names)
    values = st.none() | _reals(_positive("amplitude", amplitude))
    return st.tuples(*[values] * len(names)).map(
        lambda drawn: {name: u for name, u in zip(names, drawn, strict=True) if u is not None}
    )


def networks(rank=range(1, 4), inputs=(), readouts=(), n_neurons=range(1, 41), *, transfer="tanh", max_loading=3.0):
    """Strategy of small finite networks, :class:`~meanfield.validation.networks.Network`, for tests of exactness.

    The simplest draw is one neuron without loadings.

    Parameters
    ----------
    rank, n_neurons : int, range or strategy of int
        R and N. Up to 64 loadings are drawn one by one; in a larger network the neurons repeat in turn.
    inputs, readouts : sequence of str, or strategy of such sequences
    transfer : str, or strategy of names such as :func:`transfers`
    max_loading : float
        Largest magnitude of a loading.

    Raises
    ------
    ValueError
        A rank or size below 1, an empty range, bad names, an unknown transfer function, a bound that is not a positive
        number.
    """
    if not isinstance(transfer, SearchStrategy):
        transfer = st.just(get_transfer(transfer).name)
    return _networks(
        _integers("rank", rank),
        *_names(inputs, readouts),
        _integers("n_neurons", n_neurons),
        transfer,
        _reals(_positive("max_loading", max_loading)),
    )


@st.composite
def _connectivities(draw, rank, inputs, readouts, populations, max_mean, max_variance, singular):
    rank, inputs, readouts, size = (draw(part) for part in (rank, inputs, readouts, populations))
    slices = loading_slices(rank, len(inputs), len(readouts))
    shares = draw(_array((size,), _SHARES, 1.0))
    means = np.zeros((size, slices["w"].stop))
    if max_mean:
        means = draw(_array(means.shape, _reals(max_mean)))
    places = np.arange(means.shape[1])
    sources, targets = (np.concatenate([places[slices[kind]] for kind in kinds]) for kinds in ("mI", "nw"))
    factors = draw(_factors(size, len(sources), len(targets), max_variance, singular))
    covariances = np.empty((size, len(places), len(places)))
    order = np.concatenate([sources, targets])
    covariances[:, order[:, None], order] = factors @ factors.swapaxes(1, 2)
    names = {"inputs": inputs, "readouts": readouts}
    return draw(_built(Connectivity, shares / shares.sum(), means, covariances, rank=rank, **_filled(names)))


@st.composite
def _factors(draw, size, n_sources, n_targets, max_variance, singular):
    """Factors F (P, A, A + 1) of the covariances F F^T of (m, I, n, w), with rows no longer than sqrt(max_variance).

    The private parts keep them away from singular: with p the least of these and C the regression of (n, w) on (m, I),
    the smallest eigenvalue is at least p^2 / (1 + ||C||)^2, and a row of C is at most sqrt(max_variance) / p long.
    """
    longest = math.sqrt(max_variance)
    private = draw(_private_parts(size, n_sources + n_targets, longest, singular))
    room = np.maximum(max_variance - private**2, 0.0) * private.any(axis=1, keepdims=True)
    limit = np.sqrt(room[:, :n_sources])
    common = np.clip(draw(_array(limit.shape, _reals(longest))), -limit, limit)
    diagonal = private[:, :, None] * np.eye(private.shape[1])
    source = np.concatenate([diagonal[:, :n_sources, :n_sources], common[:, :, None]], axis=2)
    target = draw(_array((size, n_targets, n_sources), _reals(longest))) @ source
    length = np.sum(target**2, axis=2)
    target *= np.sqrt(np.minimum(1.0, room[:, n_sources:] / np.where(length > 0, length, 1.0)))[..., None]
    return np.block([[source, np.zeros((size, n_sources, n_targets))], [target, diagonal[:, n_sources:, n_sources:]]])


@st.composite
def _private_parts(draw, size, n_loadings, longest, singular):
    """Standard deviations (P, A) of the parts of the loadings that no other loading shares; all 0 in a point mass."""
    points, singular = np.zeros(size, dtype=bool), singular and draw(st.booleans())
    if singular:
        points = draw(_array((size,), _POINTS, False, dtype=bool))
    return draw(_array((size, n_loadings), _spreads(longest, singular), min(1.0, longest))) * ~points[:, None]


# Strategies are kept, because hypothesis spends a third of a draw on looking at those that it sees for the first time.
_SHARES = st.floats(1.0, WEIGHT_RATIO)
_POINTS = st.sampled_from([False, False, True])


@functools.lru_cache(256)
def _spreads(longest, singular):
    regular = st.floats(min(0.5, longest / 4), longest)
    return regular | st.just(0.0) if singular else regular


@st.composite
def _networks(draw, rank, inputs, readouts, n_neurons, transfer, loadings):
    rank, inputs, readouts, size = (draw(part) for part in (rank, inputs, readouts, n_neurons))
    slices = loading_slices(rank, len(inputs), len(readouts))
    rows = draw(_rows(size, slices["w"].stop, loadings))
    blocks = {kind: rows[:, place] for kind, place in slices.items()}
    names = {"input_names": inputs, "readout_names": readouts}
    return draw(_built(Network, **blocks, **_filled(names), transfer=draw(transfer)))


def _built(kind, *positional, **named):
    """What hypothesis prints of a counterexample is then this call, with all the numbers, and not the short repr."""
    return st.builds(kind, *map(st.just, positional), **{name: st.just(value) for name, value in named.items()})


def _filled(fields):
    return {name: value for name, value in fields.items() if value}


@functools.lru_cache(256)
def _reals(bound):
    """Numbers of [-bound, bound]: 0, or at least ``DUST * bound`` in magnitude."""
    return st.floats(-bound, bound).map(lambda x: math.copysign(max(abs(x), DUST * bound), x) if x else 0.0)


@functools.lru_cache(256)
def _array(shape, elements, fill=0.0, dtype=float):
    """Arrays mostly of ``fill``, or (where they are small enough) of independent elements."""
    sparse = hnp.arrays(dtype, shape, elements=elements, fill=st.just(fill))
    if math.prod(shape) > _DENSE:
        return sparse
    return sparse | hnp.arrays(dtype, shape, elements=elements, fill=st.nothing())


def _rows(count, width, elements):
    """Arrays (count, width); rows repeat in turn where ``_DENSE`` numbers do not suffice for all of them."""
    drawn = min(count, max(1, _DENSE // width))
    return _array((drawn, width), elements).map(lambda x: np.resize(x, (count, width)))


def _properties(transfer):
    return {"odd": transfer.odd, "bounded": math.isfinite(transfer.bounds[0]), "smooth": not transfer.kinks}


def _words(transfer):
    return " ".join(("" if has else "not ") + name for name, has in _properties(transfer).items())


def _integers(what, value):
    """Strategy of integers >= 1 from an integer, a range or a strategy."""
    if isinstance(value, SearchStrategy):
        return value.map(lambda drawn: check_integer(what, drawn, 1))
    if not isinstance(value, range):
        try:
            return st.just(check_integer(what, value, 1))
        except ValueError as error:
            raise ValueError(f"{error}; a range such as range(1, 4) or a strategy will do too") from None
    if not value or min(value) < 1:
        raise ValueError(f"{what} must be a range of integers, at least 1: got {value}, expected e.g. range(1, 4)")
    return st.sampled_from(value)


def _names(inputs, readouts):
    """Strategies of the names of inputs and of readouts; those that are already known are checked now, together."""
    groups = {"inputs": inputs, "readouts": readouts}
    loading_names(1, **{what: names for what, names in groups.items() if not isinstance(names, SearchStrategy)})
    return tuple(
        names.map(lambda drawn, what=what: loading_names(1, **{what: drawn})[2:])
        if isinstance(names, SearchStrategy)
        else st.just(tuple(names))
        for what, names in groups.items()
    )


def _not_a_strategy(what, value):
    if isinstance(value, SearchStrategy):
        raise ValueError(
            f"{what} needs what was drawn, not a strategy: got {brief(value)}; "
            f"take hypothesis.strategies.data() as an argument, c = data.draw(...), then data.draw({what}(c))"
        )


def _positive(what, value):
    number = np.asarray(value)
    if number.ndim or number.dtype.kind not in "fiu" or not np.isfinite(number) or number <= 0:
        raise ValueError(f"{what} must be a positive number: got {brief(value)}")
    return float(number)


def _boolean(what, value):
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{what} must be True or False: got {brief(value)}")
    return bool(value)
