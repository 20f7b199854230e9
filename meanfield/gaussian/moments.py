"""Moments of products of a transfer function's derivatives: what the spread of finite networks asks of an average."""

import math

import numpy as np

from .quadrature import Doubling

#: <z^k> of a standard normal z.
NORMAL = (1.0, 0.0, 1.0, 0.0, 3.0)


def product_moments(transfer, mean, variance, orders, degree):
    r"""Averages :math:`\langle z^k \prod_j \phi^{(j)}(x)\rangle` with :math:`x = \text{mean} +
    \sqrt{\text{variance}}\,z`.

    Parameters
    ----------
    transfer : Transfer
    mean, variance : ndarray (n,)
        Flat; variance >= 0.
    orders : sequence of tuples of int
        One product each: ``(0, 0)`` is phi^2, ``(0, 1)`` is phi phi', ``(1,)`` is phi'.
    degree : int
        Largest k, at most 4.

    Returns
    -------
    value, error : ndarray (len(orders), degree + 1, n)

    Raises
    ------
    ValueError
        A derivative with a Dirac mass, whose square has no average.
    """
    highest = max(map(max, orders))
    if highest >= transfer.singular:
        raise ValueError(
            f"the derivative of order {highest} of {transfer.name} has a Dirac mass: its fluctuations are not finite; "
            "ask for the spread of the drift alone, or take a transfer function with a continuous slope"
        )

    def products(x):
        jet = transfer.jet(x, highest)
        return np.stack([math.prod((jet[j] for j in rest), start=jet[first]) for first, *rest in orders])

    value, error = np.zeros((2, len(orders), degree + 1, mean.size))
    still = variance == 0
    if still.any():
        at_mean = products(mean[still])
        value[..., still] = at_mean[:, None] * np.array(NORMAL[: degree + 1])[:, None]
        error[..., still] = 16 * np.finfo(float).eps * np.abs(value[..., still])
    if not still.all():
        inside = np.flatnonzero(~still)
        centre, width = mean[inside], np.sqrt(variance[inside])

        def integrand(z, index):
            x = centre[index, None] + width[index, None] * z
            return (products(x)[:, None] * z ** np.arange(degree + 1)[:, None, None]).reshape(-1, *z.shape)

        found = Doubling().standardised(integrand, centre, width, transfer.kinks)
        value[..., inside], error[..., inside] = (q.reshape(len(orders), degree + 1, -1) for q in found)
    return value, error
