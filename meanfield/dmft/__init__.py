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
        "follow": "following",
        "chaos_onset": "transitions",
        "structure_end": "transitions",
        "noise_suppression": "transitions",
        "transient": "transient",
    },
)

del attach
