"""Hyperparameter search: ASHA through Ray Tune, and population based training."""
