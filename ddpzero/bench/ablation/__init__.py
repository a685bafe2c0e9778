"""Compares variants of a training: `ddpzero ablate FILE.yaml`."""
