"""One run on disk and its ranks: its folder, checkpoints, logs and what the ranks say to each other."""
