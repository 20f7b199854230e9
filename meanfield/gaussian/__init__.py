"""Rules for Gaussian averages, one per regime, each with its error."""
