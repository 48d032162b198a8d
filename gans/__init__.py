"""Generators and the critics they learn from: of pictures here, of series in `gans.series`."""
