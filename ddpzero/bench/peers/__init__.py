"""Other programs for self-play, measured in turn with ddpzero. Called by `ddpzero bench peers`."""
