"""ddpzero trains game-playing agents from self-play, with one learner rank per GPU."""

__version__ = "0.1.0"
