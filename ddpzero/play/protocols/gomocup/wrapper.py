"""Writes the script that managers start: they expect a program without arguments whose name begins with pbrain-."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ddpzero import PACKAGE_DIR
from ddpzero.arena.agents import folder_of_agent
from ddpzero.play.protocols.gomocup.agent import load_five_in_a_row
from ddpzero.play.protocols.gomocup.errors import CommandError
from ddpzero.play.strength import Strength
from ddpzero.system.whole_files import replace_whole, require_writable

_SCRIPT = """\
#!/bin/sh
# A brain for Gomocup's managers and piskvork, written by ddpzero gomocup --install.
PYTHONPATH={package}${{PYTHONPATH:+:$PYTHONPATH}}
export PYTHONPATH
exec {python} -m ddpzero.cli gomocup {words}
"""


# Of Gomocup's tournaments.
_USUAL_SIZES = (15, 20)


def install(
    player: str, folder: Path, options: Sequence[str] = (), sizes: Sequence[int] | None = None
) -> Path:
    """Write the script into a folder and return its path; an older one of the same name is replaced.

    player: a run or a checkpoint; of a run, the newest checkpoint plays at each start. options: of ddpzero gomocup.
    sizes: of boards for which the code is compiled now, if the agent can play on them: managers do not wait for that.
    None: the board that it was trained on, and those of tournaments.
    Raises UserError if the agent does not play five in a row, or if the folder cannot be written.
    """
    agent = load_five_in_a_row(player)
    require_writable("--install", folder, make=True)
    path = folder_of_agent(player)
    script = folder / f"pbrain-{re.sub(r'[^A-Za-z0-9._-]', '_', path.name)}"
    words = map(shlex.quote, [str(path), *options])
    content = _SCRIPT.format(
        package=shlex.quote(str(PACKAGE_DIR.parent)),
        python=shlex.quote(sys.executable),
        words=" ".join(words),
    )
    replace_whole(script, content.encode())
    script.chmod(0o755)
    for size in sizes or sorted({agent.size, *_USUAL_SIZES}):
        with suppress(CommandError):
            agent.engines(size, Strength())
    return script
