"""One offline training of an ablation, in a process of its own; started by training.py.

python -m ddpzero.bench.ablation.offline_job CONFIG_DIR SOURCE key=value ...     CONFIG_DIR: may be empty
"""

from __future__ import annotations

import sys
from pathlib import Path

from ddpzero.config.conversion import settings_to_dict
from ddpzero.config.hydra import compose_settings
from ddpzero.system.errors import EXIT_CODE_OF_FAILURE, EXIT_CODE_OF_USER_ERROR, UserError
from ddpzero.system.failures import RunFailed
from ddpzero.system.signals import install_stop_signal
from ddpzero.training.offline import train_offline


def main(words: list[str]) -> int:
    """Train; return the exit code."""
    stop = install_stop_signal()
    config_dir, source, *overrides = words
    try:
        settings = compose_settings(overrides, config_dir or None)
        train_offline(settings, settings_to_dict(settings), Path(source), stop)
    except UserError as error:
        print(f"ddpzero: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_CODE_OF_USER_ERROR
    # The reason has been printed.
    except RunFailed:
        return EXIT_CODE_OF_FAILURE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
