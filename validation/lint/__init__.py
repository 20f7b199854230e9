"""Low-rank inference from neural trajectories: recordings to a network."""
