"""Write meanfield/gaussian/tanh_rule.py: Gauss rules for the weight w(t) = 2/(1 + exp(2 t)) on [0, inf).

The moments are known in closed form, int t^k w(t) dt = 2^-k k! eta(k + 1) with Dirichlet's eta function, so the
recurrence coefficients follow from Chebyshev's algorithm in high precision, and nodes and weights from Golub and
Welsch. Run ``python tests/references/generate_tanh_rule.py`` in the repository root.
"""

from pathlib import Path

import mpmath as mp

SIZES = (12, 32)
KEPT = 1e-22  # nodes of less weight are left out
TARGET = Path(__file__).parents[2] / "meanfield" / "tanh_rule.py"


def recurrence(n):
    """Coefficients a_0..a_{n-1}, b_0..b_n of the monic orthogonal polynomials (Chebyshev's algorithm)."""
    moments = [mp.factorial(k) * mp.altzeta(k + 1) / mp.mpf(2) ** k for k in range(2 * n + 1)]
    a, b = [moments[1] / moments[0]], [moments[0]]
    before, now = [mp.mpf(0)] * (2 * n + 1), moments
    for k in range(1, n + 1):
        new = [mp.mpf(0)] * (2 * n + 1)
        for j in range(k, 2 * n - k + 1):
            new[j] = now[j + 1] - a[k - 1] * now[j] - b[k - 1] * before[j]
        b.append(new[k] / now[k - 1])
        if k < n:
            a.append(new[k + 1] / new[k] - now[k] / now[k - 1])
        before, now = now, new
    return a, b


def rule(n):
    """log of the squared norm, and the sorted (node, weight) pairs (Golub and Welsch)."""
    with mp.workdps(150):
        a, b = recurrence(n)
        jacobi = mp.zeros(n)
        for k in range(n):
            jacobi[k, k] = a[k]
            if k:
                jacobi[k, k - 1] = jacobi[k - 1, k] = mp.sqrt(b[k])
        nodes, vectors = mp.eigsy(jacobi)
        weights = [b[0] * vectors[0, k] ** 2 for k in range(n)]
        log_norm = mp.fsum(mp.log(x) for x in b)
        return float(log_norm), sorted((float(x), float(w)) for x, w in zip(nodes, weights, strict=True))


def main():
    """Compute in 150 digits, store the nearest doubles."""
    lines = [
        '"""Gauss rules for the weight 2/(1 + exp(2 t)) on [0, inf), by tests/references/generate_tanh_rule.py."""',
        "",
        "#: degree -> log of the squared norm of the monic orthogonal polynomial, and (node, weight) over 1e-22",
        "RULES = {",
    ]
    for size in SIZES:
        log_norm, table = rule(size)
        lines += [f"    {size}: (", f"        {log_norm!r},", "        ("]
        lines += [f"            ({x!r}, {w!r})," for x, w in table if w > KEPT]
        lines += ["        ),", "    ),"]
    TARGET.write_text("\n".join([*lines, "}"]) + "\n")


if __name__ == "__main__":
    main()
