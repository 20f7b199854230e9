"""Vector fields whose trajectories and cycles are known, with nothing of a network in them."""

import numpy as np


class Toy:
    """A field made of two functions of the components; stacks what they return."""

    rank, tau = 2, 1.0

    def __call__(self, kappa):
        return np.stack(np.broadcast_arrays(*self.values(*np.moveaxis(kappa, -1, 0))), axis=-1)

    def jacobian(self, kappa):
        rows = self.slopes(*np.moveaxis(kappa, -1, 0))
        return np.stack([np.stack(np.broadcast_arrays(kappa[..., 0], *row)[1:], axis=-1) for row in rows], axis=-2)


class VanDerPol(Toy):
    def __init__(self, mu):
        self.mu = mu

    def values(self, x, y):
        return y, self.mu * (1 - x * x) * y - x

    def slopes(self, x, y):
        return (0.0, 1.0), (-2 * self.mu * x * y - 1, self.mu * (1 - x * x))


class Circles(Toy):
    """r' = sign * r * prod_i (r_i^2 - r^2), theta' = omega: cycles are the circles of radius r_i."""

    def __init__(self, radii, omega=1.0, sign=1):
        self.squares, self.omega, self.sign = np.array(radii) ** 2, omega, sign

    def growth(self, q):
        factors = [s - q for s in self.squares]
        slope = -sum(np.prod(factors[:i] + factors[i + 1 :], axis=0) for i in range(len(factors)))
        return self.sign * np.prod(factors, axis=0), self.sign * slope

    def values(self, x, y):
        g = self.growth(x * x + y * y)[0]
        return g * x - self.omega * y, g * y + self.omega * x

    def slopes(self, x, y):
        g, d = self.growth(x * x + y * y)
        return (g + 2 * d * x * x, 2 * d * x * y - self.omega), (2 * d * x * y + self.omega, g + 2 * d * y * y)

    def multiplier(self, i):
        square = self.squares[i]
        return np.exp(2 * square * self.growth(square)[1] * 2 * np.pi / self.omega)


class Pendulum(Toy):
    """A family of cycles, none of them isolated."""

    def values(self, x, y):
        return y, -np.sin(x)

    def slopes(self, x, y):
        return (0.0, 1.0), (-np.cos(x), 0.0)


class SaddleNodeOnCircle(Toy):
    """r' = r (1 - r^2), theta' = 1 + a - cos theta: for a > 0 the period is 2 pi / sqrt((1 + a)^2 - 1)."""

    def __init__(self, a):
        self.a = a

    def values(self, x, y):
        q, w = 1 - x * x - y * y, 1 + self.a - x / np.hypot(x, y)
        return q * x - w * y, q * y + w * x

    def slopes(self, x, y):
        r = np.hypot(x, y)
        q, w = 1 - r * r, 1 + self.a - x / r
        wx, wy = -y * y / r**3, x * y / r**3
        return (q - 2 * x * x - wx * y, -2 * x * y - w - wy * y), (-2 * x * y + w + wx * x, q - 2 * y * y + wy * x)


class Saddle(Toy):
    """x' = x, y' = -y + x^2: the unstable manifold is y = x^2 / 3, the stable one x = 0."""

    def values(self, x, y):
        return x, -y + x * x

    def slopes(self, x, y):
        return (1.0, 0.0), (2 * x, -1.0)


class Bistable(Toy):
    """x' = x - x^3, y' = -y: two stable points, the saddle at 0 between them."""

    def values(self, x, y):
        return x - x**3, -y

    def slopes(self, x, y):
        return (1 - 3 * x * x, 0.0), (0.0, -1.0)


class BlowUp(Toy):
    """x' = x^2 reaches infinity at t = 1/x(0)."""

    def values(self, x, y):
        return x * x, -y

    def slopes(self, x, y):
        return (2 * x, 0.0), (0.0, -1.0)


class Rossler(Toy):
    rank = 3

    def __init__(self, c):
        self.c = c

    def values(self, x, y, z):
        return -y - z, x + 0.2 * y, 0.2 + z * (x - self.c)

    def slopes(self, x, y, z):
        return (0.0, -1.0, -1.0), (1.0, 0.2, 0.0), (z, 0.0, x - self.c)


class Scaled(Toy):
    """Another field with its time multiplied by ``tau``."""

    def __init__(self, field, tau):
        self.field, self.tau, self.rank = field, tau, field.rank

    def __call__(self, kappa):
        return self.field(kappa) / self.tau

    def jacobian(self, kappa):
        return self.field.jacobian(kappa) / self.tau


class Filter:
    """tau dkappa/dt = -kappa + v, tau dv/dt = -v + u(t): a driven field that can be solved by hand."""

    rank = 1

    def __init__(self, u, tau=1.0):
        self.u, self.tau = u, tau

    def drive(self, t):
        return np.array([self.u(t)])

    def __call__(self, t, state):
        kappa, v = state[..., :1], state[..., 1:]
        return np.concatenate([v - kappa, self.drive(t) - v], axis=-1) / self.tau

    def jacobian(self, t, state):
        return np.broadcast_to(np.array([[-1.0, 1.0], [0.0, -1.0]]) / self.tau, state.shape[:-1] + (2, 2))
