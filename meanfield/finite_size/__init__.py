"""What lies behind :mod:`meanfield.fluctuations`."""
