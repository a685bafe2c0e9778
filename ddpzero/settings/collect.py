"""The settings of a run that takes in games of contributors."""

from __future__ import annotations

from dataclasses import dataclass

from ddpzero.system.errors import require


@dataclass(frozen=True)
class CollectSettings:
    """Games from a collection server (ddpzero serve), to which rank 0 pushes each released model.

    server: its URL; None: no server. token_file: with the token of a user with the role learner; None: the environment
    variable DDPZERO_TOKEN. share: the most of the samples that may come from contributors; the other ones are those of
    the run's own actors, which they then wait for.
    """

    server: str | None = None
    token_file: str | None = None
    share: float = 1.0

    def __post_init__(self) -> None:
        require(
            self.server is None or self.server.startswith(("http://", "https://")),
            f"collect.server={self.server} is no address of a server: write collect.server=https://HOST, or null.",
        )
        require(
            0 < self.share <= 1,
            f"collect.share={self.share} must be above 0 and at most 1: collect.server=null takes in no games.",
        )
