"""Every game is played to its end, by a person against the random player, and its last screen says how it ended."""

from __future__ import annotations

import io
import random
import re

import numpy as np
import pytest
from rich.console import Console

from ddpzero.arena.players import RandomPlayer
from ddpzero.arena.team_players import RulePlayer
from ddpzero.games import load_any_game, load_game
from ddpzero.play import session as session_module
from ddpzero.play.episode import PlayedEpisode
from ddpzero.play.person import Person
from ddpzero.play.session import Seat, Session
from ddpzero.play.team_session import TeamSession

LOOKS = {
    "plain": {"color_system": None},
    "no color": {"force_terminal": True, "color_system": "truecolor", "no_color": True},
    "color": {"force_terminal": True, "color_system": "truecolor"},
}
DISCS = {"plain": "XO", "no color": "●○", "color": "●○"}
GAMES = [
    ("tic_tac_toe", {}),
    ("connect_four", {}),
    ("gomoku", {"size": 6, "line": 4}),
    ("dots_and_boxes", {"rows": 2, "columns": 2}),
    ("othello", {}),
    ("hex", {"size": 4}),
    ("go", {"size": 4}),
]
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def play_randomly(game, look, monkeypatch, seed, resigns_at=None):
    """(finished game, text of all screens) of a person who plays first and types legal moves at random."""
    episodes = []

    class Remembered(PlayedEpisode):
        def __init__(self, game):
            super().__init__(game)
            episodes.append(self)

    monkeypatch.setattr(session_module, "PlayedEpisode", Remembered)
    output, choices = io.StringIO(), random.Random(seed)

    def read(prompt):
        if resigns_at is not None and len(episodes[-1].actions) >= resigns_at:
            return "resign"
        return game.action_name(choices.choice(episodes[-1].legal_actions()))

    console = Console(file=output, width=100, highlight=False, **LOOKS[look])
    session = Session(game, Person(console, read), np.random.default_rng(seed))
    episode = session.play_game((Seat("you", None), Seat("random", RandomPlayer(game))))
    return episode, _ESCAPES.sub("", output.getvalue())


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize(("name", "parameters"), GAMES, ids=str)
def test_a_game_is_played_to_its_end(name, parameters, look, monkeypatch):
    game = load_game(name, **parameters)
    episode, text = play_randomly(game, look, monkeypatch, seed=5)
    assert episode.is_over
    num_moves = len(episode.actions)
    for move in range(1, num_moves + 1):
        assert re.search(rf"^move {move}: [{DISCS[look]}] (you|random) to play", text, re.M)
        assert re.search(rf"^move {move}: (you play|random plays) ", text, re.M)
    _, _, end = text.rpartition(f"move {num_moves}: ")
    assert sentence_of_end(episode) in end
    _check_last_board(episode, end, look)


def sentence_of_end(episode):
    """ "you win after 17 moves."; with points where the game counts them."""
    game, num_moves = episode.game, len(episode.actions)
    first, second = game.returns(episode.position)
    who = "a draw" if first == second else "you win" if first > second else "random wins"
    points = game.final_points(episode.position)
    komi = getattr(game.parameters, "komi", 0)
    told = (
        "" if points is None else f", {points[0]} : {points[1]}{f' + {komi:g} komi' * bool(komi)}"
    )
    return f"{who} after {num_moves} moves{told}."


def _check_last_board(episode, screen, look):
    """The board has the discs of both, told apart without color, and the cells that have won are marked."""
    game = episode.game
    board = np.asarray(game.board(episode.position))
    cells = "\n".join(
        line for line in screen.splitlines() if not line.startswith(("you", "random"))
    )
    # Along the edges of Hex stand marks, too.
    edges = 2 * game.parameters.size if game.name == "hex" else 0
    for disc, player in zip(DISCS[look], (1, 2), strict=True):
        assert cells.count(disc) == int((board == player).sum()) + edges
    won = game.winning_cells(episode.position)
    assert cells.count("*") == (0 if look == "color" or not won else len(won) + 1)
    assert ("the winning line is marked with *." in screen) == (look != "color" and bool(won))


@pytest.mark.parametrize("look", LOOKS)
def test_who_resigns_loses_at_once(look, monkeypatch):
    episode, text = play_randomly(load_game("othello"), look, monkeypatch, seed=5, resigns_at=6)
    assert episode.resigned == 0
    assert text.endswith("you resign: random wins after 6 moves.\n")


@pytest.mark.parametrize("look", LOOKS)
def test_a_game_of_snakes_is_steered_to_its_end(look):
    game = load_any_game("snakes", rows=6, columns=8, snakes=4, steps=20)
    output, choices = io.StringIO(), random.Random(5)
    console = Console(file=output, width=100, highlight=False, **LOOKS[look])
    person = Person(console, lambda prompt: choices.choice("wasd"))
    player = RulePlayer(game, "greedy")
    session = TeamSession(game, person, (player, player), 0, np.random.default_rng(5))
    points = session.play_game()
    text = _ESCAPES.sub("", output.getvalue())
    assert "# snake 0 is yours" in text
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    assert lines[-2] == "you and your mates (agents 0 1) : greedy (second) (agents 2 3)"
    winner = ("greedy (second) wins", "a draw", "you and your mates win")
    score = f"{points[0]} : {points[1]}"
    assert (
        lines[-1] == f"{winner[1 + int(np.sign(points[0] - points[1]))]}, {score} after 20 steps."
    )
    assert f"step 20 of 20   {score}" in text
