"""Play in the terminal: a person against a player, or two players to watch. `ddpzero play` calls run.run_play."""
