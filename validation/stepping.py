"""One step of N units in time, for several networks with several trials at once, without ever forming m n^T.

The leak of ``tau dx/dt = -x + J phi(x) + I u`` is linear. Without a random part, all else lies in the span of m and I.
So every stage of every integrator here has one form, with a number ``ratio`` and few numbers ``increment``:

    x <- ratio x + [m I] increment

The same filter runs on the coordinates, (kappa, v) <- ratio (kappa, v) + increment, which integrates
``tau dkappa/dt = -kappa + (1/N) n.phi(x)`` and ``tau dv/dt = -v + u``. A random part adds one product of matrices per
stage, with all trials at once: x <- .. + sum_j coefficients[j] random phi(x_j).
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg.blas import get_blas_funcs

from meanfield.conventions import ordinal
from meanfield.transfer import get_transfer

# Numbers worked on at once: a few MiB stay in the cache, and numpy's overhead per call is small beside them.
_BLOCK = 1 << 18

# With a random part so many trials go together, whatever their size: each product reads the whole matrix once.
_TOGETHER = 64

# Functions that numpy applies in place and in the dtype of x; the others go through Transfer, in float64.
_IN_PLACE = {
    "tanh": np.tanh,
    "sin": np.sin,
    "relu": lambda x, out: np.maximum(x, 0, out=out),
    "identity": lambda x, out: np.copyto(out, x),
}


@dataclass(frozen=True)
class Method:
    """An integrator: its order, dt / tau below ``limit``, when it asks for the inputs, its Runge-Kutta tableau."""

    order: int
    limit: float
    nodes: tuple  #: times in the step at which inputs are asked for, in units of dt
    node: tuple  #: which of these each stage takes
    tableau: tuple = ()  #: rows after the first, then the weights


_RK4 = ((1 / 2,), (0, 1 / 2), (0, 0, 1), (1 / 6, 1 / 3, 1 / 3, 1 / 6))

#: By name. Euler's rule diverges from dt = 2 tau on; from dt = tau on the stages of rk4 lose x, and with it digits.
METHODS = {
    "exponential": Method(2, math.inf, (0.5,), (0, 0)),
    "euler": Method(1, 2.0, (0.0,), (0,), ((1,),)),
    "rk4": Method(4, 1.0, (0.0, 0.5, 1.0), (0, 1, 1, 2), _RK4),
}


def stages(name, h):
    """(ratio, coefficients) of each stage of a step of length h, in units of tau.

    Stage i sets ``x <- ratio x + [m I] sum_j coefficients[j] K_j``, with K_j = ((1/N) n^T phi(x), u) as stage j found
    them, j <= i. Followed by the noise, the last one ends the step.
    """
    points = _exponential(h) if name == "exponential" else _runge_kutta(METHODS[name].tableau, h)
    found, before = [], np.eye(1, len(points[-1]))[0]
    for i, point in enumerate(points):
        ratio = point[0] / before[0]
        found.append((float(ratio), (point - ratio * before)[1 : i + 2]))
        before = point
    return found


def _exponential(h):
    """Exponential Runge-Kutta method of order 2 (Cox and Matthews 2002, eq. 22), as (x, K_1, K_2)."""
    decay, rise = math.exp(-h), -math.expm1(-h)
    correction = 1 - rise / h
    return np.array([(decay, rise, 0.0), (decay, rise - correction, correction)])


def _runge_kutta(tableau, h):
    """Points of an explicit Runge-Kutta method for dx/dt = -x + K, as combinations of (x, K_1, .., K_s)."""
    unit = np.eye(len(tableau) + 1)
    points, slopes = [unit[0]], []
    for i, row in enumerate(tableau):
        slopes.append(unit[i + 1] - points[-1])
        points.append(unit[0] + h * np.array(row) @ slopes)
    return points[1:]


def noise_scale(name, strength, dt, tau):
    """Standard deviation of the noise added to x per step; that of the exact leak where the leak is exact."""
    return strength * math.sqrt(dt if name == "euler" else -tau * math.expm1(-2 * dt / tau) / 2)


@dataclass(frozen=True, eq=False)
class System:
    """The loadings of D networks with the same sizes and functions, stacked as the products need them."""

    sums: np.ndarray  #: (D, N, R) or (D, N, R + W): n / N, and w / N where the readout is of phi(x)
    drive: np.ndarray  #: (D, R + S, N): m and I
    coordinates: np.ndarray  #: (D, N, R): x @ coordinates are the least-squares coordinates of x on m
    shift: np.ndarray  #: (D, S, R): those of I
    readout: np.ndarray  #: (D, N, W): w / N
    functions: tuple  #: phi and the readout's, (x, out) -> None; the second is None where it is phi
    tau: float
    random: tuple | None = None  #: D arrays (N, N), not copied where the dtype is theirs

    @classmethod
    def of(cls, nets, dtype):
        """The networks in that dtype."""
        one = nets[0]

        def stack(make):
            return np.stack([make(net).T for net in nets]).astype(dtype)

        same = one.readout_transfer == one.transfer
        inverses = [_coordinates(net, d, len(nets)) for d, net in enumerate(nets)]
        random = tuple(np.asarray(net.random, dtype, order="F") for net in nets) if one.has_random else None
        return cls(
            stack(lambda net: np.hstack([net.n, net.w] if same else [net.n]) / net.n_neurons).swapaxes(1, 2),
            stack(lambda net: np.hstack([net.m, net.I])),
            np.stack(inverses).astype(dtype).swapaxes(1, 2),
            np.stack([(inverse @ net.I).T for inverse, net in zip(inverses, nets, strict=True)]).astype(dtype),
            stack(lambda net: net.w / net.n_neurons).swapaxes(1, 2),
            (_in_place(one.transfer), None if same else _in_place(one.readout_transfer)),
            one.tau,
            random,
        )

    @property
    def rank(self):
        """R."""
        return self.coordinates.shape[-1]

    @property
    def shape(self):
        """(D, N)."""
        return self.sums.shape[:2]

    @property
    def dtype(self):
        """Of all that is computed."""
        return self.drive.dtype

    def some(self, networks):
        """The system of a slice of the networks."""
        parts = ("sums", "drive", "coordinates", "shift", "readout")
        random = self.random and self.random[networks]
        return replace(self, **{name: getattr(self, name)[networks] for name in parts}, random=random)

    def pieces(self, trials):
        """Slices of networks and trials that are worked on together."""
        D, N = self.shape
        b = min(trials, max(1 if self.random is None else _TOGETHER, _BLOCK // N))
        d = max(1, _BLOCK // (N * b)) if b == trials else 1
        return [(slice(i, i + d), slice(j, min(j + b, trials))) for i in range(0, D, d) for j in range(0, trials, b)]


def _coordinates(net, d, count):
    """The pseudo-inverse of m, (R, N)."""
    (size, rank), m = net.m.shape, net.m
    found = int(np.linalg.matrix_rank(m))
    if found < rank and not net.has_random:  # there, kappa is not measured on x
        which = f" of network {ordinal(d)}" if count > 1 else ""
        raise ValueError(
            f"m{which} has rank {found}, expected {rank}: x = m kappa + I v does not determine kappa; "
            "leave out, or merge, the columns of m that depend on others"
        )
    return np.linalg.pinv(m, rcond=size * np.finfo(float).eps)


def _in_place(transfer):
    """(x, out) -> None for a transfer function."""
    quick = _IN_PLACE.get(transfer)
    if quick is not None:
        return quick
    phi = get_transfer(transfer)
    return lambda x, out: np.copyto(out, phi(x), casting="same_kind")


class Block:
    """A few networks with a few trials each at one time: x (D, B, N) and the filter's (kappa, v), (D, B, R + S)."""

    def __init__(self, system, x, low, stages):
        self.system = system
        self.x, self.low = (np.array(a, dtype=system.dtype, order="C") for a in (x, low))
        self.stages = [(ratio, coefficients.astype(system.dtype)) for ratio, coefficients in stages]
        shape = self.x.shape[:2]
        self._spare = np.empty_like(self.x)
        self._sums = np.empty((*shape, system.sums.shape[-1]), system.dtype)
        self._gemm = get_blas_funcs("gemm", dtype=system.dtype)
        self._rates = np.empty((len(stages), *shape, system.drive.shape[1]), system.dtype)
        self._bulk = None if system.random is None else np.empty((len(stages), *self.x.shape), system.dtype)

    @property
    def v(self):
        """Filtered inputs (D, B, S)."""
        return self.low[..., self.system.rank :]

    @property
    def kappa(self):
        """(D, B, R): least-squares coordinates of x - I v on m, or the filter's where J has a random part."""
        if self.system.random is not None:
            return self.low[..., : self.system.rank]
        return np.matmul(self.x, self.system.coordinates) - np.matmul(self.v, self.system.shift)

    @property
    def phi(self):
        """phi(x) as :meth:`evaluate` left it, until anything else is asked for."""
        return self._spare

    def only(self, trials):
        """The block of some of the trials, a mask (B,)."""
        return type(self)(self.system, self.x[:, trials], self.low[:, trials], self.stages)

    def evaluate(self, stage=0):
        """Take phi(x) and its sums over the neurons: what a step, a measurement and a readout start from."""
        self.apply(self.x, self._spare)
        np.matmul(self._spare, self.system.sums, out=self._sums)
        if self._bulk is not None:
            for matrix, phi, out in zip(self.system.random, self._spare, self._bulk[stage], strict=True):
                np.matmul(phi, matrix.T, out=out)

    def apply(self, x, out):
        """phi of each unit, into ``out``."""
        self.system.functions[0](x, out)

    def step(self, u):
        """One step without noise, u (stages, B, S); needs the sums of x."""
        rank, rates = self.system.rank, self._rates
        for i, (ratio, coefficients) in enumerate(self.stages):
            if i:
                self.evaluate(i)
            rates[i, ..., :rank] = self._sums[..., :rank]
            rates[i, ..., rank:] = u[i]
            increment = coefficients @ rates[: i + 1].reshape(i + 1, -1)
            increment = increment.reshape(rates.shape[1:])
            self._move(ratio, increment)
            if self._bulk is not None:
                np.matmul(coefficients, self._bulk[: i + 1].reshape(i + 1, -1), out=self._spare.reshape(-1))
                np.add(self.x, self._spare, out=self.x)
            self.low = ratio * self.low + increment

    def _move(self, ratio, increment):
        """x <- ratio x + [m I] increment, for increment (D, B, R + S)."""
        drive = self.system.drive
        if len(drive) == 1:  # BLAS passes over x once, numpy three times
            self._gemm(1.0, drive[0].T, increment[0].T, ratio, self.x[0].T, overwrite_c=True)
            return
        np.matmul(increment, drive, out=self._spare)
        np.multiply(self.x, ratio, out=self.x)
        np.add(self.x, self._spare, out=self.x)

    def shake(self, scale, streams):
        """Add noise of that standard deviation; one stream per network and trial, None for a row without noise."""
        for rows, row_streams in zip(self._spare, streams, strict=True):
            for row, stream in zip(rows, row_streams, strict=True):
                row.fill(0) if stream is None else stream.standard_normal(out=row, dtype=row.dtype)
        np.multiply(self._spare, scale, out=self._spare)
        np.add(self.x, self._spare, out=self.x)

    def measure(self):
        """kappa, z, and the root mean square over the neurons of x - m kappa - I v; needs the sums of x."""
        system, size = self.system, self.x.shape[-1]
        kappa = self.kappa
        np.matmul(np.concatenate([kappa, self.v], axis=-1), system.drive, out=self._spare)
        np.subtract(self.x, self._spare, out=self._spare)
        outside = np.sqrt(np.vecdot(self._spare, self._spare) / size)
        if system.functions[1] is None:
            return kappa, self._sums[..., system.rank :], outside
        system.functions[1](self.x, self._spare)
        return kappa, np.matmul(self._spare, system.readout), outside

    def speed(self, u):
        """Largest tau |dx/dt| and |x| over the neurons, each (D, B), at inputs u (S,); needs the sums of x."""
        rate = np.empty(self._rates.shape[1:], self.x.dtype)
        rate[..., : self.system.rank], rate[..., self.system.rank :] = self._sums[..., : self.system.rank], u
        np.matmul(rate, self.system.drive, out=self._spare)
        np.subtract(self._spare, self.x, out=self._spare)
        if self._bulk is not None:
            np.add(self._spare, self._bulk[0], out=self._spare)
        return np.abs(self._spare, out=self._spare).max(axis=-1), np.abs(self.x).max(axis=-1)


def march(block, steps, u, node, scale=0.0, streams=None):
    """Take ``steps`` steps, with noise where there are streams; yields 0..steps, each time with the sums of x taken.

    ``u`` (nodes, steps, B, S); ``node`` says which of its nodes each stage takes.
    """
    for k in range(steps + 1):
        block.evaluate()
        yield k
        if k < steps:
            block.step([u[i, k] for i in node])
            if streams:
                block.shake(scale, streams)
