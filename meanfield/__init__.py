"""meanfield: the analytical mean-field engine for low-rank recurrent networks.

    import meanfield as mf
    c = mf.Connectivity.from_overlaps([{"n1 m1": 2.0}], rank=1)
    f = mf.reduce(c, transfer="tanh")
    mf.fixed_points(f).kappa

The public names below are imported when they are first used. Finite networks: ``from meanfield import validation``.
"""

from ._lazy import attach

__version__ = "0.4.0"

attach(
    __name__,
    {
        "Transfer": "transfer",
        "get_transfer": "transfer",
        "GaussHermite": "gaussian.quadrature",
        "gaussian_average": "averages",
        "pair_average": "averages",
        "Connectivity": "connectivity",
        "load": "io",
        "derive": "symbolic",
        "reduce": "dynamics",
        "fixed_points": "fixed_points",
        "trajectory": "trajectories",
        "limit_cycle": "cycles",
        "limit_cycles": "orbits.cycle_search",
        "manifold": "orbits.manifolds",
        "spread": "fluctuations",
        "ledger": "mechanism",
        "compare": "mechanism",
        "silence": "ledgers.silencing",
        "dmft": None,
        "validation": None,
    },
)

del attach
