"""Reference values of Gaussian averages, 30 digits, independent of the package: writes averages.json and pairs.json
beside it.

Singles: trapezoidal rule in t with z = z_c + d sinh t (smooth functions), tanh-sinh on half lines (threshold
functions). Pairs: the same rule for the common part of x and y, and again for each given the common part. ``python
generate.py`` takes minutes on one core; ``--check`` recomputes a few entries with a finer step and compares.
"""

import json
import sys
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import mpmath as mp

HERE = Path(__file__).parent
DIGITS = 30
REACH = 12
STEP = mp.mpf("0.06")

MEANS = ("0", "0.3", "-2", "7.5", "20", "-20")
VARIANCES = ("1e-8", "1e-3", "0.07", "0.09", "0.3", "1", "3", "4.9", "5.1", "19", "21", "100", "1e4")
ORDERS = (-1, 0, 1, 2, 3, 4, 5)
PAIRS = [
    # mean x, mean y, variance x, variance y, correlation
    ("0", "0", "1", "1", "0.5"),
    ("0", "0", "1", "1", "1"),
    ("0", "0", "1", "1", "-1"),
    ("0", "0", "4", "4", "0.999999"),
    ("0", "0", "10000", "10000", "-0.999999"),
    ("0", "0", "10000", "10000", "0.999999"),
    ("0.5", "0.5", "10000", "10000", "1"),
    ("1", "-2", "2", "50", "-0.7"),
    ("1", "-2", "2", "50", "0"),
    ("20", "20", "100", "100", "0.9"),
    ("20", "-20", "100", "100", "-0.9"),
    ("20", "-20", "10000", "1", "0.3"),
    ("-20", "20", "400", "400", "0.999999"),
    ("0.3", "0.3", "1e-8", "1e-8", "0.4"),
    ("0", "3", "1e-8", "100", "0.8"),
    ("1.5", "1.5", "25", "25", "1e-8"),
    ("-4", "5", "6", "3", "0.95"),
    ("2", "1", "9", "4", "1"),
    ("2", "1", "9", "4", "-1"),
    ("20", "18", "10000", "9000", "-1"),
]


def tanh_jet(x):
    """Orders -1..5 of tanh."""
    e = mp.exp(-2 * abs(x))
    t = mp.sign(x) * (1 - e) / (1 + e) if abs(x) > 1e-3 else mp.tanh(x)
    s = 4 * e / (1 + e) ** 2
    primitive = abs(x) - mp.log(2) + mp.log(1 + e) if abs(x) > 1e-3 else mp.log(mp.cosh(x))
    return [primitive, t, s, -2 * t * s, s * (4 - 6 * s), t * s * (24 * s - 8), s * (16 - 120 * s + 120 * s * s)]


def logistic_jet(x):
    """Orders -1..5 of the logistic function."""
    jet = tanh_jet(x / 2)
    shifted = [x / 2 + jet[0], (1 + jet[1]) / 2]
    return shifted + [jet[k + 1] / mp.mpf(2) ** (k + 1) for k in range(1, 6)]


def softplus_jet(x, with_primitive=True):
    """Orders -1..5 of the softplus function."""
    jet = logistic_jet(x)
    if not with_primitive:  # the dilogarithm is slow
        primitive = mp.nan
    elif x > 0:
        primitive = x * x / 2 + mp.pi**2 / 12 + mp.polylog(2, -mp.exp(-x)).real
    else:
        primitive = -mp.polylog(2, -mp.exp(x)).real - mp.pi**2 / 12
    return [primitive, jet[0] + mp.log(2), *jet[1:6]]


def erf_jet(x):
    """Orders -1..5 of erf(sqrt(pi) x / 2)."""
    gauss = mp.exp(-mp.pi * x * x / 4)
    a = mp.pi / 2  # phi'' = -a x phi'
    value = mp.erf(mp.sqrt(mp.pi) * x / 2)
    ladder = [
        1,
        -a * x,
        a * (a * x * x - 1),
        a * a * x * (3 - a * x * x),
        a * a * (3 - 6 * a * x * x + (a * x * x) ** 2),
    ]
    return [x * value + 2 / mp.pi * (gauss - 1), value, *(gauss * p for p in ladder)]


