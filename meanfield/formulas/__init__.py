"""Derived equations as sympy objects: notation, analytic fixed points and cycles, normal forms."""
