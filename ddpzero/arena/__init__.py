"""Matches between players: programs of this project, and runs of every plugin. `ddpzero match` is run.run_match."""
