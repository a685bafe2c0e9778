"""Finished episodes on disk: found, filtered, shown, counted, exported, and verified. `ddpzero games` calls it."""
