"""Shooting for periodic orbits, the search for them, and invariant manifolds."""
