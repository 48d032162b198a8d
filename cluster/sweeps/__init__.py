"""Hyperparameter search: search spaces, trials, ASHA through Ray Tune, population based training."""
