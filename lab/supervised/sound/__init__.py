"""Recordings as training data: clips of one length, made voices, noise, and networks that filter their spectra."""
