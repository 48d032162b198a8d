"""Data-parallel training through Ray Train."""