def sin_jet(x):
    """Orders -1..5 of the sine."""
    s, c = mp.sin(x), mp.cos(x)
    return [1 - c, s, c, -s, -c, s, c]


SMOOTH = {"tanh": tanh_jet, "logistic": logistic_jet, "softplus": softplus_jet, "erf": erf_jet, "sin": sin_jet}


def nodes(mean, s, step=STEP, uniform=False):
    """(x, weight) of the rule for N(mean, s^2)."""
    if uniform or abs(mean) >= REACH * s:  # no pole of phi has weight
        h = min(2 * step, 6 / (2 * s + 15)) if uniform else 2 * step  # sin^2 has the frequency 2 s
        n = int(REACH / h)
        return [(mean + s * j * h, h * mp.npdf(j * h)) for j in range(-n, n + 1)]
    centre = -mean / s
    step = step / max(1, abs(centre) / 3)
    d = min(mp.mpf(1), mp.pi / (2 * s))
    low, high = mp.asinh((-REACH - centre) / d), mp.asinh((REACH - centre) / d)
    n = int((high - low) / step) + 1
    h = (high - low) / n
    rule = []
    for j in range(n + 1):
        t = low + j * h
        z = centre + d * mp.sinh(t)
        rule.append((mean + s * z, h * d * mp.cosh(t) * mp.npdf(z)))
    return rule


def smooth_single(name, mean, variance, step=STEP):
    """Rows of <phi^(k)> and of <(phi^(k))^2>, k = -1..5."""
    rule = nodes(mean, mp.sqrt(variance), step, uniform=name == "sin")
    jets = [(SMOOTH[name](x), w) for x, w in rule]
    return [[mp.fsum(w * jet[i] ** q for jet, w in jets) for i in range(7)] for q in (1, 2)]


def threshold_single(order, mean, variance, power=1):
    """Orders -1, 0, 1, 2.. of x_+ (0, 1, .. of the step are one higher)."""
    s = mp.sqrt(variance)
    if order >= 2:
        if power == 2:
            return None
        u = mean / s
        return (
            (-1) ** order
            * mp.hermite(order - 2, u / mp.sqrt(2))
            / mp.sqrt(2) ** (order - 2)
            * mp.npdf(u)
            / s ** (order - 1)
        )
    start = max(-mean / s, -mp.mpf(30))

    def f(z):
        x = mean + s * z
        return {-1: x * x / 2, 0: x, 1: mp.mpf(1)}[order] ** power * mp.npdf(z)

    if start > 60:
        return mp.mpf(0)
    cuts = [start, *(start + k for k in (1, 2, 4, 8, 16, 32)), start + 64]
    return mp.quad(f, cuts)


def singles():
    """All single averages."""
    rows = {}
    for name in SMOOTH:
        for power in (1, 2):
            rows.update({f"{name} {k} {power}": [] for k in ORDERS})
        for mean in MEANS:
            for variance in VARIANCES:
                for power, values in zip((1, 2), smooth_single(name, *exact((mean, variance))), strict=True):
                    for k, value in zip(ORDERS, values, strict=True):
                        rows[f"{name} {k} {power}"].append(text(value))
        print(name, flush=True)
    for name, shift in (("relu", 0), ("step", 1)):
        for k in (-1, 0, 1, 2, 3, 4):
            for power in (1, 2):
                values = [threshold_single(k + shift, *exact((m, v)), power) for m in MEANS for v in VARIANCES]
                if values[0] is not None:
                    rows[f"{name} {k} {power}"] = [text(v) for v in values]
    return {"digits": DIGITS, "means": MEANS, "variances": VARIANCES, "rows": rows}


def exact(numbers):
    """The doubles next to these decimals: what the package is asked for."""
    return [mp.mpf(float(q)) for q in numbers]


def text(value):
    """25 significant digits."""
    return mp.nstr(value, 25)


