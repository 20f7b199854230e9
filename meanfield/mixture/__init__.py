"""How a mixture of loadings is written down, read, transformed and sampled."""
