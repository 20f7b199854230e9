"""Cognitive tasks as trials: inputs, wanted readouts, decisions and their scores."""
