"""Generators and the critics they learn from. Empty so far: the progressive GAN comes here."""
