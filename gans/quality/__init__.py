"""How good generated pictures are: distances to real ones that work offline, each with the floor of real data."""
