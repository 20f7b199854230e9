"""Gaussian averages in arbitrary precision: the trapezoidal rule after z = z_c + d sinh t, halved until it settles."""

import mpmath as mp


def average(t, mean, variance, order, digits):
    """<phi^(order)> as an mpmath number with about that many digits."""
    with mp.workdps(digits + 15):
        mean, variance = mp.mpf(mean), mp.mpf(variance)
        if not (mp.isfinite(mean) and mp.isfinite(variance) and variance >= 0):
            raise ValueError(f"mean must be finite and variance finite and >= 0: got {mean} and {variance}")
        if variance == 0:
            value = t.mp(mean, order)
        else:
            value = _integral(t, mean, mp.sqrt(variance), order, digits)
    with mp.workdps(digits):
        return +value


def _integral(t, mean, s, order, digits):
    """Smooth: one sinh map. With kinks: Gauss-Legendre panels, and Stein's lemma for the orders with Dirac masses."""
    reach = mp.sqrt(2 * (digits + 8) * mp.log(10)) + 1
    smooth = min(order, t.singular - 1)
    lift = order - smooth

    def integrand(z):
        factor = mp.hermite(lift, z / mp.sqrt(2)) / mp.sqrt(2) ** lift / s**lift if lift else 1
        return t.mp(mean + s * z, smooth) * factor * mp.npdf(z)

    centre = min(max(-mean / s, -reach), reach)
    width = min(mp.mpf(1), mp.pi / (2 * s))
    if t.kinks:
        cuts = [(mp.mpf(c) - mean) / s for c in (*t.kinks, 0)]
        near = [c + sign * width * mp.mpf(2) ** k for c in cuts for k in range(-1, 12) for sign in (-1, 1)]
        inside = sorted({-reach, reach, *(c for c in (*cuts, *near, *range(-20, 21)) if -reach < c < reach)})
        return mp.quad(integrand, inside)
    low, high = mp.asinh((-reach - centre) / width), mp.asinh((reach - centre) / width)
    step = (high - low) / 128

    def node(u):
        return integrand(centre + width * mp.sinh(u)) * width * mp.cosh(u)

    total = mp.fsum(node(low + j * step) for j in range(129))
    size = mp.fsum(abs(node(low + j * step)) for j in range(0, 129, 4)) * step * 4
    value = step * total
    for _ in range(8):
        total += mp.fsum(node(low + (j + mp.mpf("0.5")) * step) for j in range(int(mp.nint((high - low) / step))))
        step /= 2
        before, value = value, step * total
        if abs(value - before) <= mp.mpf(10) ** (-digits / 2 - 2) * size:  # the error squares with every halving
            return value
    raise ValueError(
        f"the average of {t.name} did not settle to {digits} digits in {int((high - low) / step)} nodes: ask for fewer"
    )
