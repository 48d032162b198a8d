"""Kind `sequences`: recurrent networks of every shape, on generated sequences or sequences from files."""
