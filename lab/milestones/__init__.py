"""Milestones of neural networks, from McCulloch and Pitts to dropout: each a short program whose result is known."""