def smooth_pair(name, case, orders, step=STEP):
    """<phi^(k)(x) phi^(k)(y)> for k in orders."""
    mx, my, vx, vy, rho = exact(case)
    jet = SMOOTH[name] if name != "softplus" else partial(softplus_jet, with_primitive=False)
    a = mp.sqrt(abs(rho))
    sx, sy = mp.sqrt(vx), mp.sqrt(vy)
    rest = 1 - abs(rho)

    def inner(mean, s):
        if rest == 0:
            full = jet(mean)
            return [full[k + 1] for k in orders]
        rule = nodes(mean, s * mp.sqrt(rest), step * mp.mpf("1.1"))
        jets = [(jet(x), w) for x, w in rule]
        return [mp.fsum(w * q[k + 1] for q, w in jets) for k in orders]

    if rho == 0:
        return [p * q for p, q in zip(inner(mx, sx), inner(my, sy), strict=True)]
    total = [mp.mpf(0)] * len(orders)
    slope_x, slope_y = sx * a, mp.sign(rho) * sy * a
    for z, w in two_centre_nodes(-mx / slope_x, -my / slope_y, mp.pi / (2 * slope_x), mp.pi / (2 * abs(slope_y)), step):
        x = inner(mx + slope_x * z, sx)
        y = x if (mx, sx, slope_x) == (my, sy, slope_y) else inner(my + slope_y * z, sy)
        total = [t + w * p * q for t, p, q in zip(total, x, y, strict=True)]
    return total


def two_centre_nodes(c1, c2, d1, d2, step):
    """Trapezoid in t = (asinh((z - c1)/d1) + asinh((z - c2)/d2)) / 2, inverted by bisection and Newton."""
    if min(abs(c1), abs(c2)) >= REACH:  # no pole of phi has weight
        yield from nodes(mp.mpf(0), mp.mpf(1), step, uniform=True)
        return
    step = step / max(1, min(abs(c1), abs(c2)) / 3)
    d1, d2 = min(d1, mp.mpf(1)), min(d2, mp.mpf(1))
    c1, c2 = (min(max(c, -mp.mpf(REACH)), mp.mpf(REACH)) for c in (c1, c2))

    def t_of(z):
        return (mp.asinh((z - c1) / d1) + mp.asinh((z - c2) / d2)) / 2

    def rate(z):
        return (1 / mp.sqrt(d1**2 + (z - c1) ** 2) + 1 / mp.sqrt(d2**2 + (z - c2) ** 2)) / 2

    low, high = t_of(-mp.mpf(REACH)), t_of(mp.mpf(REACH))
    n = int((high - low) / step) + 1
    h = (high - low) / n
    for j in range(n + 1):
        t = low + j * h
        a, b = -mp.mpf(REACH) - 1, mp.mpf(REACH) + 1
        z = (a + b) / 2
        for _ in range(200):
            gap = t_of(z) - t
            if gap > 0:
                b = z
            else:
                a = z
            new = z - gap / rate(z)
            if not a < new < b:
                new = (a + b) / 2
            if abs(new - z) < mp.mpf(10) ** (-DIGITS):
                z = new
                break
            z = new
        yield z, h * mp.npdf(z) / rate(z)


def closed_pair(name, order, case):
    """Threshold functions and erf: conditional averages are elementary, the common part by tanh-sinh or the smooth
    rule.
    """
    mx, my, vx, vy, rho = exact(case)
    a, rest = mp.sqrt(abs(rho)), 1 - abs(rho)
    sx, sy = mp.sqrt(vx), mp.sqrt(vy)

    def given(mean, s):
        v = s * s * rest
        if name == "erf":
            w = v + 2 / mp.pi
            r = mp.sqrt(w)
            u = mean / r
            if order == -1:
                return mean * mp.erf(u / mp.sqrt(2)) + 2 * r * mp.npdf(u) - 2 / mp.pi
            if order == 0:
                return mp.erf(u / mp.sqrt(2))
            k = order - 1
            return 2 * (-1) ** k * mp.hermite(k, u / mp.sqrt(2)) / mp.sqrt(2) ** k * mp.npdf(u) / r ** (k + 1)
        level = order + (name == "step")
        if v == 0:
            return {-1: mean * mean / 2, 0: mean, 1: mp.mpf(1)}[level] if mean > 0 else mp.mpf(0)
        r = mp.sqrt(v)
        u = mean / r
        if level == 0:
            return mean * mp.ncdf(u) + r * mp.npdf(u)
        if level == -1:
            return ((mean**2 + v) * mp.ncdf(u) + mean * r * mp.npdf(u)) / 2
        if level == 1:
            return mp.ncdf(u)
        k = level - 2
        return (-1) ** k * mp.hermite(k, u / mp.sqrt(2)) / mp.sqrt(2) ** k * mp.npdf(u) / r ** (k + 1)

    if rho == 0:
        return given(mx, sx) * given(my, sy)
    slope_x, slope_y = sx * a, mp.sign(rho) * sy * a
    cuts = {-mp.mpf(REACH), mp.mpf(REACH), *map(mp.mpf, range(-REACH, REACH, 2))}
    width = max(mp.sqrt(rest + mp.mpf(2) / mp.pi / max(vx, vy) * (name == "erf")), mp.mpf(10) ** -7)
    for c in (-mx / slope_x, -my / slope_y):
        cuts |= {c} | {c + sign * width * mp.mpf(4) ** k for k in range(0, 12) for sign in (-1, 1)}
    cuts = sorted(c for c in cuts if abs(c) <= REACH)
    return mp.quad(lambda z: given(mx + slope_x * z, sx) * given(my + slope_y * z, sy) * mp.npdf(z), cuts)


