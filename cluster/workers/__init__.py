"""Work that Ray actors do beside the learner: self-play and evaluation."""
