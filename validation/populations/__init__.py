"""From loadings to populations: mixtures fitted to a network, and whether their theory explains it."""
