"""A voice: text to phones, phones to a log-mel spectrogram, and that to a waveform."""
