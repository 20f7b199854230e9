"""A mixture of loadings as parameters to be trained: through neurons drawn from it, or through the reduced equations.

A *structure* says how few parameters make the mixture: ``start(task, rng)`` gives them and ``moments(params)`` the
weights (P,), means (P, A) and covariance factors (P, A, K), with loadings ``mean_p + factor_p xi`` for K independent
normal numbers xi, in the order m, n, I, w. :class:`Gaussian` leaves all of them free; :class:`Structure` takes a
function of one's own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from meanfield import equations
from meanfield.connectivity import Connectivity
from meanfield.conventions import check_array, check_integer, loading_slices
from meanfield.traced import NODES, import_fit, traced_averages

from ..networks import Network, draw
from .parametrisations import check_held, read_out, without_gradients
from .rollout import Loadings

#: What of a Gaussian mixture can be held at its start.
PARTS = ("weights", "means", "m", "I", "n", "w")

#: Nodes of the averages in float32, where more cannot be seen: their error is 3e-9.
NODES_FLOAT32 = 48

# A covariance whose smallest eigenvalue is below this fraction of the largest is lifted to it before it is factored.
_RIDGE = 1e-10


@dataclass(frozen=True)
class Gaussian:
    """A mixture of P Gaussians of the loadings; n and w are linear functions of (m, I), plus a mean.

    What n and w have beside that has no effect on the infinite network, and is noise in a finite one. Parameters:
    ``weights`` (P,), logarithms up to a constant; ``m``, ``I``, ``n``, ``w``, rows of the covariance factors, on the
    R + S normal numbers of which m and I are made; ``mean_m``, .. where ``means`` names their kind.

    Parameters
    ----------
    populations, rank : int
    means : str
        Kinds of loadings with a mean that is trained, e.g. "mn"; the others have mean 0.
    held : tuple of str
        Which of weights, means, m, I, n, w stay as they start.
    width, drive, overlap : float
        Before training: standard deviation of the factors of n, and how much populations differ in their inputs,
        e^(+- width / 2); standard deviation of the input loadings; overlap of each n with its m.
    """

    populations: int
    rank: int
    means: str = ""
    held: tuple[str, ...] = ()
    width: float = 1.0
    drive: float = 1.0
    overlap: float = 0.0

    def __post_init__(self):
        """Check every field once."""
        for key in ("populations", "rank"):
            check_integer(key, getattr(self, key), 1)
        if not isinstance(self.means, str) or set(self.means) - set("mnIw"):
            raise ValueError(f"means must be letters of 'mnIw' in one text: got {self.means!r}")
        check_held(self, PARTS)
        for key in ("width", "drive", "overlap"):
            check_array(key, getattr(self, key), ())

    def start(self, task, rng):
        """Parameters before training: all populations of one weight, without means, different in everything else."""
        sizes = {"m": self.rank, "n": self.rank, "I": len(task.inputs), "w": 1}
        P, K = self.populations, self.rank + len(task.inputs)
        base = np.tile(np.eye(K), (P, 1, 1)) + 0.3 * np.tril(rng.standard_normal((P, K, K)), -1)
        base[:, self.rank :] *= self.drive * np.exp(0.5 * self.width * rng.standard_normal((P, K - self.rank, 1)))
        params = {"weights": np.zeros(P), "m": base[:, : self.rank], "I": base[:, self.rank :]}
        params["n"] = self.width * rng.standard_normal((P, self.rank, K)) + self.overlap * np.eye(self.rank, K)
        params["w"] = rng.standard_normal((P, 1, K))
        for kind in self.means:
            params[f"mean_{kind}"] = 0.3 * self.width * rng.standard_normal((P, sizes[kind]))
        return params

    def moments(self, params):
        """Weights (P,), means (P, A) and factors (P, A, K)."""
        jax = import_fit().jax
        jnp = jax.numpy
        params = without_gradients(params, self._held())
        rows = self.rank + params["I"].shape[1]
        shape = np.tril(np.ones((rows, rows)))  # Cholesky factors: no two parameters do the same
        base = jnp.concatenate([params["m"], params["I"]], 1) * shape.astype(params["m"].dtype)
        m, inputs = base[:, : self.rank], base[:, self.rank :]
        parts = {"m": m, "n": params["n"], "I": inputs, "w": params["w"]}
        means = [params.get(f"mean_{kind}", jnp.zeros(block.shape[:2], m.dtype)) for kind, block in parts.items()]
        return jax.nn.softmax(params["weights"]), jnp.concatenate(means, 1), jnp.concatenate(list(parts.values()), 1)

    def adopt(self, c, task):
        """Parameters from a mixture; what n and w have beside (m, I) is left out."""
        if (c.n_populations, c.rank, len(c.inputs)) != (self.populations, self.rank, len(task.inputs)):
            raise ValueError(f"start: {c!r}, expected {self.populations} populations of rank {self.rank}")
        means = {kind: c.mean(kind) for kind in "mnIw"}
        if lost := [kind for kind, mean in means.items() if mean.any() and kind not in self.means]:
            raise ValueError(f"start: it has means of {lost[0]}; pass means='{self.means}{lost[0]}' to keep them")
        base = np.r_[c.slice("m"), c.slice("I")]
        inner = c.covariances[:, base][:, :, base]
        lift = _RIDGE * np.trace(inner, axis1=1, axis2=2)
        factor = np.linalg.cholesky(inner + lift[:, None, None] * np.eye(len(base)))
        params = {"weights": np.log(c.weights), "m": factor[:, : self.rank], "I": factor[:, self.rank :]}
        for kind in "nw":
            cross = c.covariances[:, c.slice(kind)][:, :, base]
            params[kind] = np.linalg.solve(factor, cross.swapaxes(1, 2)).swapaxes(1, 2)
        return params | {f"mean_{kind}": means[kind] for kind in self.means}

    def _held(self):
        return (*self.held, *(f"mean_{kind}" for kind in "mnIw" if "means" in self.held))


@dataclass(frozen=True, eq=False)
class Structure:
    """A mixture from a function of few parameters, ``moments(params) -> (weights, means, factors)``, and their start.

    Parameters
    ----------
    rank : int
    moments : callable
        In ``jax.numpy``: a dictionary of arrays to weights (P,), means (P, A) and covariance factors (P, A, K).
    values : dict
        Parameters before training, by name.
    name : str
        Stands in the options of a training, where a function cannot.
    """

    rank: int
    moments: Callable = field(repr=False)
    values: dict
    name: str = "structure"

    def start(self, task, rng):
        """Parameters before training."""
        return {key: np.asarray(value, float) for key, value in self.values.items()}

    def adopt(self, c, task):
        """Refuses: no mixture says which parameters made it."""
        raise ValueError(f"start: {self.name} cannot take its parameters from a mixture: put them in its values")


def hand_built(**values):
    """The rank-one network of six parameters for perceptual decisions, as a :class:`Structure` (Valente 2019, 3.1-3.4).

        n = sqrt(rho) x1 + alpha_n x2,   m = sqrt(rho) x1 + alpha_m x3,   w = w_o m,   I = x4 + sigma_n x2 + sigma_m x3

    Parameters
    ----------
    **values
        Start of rho, alpha_n, alpha_m, w_o, sigma_n, sigma_m, where it is not 1 (of w_o: 2). Only the size of rho
        counts.

    Raises
    ------
    ValueError
        An unknown parameter; rho = 0, where the gradient of its root is infinite.
    """
    start = {"rho": 1.0, "alpha_n": 1.0, "alpha_m": 1.0, "w_o": 2.0, "sigma_n": 1.0, "sigma_m": 1.0}
    if unknown := set(values) - set(start):
        raise ValueError(f"unknown parameter {min(unknown)!r}: expected {', '.join(start)}")
    if values.get("rho") == 0:
        raise ValueError("rho must not be 0: the gradient of its root is infinite there")
    return Structure(1, _hand_built, start | values, "hand_built")


def _hand_built(p):
    jnp = import_fit().numpy
    root, none, one = jnp.sqrt(jnp.abs(p["rho"])), jnp.zeros_like(p["rho"]), jnp.ones_like(p["rho"])
    m = jnp.stack([root, none, p["alpha_m"], none])
    n = jnp.stack([root, p["alpha_n"], none, none])
    inputs = jnp.stack([none, p["sigma_n"], p["sigma_m"], one])
    return one[None], jnp.zeros((1, 4), m.dtype), jnp.stack([m, n, inputs, p["w_o"] * m])[None]


@dataclass(frozen=True)
class _Trained:
    structure: Gaussian | Structure

    @property
    def rank(self):
        """R."""
        return self.structure.rank

    def init(self, task, seed):
        """Parameters before training."""
        params = self.structure.start(task, np.random.default_rng(seed))
        sizes = [np.shape(part) for part in self.structure.moments(params)]
        P, A = sizes[0][:1], (2 * self.rank + len(task.inputs) + len(task.readouts),)
        if len(sizes[0]) != 1 or sizes[1] != P + A or len(sizes[2]) != 3 or sizes[2][:2] != P + A:
            raise ValueError(
                f"the structure gives weights, means and factors of shapes {sizes}, expected (P,), (P, A) and "
                f"(P, A, K) with A = {A[0]}: rank {self.rank}, inputs {task.inputs}, readouts {task.readouts}"
            )
        return params

    def connectivity(self, params, task):
        """The mixture in the normal form of J's singular value decomposition, where it has one."""
        weights, means, factors = (np.asarray(part, float) for part in self.structure.moments(params))
        covariances = factors @ factors.swapaxes(1, 2)
        c = Connectivity(weights / weights.sum(), means, covariances, self.rank, task.inputs, task.readouts)
        try:
            return c.svd_normal_form().connectivity
        except ValueError:
            return c


