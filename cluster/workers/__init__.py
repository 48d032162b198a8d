"""Self-play and evaluation by Ray actors beside the learner."""
