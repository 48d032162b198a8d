"""Connection to Ray, placement of actors, and a pool that replaces failed workers."""
