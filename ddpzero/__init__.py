"""ddpzero trains game-playing agents from self-play, with one learner rank per GPU."""

from pathlib import Path

__version__ = "0.1.0"

PACKAGE_DIR = Path(__file__).resolve().parent
