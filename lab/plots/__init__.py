"""Figures, image grids and the media that evaluations return."""