@dataclass(frozen=True)
class Mixture(_Trained):
    """The parameters of a mixture, trained through N neurons drawn from it with fixed normal numbers xi.

    Population p has N_p neurons (the same number for all), and their n and w are multiplied by alpha_p N / N_p, so
    that the weights alpha_p have gradients too. The result is the mixture, and a network drawn anew from it.

    Parameters
    ----------
    structure : Gaussian or Structure
    n_neurons : int
    basis : int
        Seed of xi.
    """

    n_neurons: int = 512
    basis: int = 0

    def __post_init__(self):
        """Check every field once."""
        check_integer("n_neurons", self.n_neurons, 1)

    def noise_shape(self, steps, count):
        """Shape of the noise on a batch, (T, N, B)."""
        return steps, self.n_neurons, count

    def loadings(self, params, inputs):
        """The N neurons that are trained, as :class:`Loadings`; ``inputs`` is S."""
        jnp = import_fit().numpy
        weights, means, factors = self.structure.moments(params)
        population, xi = _basis(self.n_neurons, len(weights), factors.shape[-1], self.basis)
        counts = np.bincount(population)
        every = _each(means, counts) + (_each(factors, counts) @ xi[..., None].astype(means.dtype))[..., 0]
        share = _each((weights * (self.n_neurons / counts).astype(means.dtype))[:, None], counts)
        places = loading_slices(self.rank, inputs, means.shape[1] - 2 * self.rank - inputs)
        m, n, inputs, w = (every[:, places[kind]] for kind in "mnIw")
        return Loadings(m, share * n, inputs, share * jnp.asarray(w))

    def run(self, params, u, noise, rule):
        """Readouts (B, T, W) for inputs u (B, T, S) and noise (T, N, B) or None."""
        return read_out(self.loadings(params, u.shape[-1]), u, noise, rule)

    def result(self, params, task, about):
        """A network drawn from the mixture, with ``about``, and the mixture."""
        c = self.connectivity(params, task)
        return replace(draw(c, self.n_neurons, self.basis), **about), c

    def adopt(self, source, task, seed):
        """Parameters from a mixture, or from that of a network."""
        return self.structure.adopt(as_mixture(source), task)


