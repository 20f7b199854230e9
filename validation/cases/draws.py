"""Numbers measured in drawn networks against their theory, as statements."""

import numpy as np

from ..verdict import independent, limits
from . import checks

NETWORKS = "finite networks"
#: Level of one comparison; a case makes some ten of them.
LEVEL = 1e-4
#: The mean over draws is shifted by an amount of order 1/N that is not predicted: allowed is this many standard
#: deviations at N = 1.
SHIFT = 5.0


def pooled(sizes, drawn):
    """Standard deviation over draws at the last size, estimated from all of (L, D, ...), and its freedom."""
    drawn, sizes = np.asarray(drawn, float), np.asarray(sizes, float)
    variance = np.tensordot(sizes, drawn.var(axis=1, ddof=1), 1) / len(sizes)
    return np.sqrt(variance / sizes[-1]), len(sizes) * (drawn.shape[1] - 1)


def allowance(drawn, n_neurons, std=None, freedom=None):
    """How far means over draws may be from the theory: (standard errors, allowed distances), (K,) each.

    Parameters
    ----------
    drawn : ndarray (D, K)
    n_neurons : int
    std : ndarray (K,), optional
        Predicted spread of one network; where there is none it is measured, and normal becomes Student's t.
    freedom : int, optional
        Where ``std`` is measured too, by :func:`pooled`.
    """
    from scipy.stats import norm, t

    draws, many = drawn.shape
    level = LEVEL / 2 / many
    freedom = draws - 1 if std is None else freedom
    far = norm.isf(level) if freedom is None else t.isf(level, freedom)
    std = drawn.std(axis=0, ddof=1) if std is None else np.broadcast_to(np.asarray(std, float), (many,))
    return std / np.sqrt(draws), far * std / np.sqrt(draws) + SHIFT * std / np.sqrt(n_neurons)


def mean_agrees(text, drawn, value, n_neurons, std=None, freedom=None, error=0.0, source=NETWORKS):
    """The mean over draws is the theory's, within standard errors and a shift of order 1/N.

    Parameters
    ----------
    drawn : array_like (D,) or (D, K)
        K numbers of each draw, all of which must agree; the worst is shown.
    value : float or (K,)
    n_neurons, std, freedom
        As for :func:`allowance`.
    error : float
        Of the theory.
    """
    drawn = np.asarray(drawn, float).reshape(len(drawn), -1)
    value = np.broadcast_to(np.asarray(value, float), drawn.shape[1:])
    errors, allowed = allowance(drawn, n_neurons, std, freedom)
    off = np.abs(drawn.mean(axis=0) - value)
    k = int(np.argmax(off / (allowed + error + 1e-300)))
    kind = "measured" if std is None or freedom else "predicted"
    worst = f", the worst of {len(value)}" if len(value) > 1 else ""
    return checks.claim(
        f"{text} ({len(drawn)} networks of {n_neurons} neurons)",
        (off <= allowed + error).all(),
        f"{drawn[:, k].mean():.5g} ± {errors[k]:.2g} (z = {(drawn[:, k].mean() - value[k]) / errors[k]:+.1f}{worst})",
        f"{value[k] + 0.0:.5g}, allowed {allowed[k] + error:.2g}: {kind} standard errors, and a shift of order 1/N",
        source,
    )


def line(sizes, drawn):
    """Means over draws (L, D) as value = limit + slope/N: (limit, slope), their covariance (2, 2), freedom."""
    sizes, drawn = np.asarray(sizes, float), np.asarray(drawn, float)
    std, freedom = pooled(sizes, drawn)
    errors = std * np.sqrt(sizes[-1] / sizes / drawn.shape[1])
    design = np.stack([np.ones_like(sizes), 1 / sizes], axis=1) / errors[:, None]
    covariance = np.linalg.inv(design.T @ design)
    return covariance @ design.T @ (drawn.mean(axis=1) / errors), covariance, freedom


def limit(sizes, drawn):
    """What means over draws (L, D) come to for N to infinity: (limit, its error, freedom)."""
    fitted, covariance, freedom = line(sizes, drawn)
    return float(fitted[0]), float(np.sqrt(covariance[0, 0])), freedom


def limit_agrees(text, sizes, drawn, value, wrong=None, source=NETWORKS):
    """Means over draws (L, D), continued to infinite N, are the theory's value, and not that of a wrong theory."""
    from scipy.stats import t

    found, error, freedom = limit(sizes, drawn)
    far = float(t.isf(LEVEL / 2, freedom))
    holds = abs(found - value) <= far * error and (wrong is None or abs(found - wrong) > far * error)
    return checks.claim(
        f"{text}, {_continued(sizes, drawn[0])}",
        holds,
        f"{found:.5g} ± {error:.2g}",
        f"{value:.5g}, within {far:.1f} measured standard errors" + ("" if wrong is None else f", and not {wrong:.5g}"),
        source,
    )


