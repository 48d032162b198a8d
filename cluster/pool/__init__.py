"""Ray: the connection to a cluster, placement of workers, and a pool that replaces failed ones."""
