"""Supervised tasks, one module each; `table` lists them."""
