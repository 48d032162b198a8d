"""The training toolkit: gradient steps, optimizers, schedules, EMA, collectives, devices, random states."""
