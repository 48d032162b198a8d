"""Generative adversarial networks: `gans.progressive` for images, `gans.series` for time series."""
