"""Virtual environments for peers: made once, kept, and never mixed with the environment of ddpzero."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ddpzero.system.folder_lock import held_folder
from ddpzero.system.whole_files import remove, replace_whole

_TIME_LIMIT_SECONDS = 900.0
# Written when everything is installed: pip may be stopped at any moment.
_INSTALLED_FILE = "installed.txt"
_NO_NETWORK = re.compile(
    r"connection broken|Failed to establish|name resolution|Max retries|timed out|unreachable|proxy",
    re.IGNORECASE,
)
_NO_WHEEL = re.compile(r"No matching distribution found for (\S+)")


class NoEnvironment(Exception):
    """Why a peer cannot be installed: a sentence for the user."""


def default_folder() -> Path:
    """Return the folder of environments in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "ddpzero" / "peers"


def python_with(folder: Path, name: str, requirements: Sequence[str]) -> Path:
    """Return the Python of an environment in `folder` that has these packages; make it if there is none.

    Raises NoEnvironment if they cannot be installed, UserError if another process is installing them.
    """
    environment = folder / f"{name}-{platform.python_version()}"
    python = environment / "bin" / "python"
    wanted = "\n".join(requirements) + "\n"
    with held_folder(folder, f"another program is installing peers in {folder}: wait for it."):
        marker = environment / _INSTALLED_FILE
        if not (python.exists() and marker.exists() and marker.read_text() == wanted):
            remove(environment)
            _make(environment, python, requirements)
            replace_whole(marker, wanted.encode())
    return python


def _make(environment: Path, python: Path, requirements: Sequence[str]) -> None:
    exit_code, output = _run([sys.executable, "-m", "venv", str(environment)])
    if exit_code != 0:
        raise NoEnvironment(f"python -m venv {environment} failed: {_last_line(output)}")
    # Wheels alone: a compiler that is missing would be a long and hard message.
    options = ["--only-binary", ":all:", "--no-input", "--disable-pip-version-check"]
    options += ["--quiet", "--retries", "1", "--timeout", "15"]
    exit_code, output = _run([str(python), "-E", "-m", "pip", "install", *options, *requirements])
    if exit_code != 0:
        raise NoEnvironment(_reason(output, requirements))


def _reason(output: str, requirements: Sequence[str]) -> str:
    """Return why pip failed, as a sentence."""
    named = ", ".join(requirements)
    if _NO_NETWORK.search(output):
        return (
            f"pip reached no package index to install {named}: connect this machine to the network, or give "
            "--environments a folder in which they are installed."
        )
    if missing := _NO_WHEEL.search(output):
        version = ".".join(platform.python_version_tuple()[:2])
        return (
            f"there is no wheel of {missing[1]} for Python {version} on {platform.system()} {platform.machine()}: "
            "use another Python, or leave the peer out with --peers."
        )
    return f"pip could not install {named}: {_last_line(output)}"


def _run(command: Sequence[str]) -> tuple[int, str]:
    """Return the exit code and the output of a command; 1 if it takes too long."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_TIME_LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return 1, f"it was not done after {_TIME_LIMIT_SECONDS:.0f} s"
    return done.returncode, done.stdout


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"
