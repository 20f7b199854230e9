"""Records of time-dependent states: chaotic fluctuations, or fluctuations that noise drives."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .problem import Problem


class Status(enum.Enum):
    """How far one solution can be trusted; the value is the sentence a person reads."""

    CONVERGED = "converged"
    NEUTRAL = "converged, but at a fold or bifurcation: the Jacobian of the equations is singular within its error"
    INACCURATE = "the residual is larger than rounding explains: start closer to the solution, with starts= or start="
    COARSE = (
        "the averages are not known to a millionth of the variance: phi varies on a much shorter scale than its input; "
        "take a smoother function, or weaker inputs"
    )

    @property
    def settled(self):
        """True when the numbers are a solution."""
        return self not in (Status.INACCURATE, Status.COARSE)


class SearchStatus(enum.Enum):
    """What a list of solutions is; the value is the sentence a person reads."""

    FOUND = "all solutions that the search met (their completeness is numerical, not proved)"
    RING = "representatives of a ring of solutions: the overlap matrix is degenerate, and a symmetry links them"
    NONE = "no time-dependent state"
    FAILED = "the search met no solution, although one may exist: pass starts= close to it"


#: A growth rate of kappa, times tau, that rounding cannot tell from 0.
NEUTRAL = 1e-8


def stability(rates, runaway, ring, tau):
    """Whether kappa returns to its value with the variances slaved to it, and the sentence that says why.

    Parameters
    ----------
    rates : ndarray (R,), complex
        Eigenvalues of the slow flow of kappa, times tau, fastest growing first.
    runaway : bool
        Whether the variances leave their own solution at fixed kappa.
    ring : bool
        Whether one rate is 0 because a symmetry moves the state along a ring.
    tau : float
    """
    if not np.isfinite(rates).all():
        return None, "the variances cannot follow kappa here: their own equations are singular"
    if runaway:
        return None, "at fixed kappa the variances would run away; a run in two times tells whether kappa holds them"
    if ring:
        rates = np.delete(rates, np.abs(rates).argmin())
    top = rates[0]
    size = f"{top.real / tau:.4g}" + (f" +- {abs(top.imag) / tau:.4g}i" if top.imag else "")
    what = f"the leading eigenvalue of the slow flow of kappa{' across the ring' * ring} is {size}"
    if abs(top.real) <= NEUTRAL:
        return None, f"{what}, zero within its error: a bifurcation or a ring"
    return bool(top.real < 0), what


def in_order(states):
    """Attracting ones first, then those not known, then the others; in each group the largest kappa first."""
    return sorted(states, key=lambda s: ({True: 0, None: 1, False: 2}[s.attracting], tuple(-np.round(s.kappa, 9))))


@dataclass(frozen=True, eq=False)
class ChaoticState:
    """A state that is stationary only as a distribution: every neuron fluctuates, with one law at all times.

    Without noise the fluctuations are chaotic (lyapunov > 0). With noise they may be driven by the noise alone
    (lyapunov < 0); ``kind`` says which. All variances are totals, of structure, static inputs and random part.

    Attributes
    ----------
    kappa : ndarray (R,)
        Collective variables, constant in time.
    delta0, delta_inf : ndarray (P,)
        Delta_p(0), the variance of a neuron's input, and Delta_p(infinity), the part of it that is frozen in time.
    mean_activity : ndarray (P,)
        <phi>_p.
    residual : float
        Largest residual of the equations for (kappa, delta0, delta_inf), relative to the sizes of their terms.
    status : Status
    attracting : bool or None
        Whether the state attracts the slow flow of kappa; None where that is not known.
    reason : str
        The sentence behind ``attracting``.
    problem : Problem
    decay : object
        How the correlations fall: ``decay(lag)`` gives Delta_p(lag) - Delta_p(infinity) and an error bound, (..., P)
        each, for lags >= 0 in units of tau = 1; ``decay.lyapunov()`` the largest Lyapunov exponent and its error
        in units of 1/tau; ``decay.activity(excess)`` the correlations <phi(x(t)) phi(x(t'))>_p (..., P) where
        Delta_p(t - t') - Delta_p(infinity) is ``excess`` (..., P).
    """

    kappa: np.ndarray
    delta0: np.ndarray
    delta_inf: np.ndarray
    mean_activity: np.ndarray
    residual: float
    status: Status
    attracting: bool | None
    reason: str
    problem: Problem
    decay: Any

    def delta(self, tau, with_error=False):
        """Delta_p(tau), the autocorrelation of the input over lags in the unit of tau: (..., P).

        Parameters
        ----------
        tau : array_like (...)
            Lags of either sign.
        with_error : bool
            Return ``(value, error)``; the error is an estimate.

        Raises
        ------
        ValueError
            A lag that is nan.
        """
        value, error = self.decay(self._lags(tau))
        return (self.delta_inf + value, error) if with_error else self.delta_inf + value

    def activity(self, tau):
        """<phi(x(t)) phi(x(t + tau))>_p, the autocorrelation of the activity: (..., P)."""
        return self.decay.activity(self.decay(self._lags(tau))[0])

    def _lags(self, tau):
        lags = np.abs(np.asarray(tau, float)) / self.problem.tau
        if np.isnan(lags).any():
            raise ValueError("a lag is nan: give lags in the unit of tau")
        return lags

    @cached_property
    def _exponent(self):
        value, error = self.decay.lyapunov()
        return float(value / self.problem.tau), float(error / self.problem.tau)

    @property
    def lyapunov(self):
        """The largest Lyapunov exponent, in 1/(unit of tau); nan where it could not be computed."""
        return self._exponent[0]

    @property
    def lyapunov_error(self):
        """Estimated error of ``lyapunov``."""
        return self._exponent[1]

    @property
    def kind(self):
        """ "chaotic", "noise-driven", or "undecided" when the exponent is 0 within its error."""
        if not abs(self.lyapunov) > self.lyapunov_error:
            return "undecided"
        return "chaotic" if self.lyapunov > 0 else "noise-driven"

    @property
    def chaotic(self):
        """True when the largest Lyapunov exponent is positive, by more than its error."""
        return self.kind == "chaotic"

    @property
    def static(self):
        """True where no chaos is left: the noise drives all the fluctuations (the exponent is negative)."""
        return self.kind == "noise-driven"

    def __str__(self):
        """One line: where, how large, how fast, how sure."""
        word = {True: "attracting", False: "not attracting", None: "stability not known"}[self.attracting]
        return (
            f"{self.kind} state, kappa ({_numbers(self.kappa)}), Delta0 ({_numbers(self.delta0)}), "
            f"Delta_inf ({_numbers(self.delta_inf)}), lambda {self.lyapunov:.6g} +- {self.lyapunov_error:.0e}, "
            f"{word}: {self.reason}; {self.status.value}"
        )


def _numbers(values):
    return ", ".join(f"{round(float(x), 6) + 0.0:.6g}" for x in values)


@dataclass(frozen=True, eq=False)
class ChaoticStates(Sequence):
    """The time-dependent states of a problem, the attracting one first; a sequence of :class:`ChaoticState`.

    Attributes
    ----------
    states : tuple of ChaoticState
    status : SearchStatus
    note : str
        What the search did, or why there is none and what to change.
    problem : Problem
    """

    states: tuple
    status: SearchStatus
    note: str
    problem: Problem

    def __getitem__(self, index):
        return self.states[index]

    def __len__(self):
        return len(self.states)

    @property
    def summary(self):
        """One line: how many, and how far the list can be trusted."""
        found = f"{len(self)} time-dependent state{'' if len(self) == 1 else 's'}"
        return f"{found}; {self.status.value}" + (f"; {self.note}" if self.note else "")

    def __str__(self):
        return "\n".join([self.summary, *(f"  {state}" for state in self.states)])

    def _repr_html_(self):
        import html

        head = "".join(
            f"<th>{x}</th>" for x in ("kappa", "Delta0", "Delta_inf", "lambda", "kind", "attracting", "reason")
        )
        body = ""
        for s in self.states:
            exponent = f"{s.lyapunov:.6g} &plusmn; {s.lyapunov_error:.0e}"
            cells = (_numbers(s.kappa), _numbers(s.delta0), _numbers(s.delta_inf), exponent, s.kind, s.attracting)
            body += "<tr>" + "".join(f"<td>{x}</td>" for x in (*cells, html.escape(s.reason))) + "</tr>"
        return f"<p>{html.escape(self.summary)}</p><table><tr>{head}</tr>{body}</table>"
