"""The record of derived equations: drift, Jacobian, functional connectivity, and what follows from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import sympy as sp

from .. import equations
from ..averages import gaussian_average
from ..equations import Blocks
from . import analytic, normal_forms
from .symbols import GaussianAverage, Phi, Statistic, number

_TIME, _TAU = sp.Symbol("t", real=True), sp.Symbol("tau", positive=True)
_ARRAYS = tuple(name for name in Blocks._fields if name != "spread")


@dataclass(frozen=True, eq=False)
class ReducedEquations:
    """The reduced equations :eq:`reduced-drift` of a mixture, as sympy expressions; made by :func:`meanfield.derive`.

    Attributes
    ----------
    blocks : Blocks
        Statistics of the loadings, object arrays of sympy numbers and symbols.
    kappa : tuple of R symbols
    v : tuple of S symbols or numbers
        Relaxed input variables.
    phi : Phi
        The transfer function; unspecified for the general form.
    inputs : tuple of S names
    values : mapping symbol -> number
        What :meth:`substitute` puts in by default.
    """

    blocks: Blocks
    kappa: tuple
    v: tuple
    phi: Phi
    inputs: tuple = ()
    values: Mapping = field(default_factory=dict)

    @property
    def rank(self):
        """Number of collective variables."""
        return len(self.kappa)

    @property
    def parameters(self):
        """Symbols besides kappa, sorted by name."""
        return tuple(sorted(self.drift.free_symbols - set(self.kappa), key=str))

    @cached_property
    def mean(self):
        """Mean input of each population, P expressions."""
        return _sympified(equations.mean(self.blocks, _array(self.kappa), _array(self.v)))

    @cached_property
    def variance(self):
        """Variance of the input over each population, P expressions."""
        return _sympified(equations.variance(self.blocks, _array(self.kappa), _array(self.v)))

    def gain(self, order):
        """<phi^(order)>_p of each population, P expressions."""
        return self._gains(self.mean, self.variance, order)[order]

    def _gains(self, mean, variance, highest):
        labels = [0] if len(mean) == 1 else range(1, len(mean) + 1)
        rows = [
            [GaussianAverage(self.phi, k, *a) for a in zip(mean, variance, labels, strict=True)]
            for k in range(highest + 1)
        ]
        return np.array(rows, dtype=object)

    @cached_property
    def drift(self):
        """tau dkappa/dt, Matrix (R, 1)."""
        return self.drift_at(self.kappa)

    def drift_at(self, kappa):
        """tau dkappa/dt at R expressions, Matrix (R, 1)."""
        kappa, v = _array(kappa), _array(self.v)
        mean, variance = (_sympified(f(self.blocks, kappa, v)) for f in (equations.mean, equations.variance))
        return sp.Matrix(equations.drift(self.blocks, kappa, v, self._gains(mean, variance, 1)).tolist())

    @cached_property
    def jacobian(self):
        """d(tau dkappa_i/dt)/dkappa_j with the terms in <phi''> and <phi'''>, Matrix (R, R): :eq:`reduced-jacobian`."""
        identity = np.array(sp.eye(self.rank).tolist(), dtype=object)
        gain = self._gains(self.mean, self.variance, 3)
        return sp.Matrix(equations.jacobian(self.blocks, _array(self.kappa), _array(self.v), gain, identity).tolist())

    @cached_property
    def functional_connectivity(self):
        """sigma~_ab = sum_p alpha_p sigma_ab^p <phi'>_p: mapping ("n1", "m1") or ("n1", input name) -> expression."""
        gain = self._gains(self.mean, self.variance, 1)
        rows = np.concatenate(
            [equations.functional_connectivity(self.blocks, gain, x) for x in (self.blocks.cov_nm, self.blocks.cov_nI)],
            axis=-1,
        )
        columns = [f"m{s + 1}" for s in range(self.rank)] + list(self.inputs)
        return {(f"n{r + 1}", b): sp.sympify(rows[r, s]) for r in range(self.rank) for s, b in enumerate(columns)}

    def equations(self):
        """The equations in the seeds' notation, tau dkappa_r/dt = -kappa_r + sigma~ kappa + sigma~ v: R sympy Eq.

        sigma~ stands as a symbol where it does not vanish; its expression is in :attr:`functional_connectivity`.
        """
        b, gain, lines = self.blocks, self.gain(0), []
        for r, k in enumerate(self.kappa):
            terms = [-k, *(b.weights[p] * b.mean_n[p, r] * gain[p] for p in range(len(gain)))]
            for (a, other), x in zip(self._row_names(r), (*self.kappa, *self.v), strict=True):
                if self.functional_connectivity[a, other] != 0:
                    terms.append(self._sigma_tilde(a, other) * x)
            right = sp.Add(*(x for x in terms if x != 0), evaluate=False)
            lines.append(sp.Eq(_TAU * sp.Derivative(k, _TIME, evaluate=False), right, evaluate=False))
        return lines

    def definitions(self):
        """What the symbols of :meth:`equations` stand for: list of sympy Eq for sigma~_ab, mu_p and Delta_p."""
        lines = [
            sp.Eq(self._sigma_tilde(a, b), x, evaluate=False)
            for (a, b), x in self.functional_connectivity.items()
            if x != 0
        ]
        many = len(self.mean) > 1
        for kind, row in (("mu", self.mean), ("Delta", self.variance)):
            for p, x in enumerate(row, 1):
                if x != 0 and self.variance[p - 1] != 0:  # without variance <phi> is phi(mu), already put in
                    lines.append(sp.Eq(sp.Symbol(f"{kind}_{p}" if many else kind), x, evaluate=False))
        return lines

    def _row_names(self, r):
        return [(f"n{r + 1}", b) for b in [f"m{s + 1}" for s in range(self.rank)] + list(self.inputs)]

    def _sigma_tilde(self, a, b):
        return statistic("sigma", (a, b), 0, self.rank, len(self.inputs), tilde=True)

    def latex(self, definitions=True):
        """LaTeX of the equations and, unless ``definitions`` is False, of what they are made of; no macros."""
        rows = [f"{sp.latex(line.lhs)} &= {_in_order(line.rhs, sp.latex)}" for line in self.equations()]
        if definitions:
            rows += [f"{sp.latex(line.lhs)} &= {sp.latex(line.rhs)}" for line in self.definitions()]
        if definitions and any(self.variance):
            rows.append(_average_definition(self.phi, len(self.mean) > 1, any(self.mean)))
        return r"\begin{split} " + r" \\ ".join(rows) + r" \end{split}"

    def _repr_latex_(self):
        return f"$$ {self.latex()} $$"

    def __str__(self):
        left = [f"tau d{k}/dt" for k in self.kappa]
        lines = [f"{x} = {_in_order(line.rhs, str)}" for x, line in zip(left, self.equations(), strict=True)]
        return "\n".join(lines + [f"{line.lhs} = {line.rhs}" for line in self.definitions()])

    def substitute(self, values=None, **named):
        """The same equations with numbers (or expressions) for symbols.

        Parameters
        ----------
        values : mapping symbol or name -> value, optional
            Default: the stored :attr:`values`.
        **named
            The same by name, e.g. ``sigma_n1_m1_p1=3``; ``v_A=1`` sets an input.

        Raises
        ------
        ValueError
            A name that is none of the symbols.
        """
        known = {str(s): s for s in self._symbols()}
        values = dict(self.values) if values is None and not named else {**(values or {}), **named}
        for key in values:
            if str(key) not in known:
                raise ValueError(
                    f"unknown symbol {str(key)!r}: these equations have {', '.join(sorted(known)) or 'none'}"
                )
        mapping = {known[str(key)]: number(value) for key, value in values.items()}
        arrays = {name: _mapped(getattr(self.blocks, name), mapping) for name in _ARRAYS}
        v = tuple(x.xreplace(mapping) for x in self.v)
        return replace(self, blocks=self.blocks._replace(**arrays), v=v)

    def with_inputs(self, inputs=None):
        """The same equations at given input amplitudes, by name; unnamed inputs that are still symbols are off."""
        inputs = dict(inputs or {})
        unknown = [name for name in inputs if name not in self.inputs]
        if unknown:
            raise ValueError(f"unknown input {unknown[0]!r}: these equations have inputs {list(self.inputs)}")
        v = tuple(
            number(inputs[name]) if name in inputs else sp.S.Zero if x == input_symbol(name, len(self.inputs)) else x
            for name, x in zip(self.inputs, self.v, strict=True)
        )
        return replace(self, v=v)

    def _symbols(self):
        found = set().union(*(x.free_symbols for x in self.v), *(x.free_symbols for x in self.values))
        for name in _ARRAYS:
            found.update(*(x.free_symbols for x in getattr(self.blocks, name).ravel()))
        return found

    def lambdify(self, what="drift"):
        """The expression as a function of numbers: ``f(kappa, v)`` with kappa (..., R), v (..., S) or (S,).

        Gains are evaluated by :func:`~meanfield.averages.gaussian_average`, so the values carry its accuracy.

        Parameters
        ----------
        what : "drift" or "jacobian"
            Result (..., R) or (..., R, R).

        Raises
        ------
        ValueError
            Symbols without a value are left, or phi is unspecified: the message lists them.
        """
        if what not in ("drift", "jacobian"):
            raise ValueError(f'what must be "drift" or "jacobian": got {what!r}')
        expressions = getattr(self, what)
        missing = [str(s) for s in self.parameters if s not in self.v] + ["phi"] * (self.phi.transfer is None)
        if missing:
            raise ValueError(
                f"no value for {', '.join(missing)}: call substitute() first, and derive with a transfer function"
            )
        shape = (self.rank,) if what == "drift" else expressions.shape
        return _numeric(expressions, shape, self.kappa, self.v)

    def fixed_points(self, inputs=None):
        """Fixed points in closed form (:eq:`gain-condition`).

        Returns a list of :class:`~meanfield.formulas.analytic.AnalyticFixedPoint`.

        Input variables that are still symbols are set to ``inputs`` (by name; 0 where not listed).

        Raises
        ------
        ValueError
            The mixture has no closed form; the message says which condition fails.
        """
        return analytic.fixed_points(self.with_inputs(inputs))

    def cycles(self, inputs=None):
        """Limit cycles known analytically (:eq:`cycle-period`).

        Returns a list of :class:`~meanfield.formulas.analytic.AnalyticCycle`.
        """
        return analytic.cycles(self.with_inputs(inputs))

    def normal_form(self, at=None, inputs=None, parameter=None, digits=15):
        """Dynamics on the centre manifold at a fixed point: :func:`meanfield.formulas.normal_forms.normal_form`."""
        return normal_forms.normal_form(self, at, inputs, parameter, digits)


def statistic(kind, names, population, rank, n_inputs, tilde=False):
    """The symbol of mu_a^(p) or sigma_ab^(p); ``population`` 0 leaves the label out.

    Loadings are printed as in the seeds: n_1, m_1, I_A; without an index where there is only one.
    """
    plain, pretty = zip(*(_loading(name, rank, n_inputs) for name in names), strict=True)
    label = f"_p{population}" if population else ""
    greek = rf"\{kind}" if not tilde else rf"\tilde{{\{kind}}}"
    power = f"^{{({population})}}" if population else ""
    latex = f"{greek}_{{{' '.join(pretty)}}}{power}"
    positive = kind == "sigma" and names[0] == names[1]
    assumptions = {"nonnegative": True} if positive else {"real": True}
    return Statistic(f"{kind}{'~' if tilde else ''}_{'_'.join(plain)}{label}", latex, **assumptions)


def _loading(name, rank, n_inputs):
    kind, index = name[0], name[1:]
    if kind in "mn" and index.isdigit():
        return (kind, kind) if rank == 1 else (name, f"{kind}_{index}")
    return name, "I" if n_inputs == 1 else f"I_{{{_roman(name)}}}"


def weight_symbol(population):
    """alpha_p, the fraction of neurons in a population."""
    return Statistic(f"alpha_{population}", rf"\alpha_{{{population}}}", positive=True)


def input_symbol(name, n_inputs):
    """v_s, the relaxed input variable of an input."""
    return Statistic(f"v_{name}", "v" if n_inputs == 1 else f"v_{{{_roman(name)}}}", real=True)


def _roman(name):
    return name if len(name) == 1 else r"\mathrm{" + name.replace("_", r"\ ") + "}"


def _array(values):
    out = np.empty(len(values), dtype=object)
    out[:] = list(values)
    return out


def _sympified(values):
    return tuple(sp.expand(x) for x in values)


def _mapped(array, mapping):
    out = np.empty_like(array)
    out.ravel()[:] = [x.xreplace(mapping) for x in array.ravel()]
    return out


def _in_order(total, show):
    """A sum with its terms where they were put, not where sympy would sort them."""
    return " + ".join(show(term) for term in sp.Add.make_args(total)).replace("+ -", "- ")


def _average_definition(phi, many, with_mean):
    p = "_{p}" if many else ""
    mean = rf"\mu{p} + " if with_mean else ""
    body = rf"\langle \phi^{{(k)}} \rangle{p} &= \int \frac{{dz}}{{\sqrt{{2 \pi}}}} e^{{-z^{{2}}/2}} \phi^{{(k)}}"
    body += rf"\left({mean}\sqrt{{\Delta{p}}}\, z\right)"
    formula = phi.derivative(0, sp.Symbol("x", real=True))
    return body + ("" if formula is None else rf", \quad \phi(x) = {sp.latex(formula)}")


def _numeric(expressions, shape, kappa, v):
    gains = sorted(expressions.atoms(GaussianAverage), key=str)
    names = [sp.Dummy() for _ in gains]
    free = [x for x in v if x.is_Symbol]
    where = [x.is_Symbol for x in v]
    arguments = [*kappa, *free]
    inner = sp.lambdify(arguments, [list(g.args[2:4]) for g in gains], ["scipy", "numpy"])
    flat = list(expressions.xreplace(dict(zip(gains, names, strict=True))))
    outer = sp.lambdify([*arguments, *names], flat, ["scipy", "numpy"])
    transfers = [(g.args[0].transfer, g.order) for g in gains]

    def evaluate(k, inputs=()):
        k, inputs = np.asarray(k, dtype=float), np.asarray(inputs, dtype=float)
        if k.ndim == 0 or k.shape[-1] != len(kappa):
            raise ValueError(f"kappa must have shape (..., {len(kappa)}): got {k.shape}")
        if free and (inputs.ndim == 0 or inputs.shape[-1] != len(where)):
            raise ValueError(f"v must have shape (..., {len(where)}): got {inputs.shape}")
        values = [k[..., r] for r in range(len(kappa))] + [
            inputs[..., s] for s, symbolic in enumerate(where) if symbolic
        ]
        averages = [
            gaussian_average(t, mean=mean, variance=np.maximum(variance, 0.0), order=order)
            for (t, order), (mean, variance) in zip(transfers, inner(*values), strict=True)
        ]
        batch = np.broadcast_shapes(*(x.shape for x in values))
        out = [np.broadcast_to(x, batch) for x in outer(*values, *averages)]
        return np.stack(out, axis=-1).reshape(batch + shape)

    return evaluate
