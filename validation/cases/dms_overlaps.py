"""What inputs do to the overlaps of a network: effective Jacobians, and which neurons an input saturates.

Valente 2019, eqs. (4.14), (4.15), Figs. 4.6, 5.5, 5.6. Errors are standard errors over the neurons.
"""

from dataclasses import dataclass, field

import numpy as np

from meanfield.dynamics import reduce
from meanfield.transfer import get_transfer

#: Neurons whose slope under an input is below this are called saturated (thesis, section 5.2).
SATURATED = 0.5


@dataclass(frozen=True, eq=False)
class Effective:
    """Effective overlaps under an input, and the Jacobian of the flow.

    Attributes
    ----------
    label : str
    overlap, error : (R, R)
        (1/N) sum_i n_i phi'(I_i) m_i, for the part of I that is orthogonal to all m, and its standard error.
    exact : (R, R)
        Jacobian of tau dkappa/dt at kappa = 0, all of I included.
    gap : float
        Largest difference of ``overlap - 1`` from the exact Jacobian at the kappa that cancels I along m; rounding.
    """

    label: str
    overlap: np.ndarray
    error: np.ndarray
    exact: np.ndarray
    gap: float

    @property
    def turns(self):
        """Whether the flow turns about the origin: complex eigenvalues of the exact Jacobian there."""
        return bool(np.iscomplex(np.linalg.eigvals(self.exact)).any())

    def __str__(self):
        rows = range(len(self.overlap))
        cell = lambda i, j: f"{self.overlap[i, j]:.2f} ± {self.error[i, j]:.2f}" + (" - 1" if i == j else "")  # noqa: E731
        return "[" + "; ".join(", ".join(cell(i, j) for j in rows) for i in rows) + "]"


def effective(net, inputs=None, label="no input"):
    """The effective overlaps of a network under constant inputs.

    Parameters
    ----------
    net : Network
    inputs : mapping of str to float, optional
    label : str

    Returns
    -------
    Effective
    """
    inputs = inputs or {}
    drive = net.I @ [inputs.get(name, 0.0) for name in net.input_names]
    along = np.linalg.lstsq(net.m, drive)[0]
    slope = get_transfer(net.transfer)(drive - net.m @ along, 1)
    products = net.n[:, :, None] * slope[:, None, None] * net.m[:, None, :]
    overlap, error = products.mean(0), products.std(0, ddof=1) / np.sqrt(net.n_neurons)
    f = reduce(net.connectivity, net.transfer, inputs)
    eye = np.eye(net.rank)
    gap = np.abs(overlap - eye - f.jacobian(-along)).max()
    return Effective(label, overlap, error, f.jacobian(np.zeros(net.rank)), float(gap))


@dataclass(frozen=True, eq=False)
class Split:
    """Neurons that an input saturates against the others, in the overlap n_i.m_j that it changes most.

    Attributes
    ----------
    label : str
    pair : (i, j)
        From 0: of the overlap that changes most beyond the common factor <phi'>.
    x, y : (N,)
        m_j and n_i.
    slope : (N,)
        phi'(I) of each neuron.
    saturated : (N,) of bool
    split, split_error : (2, 2)
        Slope and intercept of n_i on m_j over the neurons that are not saturated and over those that are, with
        errors that hold for unequal scatter too.
    line, line_error, product_line, product_error : (2,)
        The same over all neurons, and of n_i m_j on phi'(I).
    """

    label: str
    pair: tuple
    x: np.ndarray = field(repr=False)
    y: np.ndarray = field(repr=False)
    slope: np.ndarray = field(repr=False)
    saturated: np.ndarray = field(repr=False)
    split: np.ndarray
    split_error: np.ndarray
    line: np.ndarray
    line_error: np.ndarray
    product_line: np.ndarray
    product_error: np.ndarray

    @property
    def z(self):
        """Difference of the slopes of the two groups in its standard errors."""
        return float((self.split[0, 0] - self.split[1, 0]) / np.hypot(*self.split_error[:, 0]))

    @property
    def name(self):
        """The overlap, e.g. n1.m2."""
        return f"n{self.pair[0] + 1}.m{self.pair[1] + 1}"


def split(net, name):
    """Who is saturated by the input ``name``, and what of an overlap they carry.

    Returns
    -------
    Split
    """
    slope = get_transfer(net.transfer)(net.I[:, net.input_names.index(name)], 1)
    products = net.n[:, :, None] * net.m[:, None, :]
    beyond = ((slope - slope.mean())[:, None, None] * products).mean(0)
    i, j = np.unravel_index(np.abs(beyond).argmax(), beyond.shape)
    x, y, saturated = net.m[:, j], net.n[:, i], slope < SATURATED
    groups = [regression(x[some], y[some]) for some in (~saturated, saturated)]
    line, product = regression(x, y), regression(slope, x * y)
    values, errors = (np.array([g[k] for g in groups]) for k in (0, 1))
    return Split(f"input {name}", (int(i), int(j)), x, y, slope, saturated, values, errors, *line, *product)


def regression(x, y):
    """Slope and intercept of y on x, (2,), and their standard errors, which do not take the scatter to be equal.

    Raises
    ------
    ValueError
        Fewer than three points.
    """
    if len(x) < 3:
        raise ValueError(f"a regression with errors needs three points or more: got {len(x)}")
    design = np.column_stack([x, np.ones_like(x)])
    inverse = np.linalg.inv(design.T @ design)
    values = inverse @ design.T @ y
    scatter = design * (y - design @ values)[:, None]
    covariance = inverse @ (scatter.T @ scatter) @ inverse * len(x) / (len(x) - 2)
    return values, np.sqrt(np.diag(covariance))
