"""The peers that `ddpzero bench peers` knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ddpzero.system.errors import require


@dataclass(frozen=True)
class Peer:
    """title: its name in tables. requirements: what pip installs, pinned. program: a file of programs/.

    workloads: what it can be compared in.
    """

    title: str
    requirements: tuple[str, ...]
    program: str
    workloads: tuple[str, ...]


PEERS = {
    "mctx": Peer(
        "mctx + pgx",
        ("mctx==0.0.71", "pgx==2.6.0", "jax==0.10.2", "jaxlib==0.10.2"),
        "mctx_pgx.py",
        ("rules", "search"),
    ),
    "open_spiel": Peer("OpenSpiel", ("open_spiel==2.0.2",), "spiel.py", ("rules", "rollouts")),
}


def chosen_peers(names: Sequence[str]) -> dict[str, Peer]:
    """Return the named peers; all of them for no names. Raises UserError for a name that is not known."""
    for name in names:
        require(name in PEERS, f"--peers {name} is not known: choose from {', '.join(PEERS)}.")
    return {name: PEERS[name] for name in names or PEERS}
