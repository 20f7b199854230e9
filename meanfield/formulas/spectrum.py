"""Exact eigenvalues and eigenvectors of small matrices of sympy numbers or symbols."""

from typing import NamedTuple

import sympy as sp
from sympy.polys.matrices import DomainMatrix
from sympy.polys.matrices.eigen import dom_eigenvects

#: Digits of eigenvalues that are given as numbers: enough to show 15 of whatever is made of them.
DIGITS = 40


class Eigenspace(NamedTuple):
    """One eigenvalue, its algebraic multiplicity, and a basis of its eigenvectors (list of Matrix (R, 1))."""

    value: sp.Expr
    multiplicity: int
    basis: list


def eigenspaces(matrix, exact=True):
    """Eigenspaces of a square sympy matrix, largest real part first.

    Multiplicities and dimensions are decided exactly, floats being taken as the fractions they are. Values: radicals
    for linear and quadratic factors of the characteristic polynomial; for irreducible ones of degree 3 and more
    ``CRootOf`` where real, and numbers of :data:`DIGITS` digits where complex. Symbols: up to 2 x 2, and triangular
    matrices.

    Parameters
    ----------
    matrix : sympy Matrix
    exact : bool
        False gives numbers of :data:`DIGITS` digits for everything that is not rational.

    Raises
    ------
    ValueError
        A larger matrix with symbols.
    """
    matrix = matrix.applyfunc(exactly)
    if all(x.is_Rational for x in matrix):
        found = _rational(matrix, exact)
    elif matrix.rows <= 2 or matrix.is_upper or matrix.is_lower:
        found = [Eigenspace(*triple) for triple in matrix.eigenvects()]
    else:
        raise ValueError(
            f"eigenvalues of a {matrix.rows} x {matrix.rows} matrix of symbols have no usable form: substitute values"
        )
    if all(space.value.is_number for space in found):
        found.sort(key=lambda space: _descending(space.value))
    return found


def exactly(x):
    """A number with its floats replaced by the fractions they are."""
    return x.xreplace({f: sp.Rational(f) for f in x.atoms(sp.Float)})


def _descending(value):
    real, imaginary = (float(x) for x in value.evalf(20).as_real_imag())
    return (round(-real, 12), round(-imaginary, 12))


def _rational(matrix, exact):
    rational, algebraic = dom_eigenvects(DomainMatrix.from_Matrix(matrix).to_field())
    found = [
        Eigenspace(domain.to_sympy(value), multiplicity, [sp.Matrix(v) for v in basis.to_Matrix().tolist()])
        for domain, value, multiplicity, basis in rational
    ]
    for _, polynomial, multiplicity, basis in algebraic:
        x = polynomial.gen
        rows = basis.to_Matrix().tolist()
        for root in _roots(polynomial, exact):
            found.append(
                Eigenspace(root, multiplicity, [sp.Matrix([_at(entry, x, root) for entry in row]) for row in rows])
            )
    return found


def _roots(polynomial, exact):
    if exact and polynomial.degree() == 2:
        return list(sp.roots(polynomial))
    numbers = polynomial.nroots(n=DIGITS, maxsteps=200)
    if not exact:
        return numbers
    real = [sp.CRootOf(polynomial.as_expr(), polynomial.gen, k) for k in range(polynomial.count_roots())]
    return real + [root for root in numbers if not root.is_real]


def _at(entry, x, root):
    value = entry.subs(x, root)
    if root.has(sp.Float):
        return value.evalf(DIGITS)
    return value if root.has(sp.CRootOf) else sp.expand(value)
