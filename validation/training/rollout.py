"""A network in time for a tracer (JAX), with its adjoint written out: readouts, and their gradients in the loadings.

The rule is Euler's, that of :mod:`meanfield.validation.stepping` (docs: :eq:`training-step`); noise is added to x per
step and not scaled by sqrt(dt). Neurons come first and trials last, (N, B): products of few rows with many columns are
several times faster so. The adjoint runs backwards over the stored phi(x) (docs: :eq:`training-adjoint`); an automatic
one would store six arrays of that size, and read them again.
"""

import functools
from typing import Any, NamedTuple

from meanfield.traced import import_fit, traced_transfer


class Rule(NamedTuple):
    """How a network is stepped: dt/tau, standard deviation of the noise per step, name of phi."""

    step: float = 0.2
    noise_std: float = 0.0
    transfer: str = "tanh"


class Loadings(NamedTuple):
    """What a rollout is differentiated in: J = J + (1/N) m n^T, either part may be absent (R = 0, None)."""

    m: Any  #: (N, R)
    n: Any  #: (N, R)
    I: Any  #: (N, S)
    w: Any  #: (N, W)
    J: Any = None  #: (N, N) or None


def rollout(loadings, u, noise, rule):
    """Readouts z = (1/N) w.phi(x) after each step of Euler's rule from x = 0: (T, W, B).

    Differentiable in the loadings and in u; in the noise it is not.

    Parameters
    ----------
    loadings : Loadings
    u : (T, S, B)
    noise : (T, N, B), or None
        Of variance 1; ``rule.noise_std`` scales it.
    rule : Rule
    """
    return _rollout(rule)(loadings, u, noise)


@functools.cache
def _rollout(rule):
    jax, phi = import_fit().jax, traced_transfer(rule.transfer)

    @jax.custom_vjp
    def run(loadings, u, noise):
        return _forward(loadings, u, noise, rule, phi)[0]

    def forward(loadings, u, noise):
        z, kept = _forward(loadings, u, noise, rule, phi)
        return z, (loadings, u, *kept)

    def backward(saved, slope_z):
        return (*_backward(saved, slope_z, rule, phi), None)

    run.defvjp(forward, backward)
    return run


def _sides(loadings, step):
    """Targets step [m, I] (N, R + S) and sources [n, w]^T / N (R + W, N)."""
    jnp = import_fit().numpy
    targets = step * jnp.concatenate([loadings.m, loadings.I], 1)
    return targets, jnp.concatenate([loadings.n, loadings.w], 1).T / len(loadings.m)


def _forward(loadings, u, noise, rule, phi):
    """z (T, W, B), and what the adjoint needs: phi(x) or x (T, N, B), and kappa with which each step was taken."""
    jax = import_fit().jax
    rank, count = loadings.m.shape[1], u.shape[-1]
    targets, sources = _sides(loadings, rule.step)

    def one(state, given):
        x, r, kappa = state
        push, eta = given
        x = (1 - rule.step) * x + targets @ jax.numpy.concatenate([kappa, push], 0)
        if loadings.J is not None:
            x = x + rule.step * (loadings.J @ r)
        if eta is not None:
            x = x + rule.noise_std * eta
        r = phi.value(x)
        out = sources @ r
        return (x, r if loadings.J is not None else (), out[:rank]), (r if phi.by_value else x, kappa, out[rank:])

    x = jax.numpy.zeros((len(loadings.m), count), u.dtype)
    r = phi.value(x)
    start = (x, r if loadings.J is not None else (), sources[:rank] @ r)
    _, (kept, kappa, z) = jax.lax.scan(one, start, (u, noise))
    return z, (kept, kappa)


def _backward(saved, slope_z, rule, phi):
    """Gradients in the loadings and in u, from those in z (T, W, B)."""
    loadings, u, kept, kappa = saved
    jax = import_fit().jax
    jnp, (size, rank) = jax.numpy, loadings.m.shape
    targets, sources = _sides(loadings, rule.step)

    def one(state, given):
        x_bar, kappa_bar, d_targets, d_sources, d_full = state
        stored, z_bar, kappa_here, push = given
        r = stored if phi.by_value else phi.value(stored)
        out_bar = jnp.concatenate([kappa_bar, z_bar], 0)
        r_bar = sources.T @ out_bar
        if d_full is not None:
            r_bar = r_bar + rule.step * (loadings.J.T @ x_bar)
            d_full = d_full + x_bar @ r.T
        d_sources = d_sources + r @ out_bar.T
        x_bar = (1 - rule.step) * x_bar + phi.slope(stored, r) * r_bar
        in_bar = targets.T @ x_bar
        d_targets = d_targets + x_bar @ jnp.concatenate([kappa_here, push], 0).T
        return (x_bar, in_bar[:rank], d_targets, d_sources, d_full), in_bar[rank:]

    zero = functools.partial(jnp.zeros, dtype=u.dtype)
    count, full = u.shape[-1], None if loadings.J is None else zero((size, size))
    start = (zero((size, count)), zero((rank, count)), zero(targets.shape), zero(sources.T.shape), full)
    end, d_u = jax.lax.scan(one, start, (kept, slope_z, kappa, u), reverse=True)
    x_bar, kappa_bar, d_targets, d_sources, d_full = end
    at_rest = phi.value(zero(()))  # phi(x) before the first step, the same for all
    d_n = d_sources[:, :rank] + at_rest * kappa_bar.sum(1)
    if d_full is not None:
        d_full = rule.step * (d_full + at_rest * x_bar.sum(1)[:, None])
    d_m, d_inputs = rule.step * d_targets[:, :rank], rule.step * d_targets[:, rank:]
    return Loadings(d_m, d_n / size, d_inputs, d_sources[:, rank:] / size, d_full), d_u
