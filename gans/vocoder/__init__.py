"""Neural vocoder: log-mel spectrograms to waves."""