def sin_pair(order, case):
    """Product formulas."""
    mx, my, vx, vy, rho = exact(case)
    c = rho * mp.sqrt(vx * vy)
    apart = mp.exp(-(vx + vy - 2 * c) / 2) * mp.cos(mx - my)
    together = mp.exp(-(vx + vy + 2 * c) / 2) * mp.cos(mx + my)
    if order == -1:
        return 1 - mp.exp(-vx / 2) * mp.cos(mx) - mp.exp(-vy / 2) * mp.cos(my) + (apart + together) / 2
    return (apart - (-1) ** order * together) / 2


def pairs():
    """All pair averages."""
    rows = {}
    for name, orders in (("tanh", (-1, 0, 1, 2)), ("logistic", (0, 1)), ("softplus", (0, 1))):
        with Pool(2, initializer=set_digits) as pool:
            values = pool.starmap(smooth_pair, [(name, case, orders) for case in PAIRS], chunksize=1)
        rows.update({f"{name} {k}": [text(v[i]) for v in values] for i, k in enumerate(orders)})
        print(name, flush=True)
    for name, orders in (("erf", (-1, 0, 1, 2, 3)), ("relu", (-1, 0, 1, 2)), ("step", (-1, 0, 1))):
        for k in orders:
            dirac = k + (name == "step") >= 2 and name != "erf"
            rows[f"{name} {k}"] = [
                None if dirac and abs(float(c[4])) == 1 else text(closed_pair(name, k, c)) for c in PAIRS
            ]
    for k in (-1, 0, 1, 2):
        rows[f"sin {k}"] = [text(sin_pair(k, case)) for case in PAIRS]
    return {"digits": DIGITS, "cases": PAIRS, "rows": rows}


def check():
    """A few entries with a finer step; returns the largest difference."""
    worst = mp.mpf(0)
    for name in SMOOTH:
        for mean, variance in (
            ("20", "1e4"),
            ("0.3", "5.1"),
            ("-2", "100"),
            ("20", "3"),
            ("7.5", "1"),
            ("7.5", "0.3"),
            ("20", "5.1"),
        ):
            coarse = smooth_single(name, *exact((mean, variance)))
            fine = smooth_single(name, mp.mpf(mean), mp.mpf(variance), STEP * mp.mpf("0.7"))
            for a, b in zip(sum(coarse, []), sum(fine, []), strict=True):
                worst = max(worst, abs(a - b) / (1 + abs(a)))
    for case in (PAIRS[7], PAIRS[12]):
        a, b = (smooth_pair("tanh", case, (0, 1), step) for step in (STEP, STEP * mp.mpf("0.7")))
        worst = max(worst, *(abs(p - q) for p, q in zip(a, b, strict=True)))
    return worst


def set_digits():
    """Working precision."""
    mp.mp.dps = DIGITS


def main():
    """Write the files, or check."""
    set_digits()
    if "--check" in sys.argv:
        print("largest difference between two steps:", mp.nstr(check(), 3))
        return
    if "--pairs" not in sys.argv:
        (HERE / "averages.json").write_text(json.dumps(singles(), indent=0) + "\n")
    if "--singles" not in sys.argv:
        (HERE / "pairs.json").write_text(json.dumps(pairs(), indent=0) + "\n")


if __name__ == "__main__":
    main()
