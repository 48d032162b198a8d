"""Supervised learning on images and tables: classification, regression, denoising, reconstruction."""
