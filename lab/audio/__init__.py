"""Sound: WAV files, log-mel spectrograms, Griffin-Lim, distances between recordings."""
