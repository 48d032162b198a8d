"""Engines of other programs: a run that speaks GTP or UCI, and external engines as players."""
