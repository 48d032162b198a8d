"""Recurrent GANs for multivariate time series."""
