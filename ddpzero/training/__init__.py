"""The training of one rank: the loop, its counters, metrics, reports and checkpoints."""
