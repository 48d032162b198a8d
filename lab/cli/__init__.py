"""The `lab` command: one module for each verb."""
