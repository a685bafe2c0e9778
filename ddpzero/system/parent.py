"""Makes the kernel kill this process when its parent dies: a parent killed with SIGKILL cannot do it.

On Linux, PR_SET_PDEATHSIG fires when the *thread* that started this process ends: start such processes from a main
thread. Elsewhere a thread of this process looks for its parent twice a second.

    python -m ddpzero.system.parent PID PROGRAM ARGUMENT ...     runs a program that the kernel kills when PID dies
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1
_LOOK_SECONDS = 0.5
# The agent's store is on this machine, so a refusal arrives at once.
_STORE_SECONDS = 2.0


def follow_parent(parent_pid: int) -> None:
    """Make the kernel kill this process when its parent dies; exit at once if the parent has already died."""
    _be_killed_with_parent()
    if os.getppid() != parent_pid:
        os._exit(1)


def with_parent(command: Sequence[str]) -> list[str]:
    """Return the command line that runs a program, given by its path, so that it is killed when this process ends.

    Start it from the main thread.
    """
    return [sys.executable, "-m", "ddpzero.system.parent", str(os.getpid()), *command]


def die_with_parent() -> None:
    """Under torchrun, make the kernel kill this rank when its agent dies, so that a `kill -9` of the agent ends it.

    A rank whose agent died before this call exits at once, silently. Without torchrun do nothing: the parent is a
    shell, which may leave its job running on purpose. Call it early, from the main thread.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return
    _be_killed_with_parent()
    # The kernel watches the agent from here on. Check after that, not before, whether the agent is still alive.
    if _has_lost_its_agent() or _agent_store_is_gone():
        os._exit(1)


def _has_lost_its_agent() -> bool:
    """Return whether this rank was orphaned: init or another process that adopts orphans replaced the agent.

    torchrun does not pass on its process id. But it has loaded torch, and processes that adopt orphans (init, systemd,
    tini, slurmstepd, a shell) have not. There may be wrappers between the agent and this rank.
    """
    # torchrun makes the process that it starts the leader of a session. Any other one was started by a wrapper, maybe
    # in a container that does not see the agent.
    if os.getsid(0) != os.getpid():
        return False
    pid = os.getppid()
    # The parent cannot be examined.
    if pid == 0 or not os.path.exists("/proc/self/maps"):
        return False
    while pid > 0:
        if _has_loaded_torch(pid):
            return False
        pid = _parent_of(pid)
    return True


def _has_loaded_torch(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:
            return re.search(rb"/libtorch|/torch/_C\b", file.read()) is not None
    except PermissionError:
        # Another user's process, usually init; or one of the same user with capabilities that this rank lacks.
        return _is_ours_and_named_torch(pid)
    # The process has ended.
    except OSError:
        return False


def _is_ours_and_named_torch(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            is_named_torch = b"torch" in file.read()
    except OSError:
        return False
    return is_named_torch and int(_status_of(pid).get("Uid", "-1").split()[0]) == os.getuid()


def _parent_of(pid: int) -> int:
    """Return the parent's process id; 0 if it is not visible."""
    return int(_status_of(pid).get("PPid", "0"))


def _status_of(pid: int) -> dict[str, str]:
    """Return the fields of /proc/PID/status; empty if the process has ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            return {
                name: value.strip() for name, _, value in (line.partition(":") for line in file)
            }
    except OSError:
        return {}


def _agent_store_is_gone() -> bool:
    """Return whether the store of a single agent refuses connections, which means that the agent has ended.

    This also detects a dead agent if the adopting process has loaded torch, as a Python program that starts torchrun.
    """
    environment = os.environ
    if (
        environment.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
        or environment.get("GROUP_WORLD_SIZE") != "1"
    ):
        return False
    import socket

    address = (environment.get("MASTER_ADDR", ""), int(environment.get("MASTER_PORT", "0")))
    try:
        socket.create_connection(address, timeout=_STORE_SECONDS).close()
    except ConnectionRefusedError:
        return True
    # A missing answer proves nothing; joining the ranks will show whether the store works.
    except OSError:
        return False
    return False


def _be_killed_with_parent() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "prctl"):
        threading.Thread(target=_die_after, args=(os.getppid(),), daemon=True).start()
        return
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl(PR_SET_PDEATHSIG): {os.strerror(code)}")


def _die_after(parent_pid: int) -> None:
    """Wait until another process has adopted this one, and end it."""
    while os.getppid() == parent_pid:
        time.sleep(_LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    # The kernel keeps this promise when the process executes another program.
    follow_parent(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
