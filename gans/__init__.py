"""Generators and the discriminators they learn from: of pictures here, of series in `gans.series`."""
