"""Fitting the networks: loop, schedule, checkpoints."""
