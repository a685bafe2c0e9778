"""A page on which people play against agents, look into their thoughts, and watch trainings: ddpzero web."""
