"""One rank's training: the loop, what it counts and measures, and what it tells."""
