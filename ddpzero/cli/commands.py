"""The program `ddpzero`: runs the commands that arguments.py lists; `ddpzero --help` explains them.

Spawned processes import this file again, so each command imports what it needs only when it runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import takewhile

from ddpzero.cli.arguments import parse_arguments
from ddpzero.cli.overrides import OVERRIDE
from ddpzero.system.allocator import keep_freed_memory
from ddpzero.system.errors import EXIT_CODE_OF_FAILURE, EXIT_CODE_OF_USER_ERROR
from ddpzero.system.machine import require_current_folder
from ddpzero.system.terminal import prepare_output, until_reader_leaves


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0, 1 if it or a check failed, 2 for an error of the user."""
    prepare_output()
    words = sys.argv[1:] if arguments is None else arguments
    return until_reader_leaves(lambda: _run(words), 0)


def _run(words: Sequence[str]) -> int:
    # Settings may stand before the command.
    settings = list(takewhile(OVERRIDE.match, words))
    command, *others = words[len(settings) :] or [""]
    if command == "train":
        return _train([*settings, *others])
    # Beside a training, a network's threads would else spend their time in waiting for each other: 20 times as slow.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_freed_memory()
    options = parse_arguments(words)
    exit_code = EXIT_CODE_OF_USER_ERROR
    try:
        require_current_folder()
        return options.do(options)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        print(f"ddpzero {options.command}: stopped before its end.", file=sys.stderr)
        return 130
    except ValueError as error:
        sentence = str(error)
    except OSError as error:
        if error.filename is None:
            raise
        sentence = f"{error.filename}: {error.strerror}."
    except RuntimeError as error:
        from ddpzero.system.errors import is_sentence_of_ours

        if not is_sentence_of_ours(error):
            raise
        sentence = str(error)
        exit_code = EXIT_CODE_OF_FAILURE
    print(f"ddpzero: {' '.join(sentence.split())}", file=sys.stderr)
    return exit_code


def _train(words: Sequence[str]) -> int:
    """Train in this process, as python -m ddpzero.main does. A failure raises SystemExit with its exit code."""
    from ddpzero.main import main as train

    sys.argv[1:] = words
    train()
    return 0


if __name__ == "__main__":
    sys.exit(main())
