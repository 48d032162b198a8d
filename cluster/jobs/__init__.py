"""Runs sent to a cluster as jobs, and checks of a cluster."""
