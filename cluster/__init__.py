"""Runs on a Ray cluster. No other package imports ray, and this one imports it inside functions."""
