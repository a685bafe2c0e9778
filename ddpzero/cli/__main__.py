"""Runs the program `ddpzero` as `python -m ddpzero.cli`, for environments without the console script."""

import sys

from ddpzero.cli.commands import main

sys.exit(main())
