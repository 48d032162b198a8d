"""Methods without a trained network, which `lab eval --baselines` puts beside a run."""
