"""Gymnasium environments for agents: made by id, encoded as arrays, stepped many at a time."""
