"""Learning from examples: classes, numbers and pictures, from pictures and tables."""
