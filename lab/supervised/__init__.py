"""Learning from labels: classification of pictures."""
