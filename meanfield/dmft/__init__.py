"""Dynamical mean-field theory of networks with a random part, J = g chi + (1/N) m n^T: stationary states, chaos,
transients.
"""

from .._lazy import attach

attach(
    __name__,
    {
        "stationary": "stationary",
        "stationary_branch": "branch",
        "chaotic": "chaotic",
        "transient": "transient",
    },
)

del attach
