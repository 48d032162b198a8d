"""Runs as jobs on a cluster, and checks of a cluster."""
