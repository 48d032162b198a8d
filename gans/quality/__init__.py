"""Metrics of generated images: distances to real images, each with its floor, the distance between real images."""
