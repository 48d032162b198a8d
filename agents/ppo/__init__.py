"""PPO: proximal policy optimization on Gymnasium environments."""
