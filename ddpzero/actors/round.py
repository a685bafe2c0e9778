"""One round of schedule "rounds" as the rank sees it: which actor owes episodes, and what arrived. Only bookkeeping."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ddpzero.actors.connection import Kind, Message
from ddpzero.replay import Episode


class Round:
    """A quota of episodes per actor. An actor that fails plays its whole quota again."""

    def __init__(
        self, number: int, episodes_per_actor: Sequence[int], round_seed: int, weights_version: int
    ) -> None:
        self.number = number
        self._quotas = list(episodes_per_actor)
        self._round_seed = round_seed
        self._weights_version = weights_version
        self._owes = [quota > 0 for quota in self._quotas]
        self._episodes: list[list[Episode]] = [[] for _ in self._quotas]

    @property
    def is_done(self) -> bool:
        return not any(self._owes)

    @property
    def episodes(self) -> list[Episode]:
        """By actor_index, then in the order in which each actor finished them."""
        return [episode for episodes in self._episodes for episode in episodes]

    def owes(self, actor_index: int) -> bool:
        """Return whether this actor has not played its quota yet."""
        return self._owes[actor_index]

    def command(self, actor_index: int) -> Message:
        """Return the message that tells an actor to play its quota."""
        return _command(
            self.number, self._quotas[actor_index], self._round_seed, self._weights_version
        )

    def take(self, actor_index: int, episode: Episode) -> None:
        self._episodes[actor_index].append(episode)

    def finish(self, actor_index: int) -> None:
        """Note that the actor has sent its whole quota."""
        self._owes[actor_index] = False

    def begin_again(self, actor_index: int) -> None:
        """Drop what a failed actor sent: its successor plays the same episodes from the first one."""
        if self.owes(actor_index):
            self._episodes[actor_index] = []


def stop_command() -> Message:
    """Return the message that tells an actor to leave the current round and wait."""
    return _command(0, 0, 0, 0)


def _command(
    round_number: int, num_episodes: int, round_seed: int, weights_version: int
) -> Message:
    values = {
        "num_episodes": num_episodes,
        "round_seed": round_seed,
        "weights_version": weights_version,
    }
    return Message(Kind.COMMAND, round_number, json.dumps(values).encode())
