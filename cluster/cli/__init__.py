"""Commands of `lab` that need Ray: arguments and output. The work is done by the packages beside this one."""
