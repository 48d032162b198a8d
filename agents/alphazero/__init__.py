"""AlphaZero: self-play, replay, learner and the network they share."""
