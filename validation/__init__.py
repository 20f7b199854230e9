"""The witness: finite networks, drawn or trained, against the theory. Installed as ``meanfield.validation``."""

from meanfield._lazy import attach

attach(
    __name__,
    {
        "Network": "networks",
        "draw": "networks",
        "load_network": "networks",
        "save_network": "networks",
        "simulate": "simulation",
        "relax": "simulation",
        "measure_activity": "activity",
        "lyapunov": "lyapunov",
        "jacobian_spectrum": "spectrum",
        "jacobian_eigenvalues": "spectrum",
        "learned_structure": "learned",
        "measure_cycle": "measurements",
        "crosscheck": "crosscheck",
        "follow": "transients",
        "Pulse": "transients",
        "examine": "trained",
        "load_trials": "decisions",
        "Trials": "tasks.trials",
        "get_task": "tasks.catalogue",
        "accuracy": "tasks.scores",
        "psychometric_curve": "tasks.scores",
        "from_neurogym": "tasks.environments",
        "run_trials": "decisions",
        "limit_on_trials": "decisions",
        "network_ledger": "mechanism.finite",
        "population_scores": "mechanism.finite",
        "silence_network": "mechanism.silenced",
        "check_silencing": "mechanism.silencing",
        "fit_populations": "populations.fitting",
        "compare_populations": "populations.comparing",
        "lint": "lint.fitting",
        "select_rank": "lint.ranks",
        "compare_connectivity": "lint.comparison",
        "load_recording": "lint.recordings",
        "Recording": "lint.recordings",
        "benchmark_recording": "lint.benchmarking",
        "cases": None,
        "strategies": None,
    },
)

del attach
