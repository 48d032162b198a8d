"""What people read: the one way to the terminal and the standard streams."""
