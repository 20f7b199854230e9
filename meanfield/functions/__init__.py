"""Transfer functions given as expressions: parsing, derivatives, rigorous bounds by intervals."""
