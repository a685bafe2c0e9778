"""python -m ddpzero.cli: the program ddpzero where it is not on the path."""

import sys

from ddpzero.cli.commands import main

sys.exit(main())
