"""What the page calls the games: "Go 9x9", and of several such games also what differs: "Go 9x9, komi 6.5"."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ddpzero.games import Game, TeamGame
from ddpzero.games.core.titles import said_of_parameter, title_of


def titles_of(games: Sequence[Game | TeamGame]) -> list[str]:
    """Return the title of each game; of those with the same one also the parameters in which they differ."""
    titles = [title_of(game) for game in games]
    alike: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for title, game in zip(titles, games, strict=True):
        alike[title].append(asdict(game.parameters))
    return [
        ", ".join([title, *_differences(asdict(game.parameters), alike[title])])
        for title, game in zip(titles, games, strict=True)
    ]


def _differences(parameters: dict[str, Any], alike: Sequence[dict[str, Any]]) -> list[str]:
    """Return the parameters that are not the same in all games with this title, such as "komi 6.5" or "no suicide"."""
    differing = {
        name: value
        for name, value in parameters.items()
        if any(other.get(name) != value for other in alike)
    }
    return [said_of_parameter(name, value) for name, value in differing.items()]
