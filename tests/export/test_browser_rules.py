"""The rules of the static page are ours: recorded games, played move by move in a real browser.

In every position: legal moves, stones, the input of the network, whose turn it is, the result, the winning cells.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from ddpzero.export.static_page import STATIC_FOLDER
from ddpzero.games import Game, load_game
from tests.recorded import recorded_games

_REPLAY = """async ([game, games]) => {
  const { makeGame } = await import("./games/games.js");
  const { GOING_ON, resultOf } = await import("./games/stones.js");
  const rules = makeGame(game);
  const size = rules.inputShape.reduce((product, side) => product * side, 1);
  const seen = (position) => {
    const planes = new Float32Array(size + 2).fill(7);
    rules.observe(position, planes, 1);
    const isOver = position.status !== GOING_ON;
    return [
      rules.legal(position).map(Number).join(""), position.cells.join(""), planes.join(""), position.mover,
      isOver ? [resultOf(position, 0), resultOf(position, 1)] : null, isOver ? rules.winningCells(position) : [],
    ];
  };
  return games.map((moves) => {
    const positions = [rules.start()];
    for (const move of moves) positions.push(rules.play(positions.at(-1), move));
    return positions.map(seen);
  });
}"""


class Recorded(NamedTuple):
    """Games of one game to be replayed. file: of the games; None for random ones."""

    name: str
    parameters: dict[str, Any]
    file: str | None
    num_games: int


CASES = {
    "connect_four": Recorded("connect_four", {}, "connect_four", 100),
    "connect_five": Recorded("connect_four", {"rows": 5, "columns": 8, "line": 5}, None, 10),
    "gomoku": Recorded("gomoku", {}, "gomoku15", 15),
    "exactly_five": Recorded("gomoku", {"size": 7, "exact_five": True, "history": 0}, None, 20),
    "othello": Recorded("othello", {}, "othello", 25),
    "small_othello": Recorded("othello", {"size": 6}, None, 10),
    "hex": Recorded("hex", {"size": 5}, "hex5", 100),
    "hex_with_swap": Recorded("hex", {"size": 4, "swap": True}, None, 40),
}


@pytest.fixture(scope="module")
def page(browser, serve):
    page = browser.new_page()
    page.goto(f"{serve(STATIC_FOLDER)}/page.css")
    yield page
    page.close()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_games_go_in_the_browser_as_they_go_here(case: Recorded, page):
    game = load_game(case.name, **case.parameters)
    games = recorded(case.file, case.num_games) if case.file else random_games(game, case.num_games)
    described = {
        "name": game.name,
        "parameters": {k: v for k, v in game.arguments.items() if k not in ("name", "source")},
    }
    found = page.evaluate(_REPLAY, [described, games])
    assert len(found) == case.num_games
    for number, moves in enumerate(games):
        for ply, (theirs, own) in enumerate(zip(found[number], seen(game, moves), strict=True)):
            assert theirs == own, f"game {number}, ply {ply} of {json.dumps(moves)}"


def seen(game: Game, moves: Sequence[int]) -> list[list[Any]]:
    """What _REPLAY returns of one game, according to our rules."""
    position = game.initial_position()
    views = [view(game, position)]
    for move in moves:
        position = game.apply_action(position, move)
        views.append(view(game, position))
    return views


def view(game: Game, position: np.ndarray) -> list[Any]:
    is_over = game.is_terminal(position)

    def text(numbers: np.ndarray) -> str:
        return "".join(map(str, numbers.reshape(-1)))

    return [
        text(game.legal_actions(position).astype(int)),
        text(game.board(position)),
        f"7{text(game.observation(position))}7",  # nothing beside the planes is written
        game.current_player(position),
        [int(result) for result in game.returns(position)] if is_over else None,
        game.winning_cells(position) if is_over else [],
    ]


def recorded(file: str, num_games: int) -> list[list[int]]:
    data = np.load(recorded_games(file))
    return [data["moves"][i, : data["lengths"][i]].tolist() for i in range(num_games)]


def random_games(game: Game, num_games: int) -> list[list[int]]:
    rng = np.random.default_rng(0)
    games: list[list[int]] = []
    for _ in range(num_games):
        position, moves = game.initial_position(), []
        while not game.is_terminal(position):
            moves.append(int(rng.choice(game.possible_actions(position))))
            position = game.apply_action(position, moves[-1])
        games.append(moves)
    return games
