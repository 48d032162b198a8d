"""Agents: games as batched tensors, batched tree search, and AlphaZero."""