def limits_agree(text, sizes, drawn, values, wrong=None, source=NETWORKS):
    """Several limits at once, as one number: the factor by which they differ from the theory's values is 1.

    Weights are measured too: the error and the degrees of freedom are those of a mean whose weights are (Meier 1953).

    Parameters
    ----------
    drawn : (K, L, D)
        K quantities, measured on networks of their own.
    values : (K,)
    wrong : (K,), optional
        Those of a wrong theory; the factor must not be theirs.
    """
    from scipy.stats import t

    found, errors, freedom = (np.array(q) for q in zip(*(limit(sizes, one) for one in drawn), strict=True))
    values = np.asarray(values, float)
    weights = values / errors**2
    shares = weights * values / (weights @ values)
    error = np.sqrt((1 + 4 * (shares * (1 - shares) / freedom).sum()) / (weights @ values))
    factor = float(weights @ found / (weights @ values))
    others = None if wrong is None else float(weights @ np.asarray(wrong, float) / (weights @ values))
    far = float(t.isf(LEVEL / 2, 1 / (shares**2 / freedom).sum()))
    holds = abs(factor - 1) <= far * error and (others is None or abs(factor - others) > far * error)
    return checks.claim(
        f"{text}, {len(values)} limits in one: measured over theory, {_continued(sizes, drawn[0][0])}",
        holds,
        f"{factor:.4g} ± {error:.2g}",
        f"1, within {far:.1f} measured standard errors" + ("" if others is None else f", and not {others:.4g}"),
        source,
    )


def _continued(sizes, one):
    return f"continued from N = {', '.join(f'{n:g}' for n in sizes)} ({len(one)} networks each) to infinity"


def is_rejected(text, drawn, value, n_neurons, std=None, freedom=None, source=NETWORKS):
    """A theory that leaves something out is farther from the mean over draws than chance and 1/N explain."""
    drawn = np.asarray(drawn, float).reshape(len(drawn), 1)
    errors, allowed = allowance(drawn, n_neurons, std, freedom)
    mean = drawn.mean()
    return checks.claim(
        f"{text} ({len(drawn)} networks of {n_neurons} neurons)",
        abs(mean - value) > allowed[0],
        f"{mean:.5g} ± {errors[0]:.2g}",
        f"away from {value + 0.0:.5g} by more than {allowed[0]:.2g}",
        source,
    )


def spread_agrees(text, z, source=NETWORKS):
    """z-scores (D, Q) about the theory, of D independent draws, have standard deviation 1."""
    z = np.asarray(z, float).reshape(len(z), -1)
    found, (low, high) = float(np.sqrt((z**2).mean())), limits(independent(z), LEVEL)
    return checks.claim(
        f"{text}: z-scores of {z.shape[1]} numbers in {len(z)} draws, in predicted standard deviations",
        low <= found <= high,
        f"root mean square {found:.3f}",
        f"1, within {low:.2f} to {high:.2f}",
        source,
    )


def falls_like_root(text, sizes, drawn, source=NETWORKS):
    """The spread over draws falls like N^(-1/2): slope of its logarithm, within its own error.

    Parameters
    ----------
    sizes : (L,)
    drawn : ndarray (L, D, K)
        Several numbers K of one kind, whose variances are averaged; counted as one for the error.
    """
    sizes, drawn = np.asarray(sizes, float), np.asarray(drawn, float)
    return slope_is_half(text, sizes, np.sqrt(drawn.var(axis=1, ddof=1).mean(axis=-1)), drawn.shape[1] - 1, source)


def slope_is_half(text, sizes, size, freedom, source=NETWORKS):
    """``size`` (L,), a root mean square of so many numbers each, falls like N^(-1/2)."""
    from scipy.stats import norm

    x, y = np.log(sizes), np.log(size)
    slope = np.polyfit(x, y, 1)[0]
    error = np.sqrt(0.5 / freedom) / np.sqrt(((x - x.mean()) ** 2).sum())
    far = float(norm.isf(LEVEL / 2))
    return checks.claim(
        f"{text} falls like N^(-1/2), over N = {', '.join(f'{n:g}' for n in sizes)}",
        abs(slope + 0.5) < far * error,
        f"slope {slope:.2f} ± {error:.2f}",
        f"-1/2, within {far:.1f} standard errors",
        source,
    )
