"""Fixed points to any number of digits: Newton's method in mpmath on the same algebra."""

import numpy as np

from .. import equations
from ..averages import mp_average


def refine(fp, digits):
    """Refine the proved fixed points of a :class:`~meanfield.dynamics.VectorField`; see :meth:`FixedPoints.refine`."""
    import mpmath as mp

    if not (isinstance(digits, int) and 1 <= digits <= 1000):
        raise ValueError(f"digits must be a whole number from 1 to 1000: got {digits!r}")
    with mp.workdps(digits + 15):
        equation = _Equation(fp.field, digits + 10)
        points = [_newton(equation, fp.kappa[k], fp.radius[k], digits) for k in range(len(fp))]
    return np.array(points, dtype=object).reshape(fp.kappa.shape)


class _Equation:
    """Drift and Jacobian of the reduced equations on object arrays of mpf."""

    def __init__(self, f, digits):
        import mpmath as mp

        self.lift = np.vectorize(mp.mpf, otypes=[object])
        blocks = f.blocks
        arrays = {name: self._lifted(getattr(blocks, name)) for name in blocks._fields if name != "spread"}
        self.blocks, self.v = blocks._replace(**arrays), self._lifted(f.v)
        self.transfer, self.digits, self.identity = f.transfer, digits, self._lifted(np.eye(f.rank))

    def _lifted(self, array):
        return self.lift(array) if array.size else array.astype(object)

    def _gain(self, mean, variance, order):
        if not self.blocks.spread:
            return self.transfer.mp(mean, order)
        try:
            return mp_average(self.transfer, mean, variance, order, self.digits)
        except ValueError as error:
            raise ArithmeticError(f"refinement needs averages to {self.digits} digits: {error}") from None

    def __call__(self, kappa):
        mean, variance = (g(self.blocks, kappa, self.v) for g in (equations.mean, equations.variance))
        orders = 4 if self.blocks.spread else 2
        gain = [np.array([self._gain(m, s, k) for m, s in zip(mean, variance, strict=True)]) for k in range(orders)]
        drift = equations.drift(self.blocks, kappa, self.v, gain)
        return drift, equations.jacobian(self.blocks, kappa, self.v, gain, self.identity)


def _newton(equation, start, radius, digits):
    import mpmath as mp

    point = equation.lift(start)
    for _ in range(4 + digits.bit_length()):
        value, jacobian = equation(point)
        step = mp.lu_solve(mp.matrix(jacobian.tolist()), mp.matrix(value.tolist()))
        point = point - np.array([x for x in step], dtype=object)
        if mp.norm(step, mp.inf) <= mp.mpf(10) ** (-digits) * (1 + max(abs(x) for x in point)):
            break
    else:
        raise ArithmeticError(
            f"Newton's method did not reach {digits} digits from {start}; last step {mp.nstr(mp.norm(step), 3)}"
        )
    if any(abs(x - y) > 2 * r + 1e-13 for x, y, r in zip(point, start, radius, strict=True)):
        raise ArithmeticError(
            f"Newton's method left the proved enclosure of {start}: the averages disagree with their error bounds"
        )
    return point
