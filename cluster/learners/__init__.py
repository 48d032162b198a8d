"""Data-parallel training (DDP) through Ray Train."""
