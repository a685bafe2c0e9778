"""The program `ddpzero`: its commands, their options and help."""
