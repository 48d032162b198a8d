"""The life of a run: the Experiment contract, the run loop, checkpoints, metrics, tracking, launching."""
