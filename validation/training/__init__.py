"""Training by gradients: full rank, low rank, mixtures at finite N and at N = infinity."""