def _each(part, counts):
    """What belongs to each population (P, ...) for each of its neurons (N, ...), which stand together.

    Not by an index: JAX keeps the type of one that it met in single precision, and then fails in double precision.
    """
    jnp = import_fit().numpy
    wide = (jnp.broadcast_to(part[k : k + 1], (count, *part.shape[1:])) for k, count in enumerate(counts.tolist()))
    return jnp.concatenate(list(wide))


@lru_cache(maxsize=8)
def _basis(n_neurons, populations, size, seed):
    population = np.arange(n_neurons) * populations // n_neurons
    if populations > n_neurons:
        raise ValueError(f"{populations} populations need as many neurons at least: got {n_neurons}")
    return population, np.random.default_rng(seed).standard_normal((n_neurons, size))


@dataclass(frozen=True)
class MixtureLimit(_Trained):
    """The parameters of a mixture, trained at N to infinity through the reduced equations; nothing is sampled.

    The equations are those of :mod:`meanfield.equations`, the averages those of
    :func:`meanfield.traced.traced_averages`. Private noise is drawn by no one: its variance after each step,
    ``(1 - dt/tau)^2`` times that before plus ``noise_std^2``, adds to the variance of each population
    (docs: :eq:`training-limit`).
    """

    def noise_shape(self, steps, count):
        """None: no noise is drawn."""
        return None

    def run(self, params, u, noise, rule):
        """Readouts (B, T, W) for inputs u (B, T, S)."""
        jax = import_fit().jax
        jnp, step = jax.numpy, rule.step
        b, w = self._blocks(params, u.shape[-1])
        averages = traced_averages(rule.transfer, 1, NODES if u.dtype == np.float64 else NODES_FLOAT32)

        def gains(kappa, v, private):
            return averages(equations.mean(b, kappa, v), equations.variance(b, kappa, v) + private)

        def one(state, push):
            kappa, v, private, gain = state
            kappa, v = kappa + step * equations.drift(b, kappa, v, gain), v + step * (push - v)
            private = (1 - step) ** 2 * private + rule.noise_std**2
            gain = gains(kappa, v, private)
            return (kappa, v, private, gain), equations.readout(b, *w, kappa, v, gain)

        kappa, v, none = jnp.zeros((len(u), self.rank), u.dtype), jnp.zeros_like(u[:, 0]), jnp.zeros((), u.dtype)
        _, z = jax.lax.scan(one, (kappa, v, none, gains(kappa, v, none)), u.swapaxes(0, 1))
        return z.swapaxes(0, 1)

    def _blocks(self, params, inputs):
        """What the equations take, and what the readout takes beside it."""
        weights, means, factors = self.structure.moments(params)
        readouts = means.shape[1] - 2 * self.rank - inputs
        places = loading_slices(self.rank, inputs, readouts)
        mean = {kind: means[:, places[kind]] for kind in "mnIw"}
        factor = {kind: factors[:, places[kind]] for kind in "mnIw"}
        cov = {
            pair: factor[pair[0]] @ factor[pair[1]].swapaxes(1, 2)
            for pair in ("mm", "mI", "II", "nm", "nI", "wm", "wI")
        }
        b = equations.Blocks(
            weights, mean["m"], mean["n"], mean["I"], cov["mm"], cov["mI"], cov["II"], cov["nm"], cov["nI"]
        )
        return b, (mean["w"], cov["wm"], cov["wI"])

    def result(self, params, task, about):
        """No network, and the mixture."""
        return None, self.connectivity(params, task)

    def adopt(self, source, task, seed):
        """Parameters from a mixture, or from that of a network."""
        return self.structure.adopt(as_mixture(source), task)


def as_mixture(source):
    """A mixture as it is, or the one that a network was drawn from."""
    c = source.mixture if isinstance(source, Network) else source
    if not isinstance(c, Connectivity):
        what = "a network without a mixture" if isinstance(source, Network) else type(source).__name__
        raise ValueError(
            f"start must be a Connectivity, or a Network with a mixture: got {what}; fit_populations fits one"
        )
    return c
