"""The witness: finite networks, drawn or trained, against the theory. Installed as ``meanfield.validation``."""

from meanfield._lazy import attach

attach(
    __name__,
    {
        "Network": "networks",
        "load_network": "networks",
        "save_network": "networks",
        "cases": None,
    },
)

del attach
