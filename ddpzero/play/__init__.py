"""A person against a player, or two players to watch, in the terminal. `ddpzero play` is run.run_play."""
