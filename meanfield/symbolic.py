"""From a mixture, or from nothing but a rank and a number of populations, to its reduced equations as formulas."""

import numbers

import numpy as np

from .equations import Blocks


def derive(c=None, transfer=None, inputs=None, symbols=False, *, exact=False, rank=None, populations=1, means=False):
    """The reduced equations :eq:`reduced-drift` as sympy expressions.

    Either of a connectivity, ``derive(c, transfer="tanh")``, or in general, in the notation of the theory:
    ``derive(rank=2, populations=2, inputs=("A",))``.

    Parameters
    ----------
    c : Connectivity, optional
    transfer : Transfer or str, optional
        Default ``"tanh"`` for a connectivity, unspecified for the general form; ``"phi"`` leaves it unspecified.
    inputs : mapping name -> number, or sequence of names
        With a connectivity: constant amplitudes, unlisted inputs off; without it the v_s stay symbols. For the
        general form: the names of the inputs.
    symbols : bool
        Keep a symbol for every statistic of ``c`` that is not zero; ``substitute()`` puts the numbers in.
    exact : bool
        Read the numbers of ``c`` as the simplest fractions within 1e-14. Otherwise those that are short binary
        fractions (2.5) are exact and all others floats.
    rank, populations : int
        Size of the general form.
    means : bool
        General form with means mu_a^(p) of the loadings.

    Returns
    -------
    ReducedEquations

    Raises
    ------
    ValueError
        Neither or both of ``c`` and ``rank``, unknown inputs, g > 0, sizes that are not positive integers.
    """
    if (c is None) == (rank is None):
        raise ValueError("derive needs either a connectivity or rank=..: got " + ("neither" if c is None else "both"))
    from .formulas import reduced
    from .formulas.symbols import Phi

    default = "phi" if c is None else "tanh"
    phi = Phi(None if (transfer or default) == "phi" else transfer or default)
    if c is None:
        return _general(reduced, phi, rank, populations, tuple(inputs or ()), means)
    if np.any(np.asarray(c.g) != 0):
        raise ValueError(
            f"derive covers low-rank connectivity, but this one has a random part of strength g = {c.g}; "
            "set g = 0 (dataclasses.replace(c, g=0.0)) to study its low-rank part alone"
        )
    return _particular(reduced, phi, c, inputs, symbols, exact)


def _particular(reduced, phi, c, inputs, symbols, exact):
    b = c.blocks()
    arrays = {name: _numbers(getattr(b, name), exact) for name in b._fields if name != "spread"}
    values = {}
    if symbols:
        names = _symbol_blocks(reduced, c.n_populations, c.rank, c.inputs, True)
        for key, array in arrays.items():
            keep = [sym if x != 0 else x for sym, x in zip(names[key].ravel(), array.ravel(), strict=True)]
            values |= {sym: x for sym, x in zip(keep, array.ravel(), strict=True) if sym is not x and sym.is_Symbol}
            arrays[key].ravel()[:] = keep
    v = tuple(reduced.input_symbol(name, len(c.inputs)) for name in c.inputs)
    eq = reduced.ReducedEquations(Blocks(**arrays, spread=b.spread), _kappa(c.rank), v, phi, tuple(c.inputs), values)
    if inputs is None:
        return eq
    for name, u in dict(inputs).items():
        if not (isinstance(u, numbers.Real) and np.isfinite(float(u))):
            raise ValueError(f"input {name!r} must be a finite number: got {u!r}")
    from .formulas.symbols import number

    return eq.with_inputs({name: number(u, exact) for name, u in dict(inputs).items()})


def _general(reduced, phi, rank, populations, inputs, means):
    for what, n in (("rank", rank), ("populations", populations)):
        if isinstance(n, bool) or not isinstance(n, numbers.Integral) or n < 1:
            raise ValueError(f"{what} must be a positive integer: got {n!r}")
    if len(set(inputs)) < len(inputs):
        raise ValueError(f"inputs need different names: got {list(inputs)}")
    arrays = _symbol_blocks(reduced, populations, rank, inputs, means)
    v = tuple(reduced.input_symbol(name, len(inputs)) for name in inputs)
    return reduced.ReducedEquations(Blocks(**arrays), _kappa(rank), v, phi, inputs)


def _symbol_blocks(reduced, populations, rank, inputs, means):
    """Every statistic as a symbol, {name of the block: object array}."""
    import sympy as sp

    m, n = ([f"{kind}{r + 1}" for r in range(rank)] for kind in "mn")
    loadings = {"m": m, "n": n, "I": list(inputs)}
    labels = [0] if populations == 1 else range(1, populations + 1)

    def block(kind, *axes):
        names = np.empty((populations, *(len(loadings[a]) for a in axes)), dtype=object)
        for at in np.ndindex(names.shape):
            pair = tuple(loadings[a][i] for a, i in zip(axes, at[1:], strict=True))
            if axes in (("m", "m"), ("I", "I")) and at[1] > at[2]:
                pair = pair[::-1]
            zero = kind == "mu" and not means
            names[at] = sp.S.Zero if zero else reduced.statistic(kind, pair, labels[at[0]], rank, len(inputs))
        return names

    weights = np.empty(populations, dtype=object)
    weights[:] = [sp.S.One] if populations == 1 else [reduced.weight_symbol(p) for p in labels]
    pairs = {"cov_mm": "mm", "cov_mI": "mI", "cov_II": "II", "cov_nm": "nm", "cov_nI": "nI"}
    blocks = {name: block("sigma", *axes) for name, axes in pairs.items()}
    return {"weights": weights, **{f"mean_{a}": block("mu", a) for a in "mnI"}, **blocks}


def _kappa(rank):
    import sympy as sp

    return tuple(sp.Symbol("kappa" if rank == 1 else f"kappa_{r + 1}", real=True) for r in range(rank))


def _numbers(array, exact):
    from .formulas.symbols import number

    out = np.empty(array.shape, dtype=object)
    out.ravel()[:] = [number(x, exact) for x in np.asarray(array).ravel()]
    return out
