"""What the proof of completeness stands on: bounds over boxes, branch and prune, refinement."""
