"""Compiles what an agent needs on a board, in a process that ends afterwards and takes the compiler's memory with it.

python -m ddpzero.play.protocols.gomocup.compiling RUN SIZE
"""

from __future__ import annotations

import subprocess
import sys

from ddpzero.system.parent import with_parent


def compile_in_process(player: str, size: int) -> None:
    """Compile for boards of a size. player: a run or a checkpoint. If it fails, there is just nothing compiled.

    Call it from the main thread.
    """
    command = [sys.executable, "-m", __name__, player, str(size)]
    # The manager is at stdin and stdout.
    nowhere = subprocess.DEVNULL
    subprocess.run(with_parent(command), stdin=nowhere, stdout=nowhere, check=False)


def main() -> None:
    """Compile as the command line says."""
    from ddpzero.play.protocols.gomocup.agent import load_five_in_a_row
    from ddpzero.play.strength import Strength

    player, size = sys.argv[1:]
    load_five_in_a_row(player).engines(int(size), Strength())


if __name__ == "__main__":
    main()
