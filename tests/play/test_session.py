"""Facts about the conversation with a person, whose lines are scripted."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from ddpzero.arena.players import RolloutPlayer
from ddpzero.games import load_game
from ddpzero.games.core.player_errors import PlayerError
from ddpzero.play.person import Leave, Person
from ddpzero.play.session import Seat, Session
from tests.places import REPO


class Scripted:
    """Plays its moves in order, and has no opinion to share."""

    name = "scripted"
    uses_chance = False

    def __init__(self, game, *moves):
        self._game = game
        self._actions = [game.parse_action(move) for move in moves]

    def choose(self, positions, rng):
        return np.array([self._actions.pop(0)])


class Thoughtful(Scripted):
    """Likes its next move ten times as much as any other."""

    name = "thoughtful"

    def analyze(self, positions, rng):
        policy = np.full((1, 9), 0.01, dtype=np.float32)
        policy[0, self._actions[0]] = 0.92
        wdl = np.array([[0.2, 0.5, 0.3]], dtype=np.float32)
        actions = np.array([self._actions[0]])
        return SimpleNamespace(actions=actions, policy=policy, value=wdl[:, 0] - wdl[:, 2], wdl=wdl)


@pytest.fixture
def game():
    return load_game("tic_tac_toe")


@pytest.fixture
def converse():
    """Plays one game with a person who says the lines; returns (episode or None if the person left, output)."""

    def play(game, seats, *lines):
        output = io.StringIO()
        remaining = list(lines)

        def read(prompt):
            output.write(prompt)
            if not remaining:
                raise EOFError
            output.write(remaining[0] + "\n")
            return remaining.pop(0)

        session = Session(
            game, Person(Console(file=output, width=100), read), np.random.default_rng(0)
        )
        try:
            episode = session.play_game(seats)
        except Leave:
            episode = None
        return episode, output.getvalue()

    return play


def person_first(player):
    return Seat("you", None), Seat(player.name, player)


def test_a_person_who_completes_a_row_wins(game, converse):
    seats = person_first(Scripted(game, "a2", "b2"))
    episode, output = converse(game, seats, "a1", "b1", "c1")
    assert game.returns(episode.position).tolist() == [1, -1]
    assert "you win after 5 moves." in output
    assert "scripted plays a2" in output


def test_a_player_who_completes_a_row_is_announced(game, converse):
    seats = person_first(Scripted(game, "a2", "b2", "c2"))
    _, output = converse(game, seats, "a1", "b1", "c3")
    assert "scripted wins after 6 moves." in output


def test_a_draw_is_announced(game, converse):
    seats = person_first(Scripted(game, "b2", "a1", "c2", "b3"))
    _, output = converse(game, seats, "a2", "c1", "a3", "b1", "c3")
    assert "a draw after 9 moves." in output


def test_the_person_may_play_second(game, converse):
    player = Scripted(game, "a1", "b1", "c1")
    seats = Seat(player.name, player), Seat("you", None)
    episode, output = converse(game, seats, "a2", "b2")
    assert [game.action_name(a) for a in episode.actions] == ["a1", "a2", "b1", "b2", "c1"]
    assert "scripted wins" in output


def test_moves_are_read_in_either_case_and_with_blanks(game, converse):
    seats = person_first(Scripted(game, "a2", "b2"))
    episode, _ = converse(game, seats, "A1", " b1 ", "C1")
    assert episode is not None


def test_bad_input_is_answered_with_help_and_changes_nothing(game, converse):
    seats = person_first(Scripted(game, "a2", "b2"))
    episode, output = converse(game, seats, "z9", "banana", "a1", "a2", "b1", "c1")
    assert len(episode.actions) == 5
    assert "'z9' is not a cell" in output
    assert "Type help" in output
    assert "a2 is not possible here. Legal: a3 b3 c3 b2 c2 b1 c1" in output


def test_help_lists_the_legal_moves_and_the_commands(game, converse):
    _, output = converse(game, person_first(Scripted(game)), "help")
    assert "legal moves: a3 b3 c3 a2 b2 c2 a1 b1 c1" in output
    for command in ("hint", "undo", "quit"):
        assert command in output


def test_undo_takes_back_the_answer_and_the_persons_move(game, converse):
    seats = person_first(Scripted(game, "a2", "a2", "b2"))
    episode, _ = converse(game, seats, "c3", "undo", "a1", "b1", "c1")
    names = [game.action_name(action) for action in episode.actions]
    assert names == ["a1", "a2", "b1", "b2", "c1"]


def test_undo_at_the_start_says_that_there_is_nothing(game, converse):
    _, output = converse(game, person_first(Scripted(game)), "undo")
    assert "nothing to take back" in output


def test_undo_does_not_take_back_the_players_own_opening_move(game, converse):
    player = Scripted(game, "b2")
    seats = Seat(player.name, player), Seat("you", None)
    _, output = converse(game, seats, "undo")
    assert "nothing to take back" in output


def test_hint_shows_what_the_player_would_do(game, converse):
    seats = person_first(Thoughtful(game, "b2"))
    _, output = converse(game, seats, "hint")
    assert "in your place thoughtful would play b2" in output
    assert "win 20%" in output
    assert "92%" in output


def test_a_player_without_opinions_gives_no_hint(game, converse):
    _, output = converse(game, person_first(Scripted(game)), "hint")
    assert "scripted has no opinion to share." in output


def test_a_player_shows_what_it_expects_with_its_move(game, converse):
    _, output = converse(game, person_first(Thoughtful(game, "b2")), "a1")
    assert "thoughtful expects" in output
    assert "win 20%  draw 50%  loss 30%" in output


@pytest.mark.parametrize("word", ["quit", "exit", "q", "QUIT"])
def test_quit_leaves(game, converse, word):
    episode, _ = converse(game, person_first(Scripted(game)), word, "a1")
    assert episode is None


def test_the_end_of_input_leaves(game, converse):
    episode, _ = converse(game, person_first(Scripted(game, "a2")), "a1")
    assert episode is None


def test_a_person_with_an_extra_turn_is_asked_again(converse):
    source = REPO / "tests" / "search" / "extra_turns.py"
    game = load_game("extra_turns", source=str(source), stones=7)
    seats = person_first(Scripted(game))
    episode, output = converse(game, seats, "3", "3", "1")
    assert "you win after 3 moves." in output
    assert game.returns(episode.position).tolist() == [1, -1]


def test_a_player_without_chance_opens_in_different_ways(game):
    openings = set()
    for seed in range(10):
        output = Console(file=io.StringIO())
        session = Session(game, Person(output, lambda prompt: ""), np.random.default_rng(seed))
        player = RolloutPlayer(game, 200)
        episode = session.play_game((Seat("a", player), Seat("b", player)))
        openings.add(tuple(episode.actions[:3]))
    assert len(openings) > 5


def test_the_board_says_whose_turn_it_is_and_which_move(game, converse):
    _, output = converse(game, person_first(Scripted(game, "a2")), "a1")
    assert "X you   O scripted" in output
    assert "move 1: X you to play\n" in output
    assert "move 1: you play a1\n" in output
    assert "move 2: O scripted to play\n" in output
    assert "move 2: scripted plays a2\n" in output
    assert "move 3: X you to play\n" in output


def test_the_winning_line_is_marked_at_the_end(game, converse):
    _, output = converse(game, person_first(Scripted(game, "a2", "b2")), "a1", "b1", "c1")
    assert "1 *X*X*X\n" in output
    assert output.endswith("the winning line is marked with *.\n")


def test_resigning_ends_the_game_and_the_other_wins(game, converse):
    episode, output = converse(game, person_first(Scripted(game, "a2")), "a1", "resign", "b1")
    assert output.endswith("you resign: scripted wins after 2 moves.\n")
    assert episode.resigned == 0
    assert not episode.is_over


def test_every_command_is_named_at_the_prompt_and_has_one_line_of_help(game, converse):
    _, output = converse(game, person_first(Scripted(game)), "help")
    assert "your move (a3 to c1; help, hint, undo, resign, save, quit): " in output
    for command in ("hint", "undo", "resign", "save", "quit"):
        assert sum(line.startswith(f"{command} ") for line in output.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "parameters", "moves", "running", "end"),
    [
        ("dots_and_boxes", {"rows": 1, "columns": 1}, "a2 b1 b3 c2", "0 : 0 on the board", "0 : 1"),
        ("go", {"size": 3, "komi": 0.5}, "B2 pass pass", "1 : 0 on the board", "9 : 0 + 0.5 komi"),
    ],
)
def test_points_are_told_while_and_after_they_are_counted(
    converse, name, parameters, moves, running, end
):
    game = load_game(name, **parameters)
    moves = moves.split()
    players = Scripted(game, *moves[::2]), Scripted(game, *moves[1::2])
    episode, output = converse(game, (Seat("a", players[0]), Seat("b", players[1])))
    points = game.final_points(episode.position)
    assert f"{points[0]} : {points[1]}" == end.split(" +")[0]
    assert output.rstrip().endswith(f"wins after {len(moves)} moves, {end}.")
    assert running in output


def test_the_screen_is_cleared_between_moves_on_a_terminal_only(game):
    for is_terminal in (True, False):
        output = io.StringIO()
        console = Console(file=output, width=100, force_terminal=is_terminal)
        session = Session(game, Person(console, lambda prompt: "quit"), np.random.default_rng(0))
        with pytest.raises(Leave):
            session.play_game(person_first(Scripted(game)))
        assert ("\x1b[2J" in output.getvalue()) == is_terminal


class Cheat(Scripted):
    """Plays where a stone lies already."""

    name = "cheat"

    def choose(self, positions, rng):
        return np.array([int(np.flatnonzero(positions[0][:9])[0])])


def test_a_player_that_breaks_the_rules_is_named(game, converse):
    with pytest.raises(PlayerError, match="player cheat broke the rules: it chose action 4"):
        converse(game, person_first(Cheat(game)), "b2")


def test_the_prompt_tells_moves_on_the_board_from_a_pass(converse):
    game = load_game("go", size=5)
    _, output = converse(game, person_first(Scripted(game)), "quit")
    first, last = game.action_name(0), game.action_name(24)
    assert f"your move ({first} to {last}, or pass; help" in output


def test_what_is_not_a_move_has_no_number(game, converse):
    _, output = converse(game, person_first(Scripted(game, "a2")), "a1", "undo")
    assert "\ntaken back.\n" in output and "move 0" not in output


def test_a_varied_opening_names_the_first_choice(game):
    texts = []
    for seed in range(6):
        output = io.StringIO()
        person = Person(Console(file=output, width=100), lambda prompt: "resign")
        seats = Seat("half", Halves(game)), Seat("you", None)
        Session(game, person, np.random.default_rng(seed)).play_game(seats)
        texts.append(output.getvalue())
    varied = "half plays a1 and not b2, its first choice (so that openings vary)"
    assert any(varied in text for text in texts)
    assert any("half plays b2\n" in text for text in texts)


class Halves(Scripted):
    """Likes two moves almost alike."""

    name = "half"

    def analyze(self, positions, rng):
        policy = np.zeros((1, 9), dtype=np.float32)
        best, other = self._game.parse_action("b2"), self._game.parse_action("a1")
        policy[0, best], policy[0, other] = 0.51, 0.49
        wdl = np.array([[0.2, 0.5, 0.3]], dtype=np.float32)
        return SimpleNamespace(
            actions=np.array([best]), policy=policy, value=wdl[:, 0] - wdl[:, 2], wdl=wdl
        )


def test_lines_that_no_terminal_echoes_are_shown(game, monkeypatch):
    output = io.StringIO()
    person = Person(Console(file=output, width=80))
    monkeypatch.setattr("sys.stdin", io.StringIO("undo\nquit\n"))
    with pytest.raises(Leave):
        Session(game, person, np.random.default_rng(0)).play_game(person_first(Scripted(game)))
    assert "quit): undo\nthere is nothing to take back yet.\n" in output.getvalue()
