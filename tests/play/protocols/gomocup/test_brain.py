"""Facts about the dialogue with a manager: what is answered to which commands."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest

from ddpzero.play.clock import Lag, TimeControl
from ddpzero.play.protocols.gomocup.agent import FiveInARow
from ddpzero.play.protocols.gomocup.brain import Brain
from ddpzero.play.strength import Strength
from ddpzero.system.errors import UserError
from ddpzero.system.machine import private_bytes
from tests.play.protocols.gomocup.agents import random_mover, referee_game, untrained_agent

MOVE = re.compile(r"\d+,\d+")


class Dialogue:
    """A manager that speaks with a brain in the same process."""

    def __init__(self, **strength):
        self.said, self.message, self.has_ended = [], "", False
        self.brain = Brain(
            untrained_agent(),
            Strength(**strength),
            self.said.append,
            lambda: self.has_ended,
            np.random.default_rng(0),
        )

    def tell(self, *lines):
        """Send lines; return the answers that are no messages."""
        self.said.clear()
        for line in lines:
            assert self.brain.obey(line, time.monotonic())
        assert all("\n" not in line for line in self.said)
        self.message = "".join(line for line in self.said if line.startswith("MESSAGE "))
        return [line for line in self.said if not line.startswith("MESSAGE ")]

    def ask(self, *lines):
        (answer,) = self.tell(*lines)
        return answer


@pytest.fixture(scope="module")
def shared():
    dialogue = Dialogue()
    assert dialogue.ask("START 9") == "OK"
    return dialogue


@pytest.fixture
def dialogue(shared):
    """A dialogue about a new game on a board of 9 x 9."""
    shared.tell(
        "INFO max_memory 0", "INFO rule 0", "INFO timeout_turn 50", "INFO time_left 2147483647"
    )
    shared.has_ended = False
    assert shared.ask("START 9") == "OK"
    return shared


def is_move(text, size=9):
    return MOVE.fullmatch(text) and all(int(number) < size for number in text.split(","))


def test_nothing_is_played_before_the_board_is_known():
    dialogue = Dialogue()
    for line in ("BEGIN", "TURN 1,1", "RESTART", "TAKEBACK 1,1", "PLAY 1,1"):
        assert dialogue.ask(line) == "ERROR there is no board: use START before it, as in START 20"
    assert dialogue.ask("BOARD", "1,1,2", "DONE").startswith("ERROR there is no board")
    assert dialogue.ask("ABOUT").startswith('name="ddpzero small", version="')
    # Nor when it has loaded what it expects to play on.
    dialogue.brain.prepare()
    assert dialogue.ask("BEGIN").startswith("ERROR there is no board")


def test_what_is_not_known_is_not_said_of_it(dialogue):
    assert '""' not in dialogue.ask("ABOUT")


def test_start_finds_what_was_prepared_and_another_board_is_loaded_once(monkeypatch):
    dialogue, loaded = Dialogue(), []
    engines = FiveInARow.engines
    monkeypatch.setattr(
        FiveInARow, "engines", lambda *words: (loaded.append(words[1]), engines(*words))[1]
    )
    dialogue.brain.prepare()
    for size, total in ((9, [9]), (9, [9]), (5, [9, 5]), (5, [9, 5])):
        assert dialogue.ask(f"START {size}") == "OK" and loaded == total
        assert is_move(dialogue.ask("INFO timeout_turn 50", "BEGIN"), size)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("START 4", "ERROR board size 4 is not supported: 5 to 25 are"),
        ("START 26", "ERROR board size 26 is not supported: 5 to 25 are"),
        ("START", "ERROR START : the size of the board is missing"),
        ("START ten", "ERROR START ten: the size of the board is missing"),
        ("START 99999", "ERROR START 99999: the size of the board is missing"),
        ("RECTSTART 9,10", "ERROR a board of 9 x 10 is not supported: square ones are"),
        ("RECTSTART 9", "ERROR RECTSTART: '9' is not a pair of numbers"),
        ("SWAP2BOARD", "UNKNOWN SWAP2BOARD"),
        ("begin now", "MOVE"),
        ("YXSHOWINFO", "UNKNOWN YXSHOWINFO"),
        ("TURN", "ERROR TURN: '' is not a pair of numbers such as 10,7"),
        ("TURN 1;1", "ERROR TURN: '1;1' is not a pair of numbers"),
        ("TURN -1,1", "ERROR TURN: '-1,1' is not a pair of numbers"),
        ("TURN 9,1", "ERROR TURN: 9,1 is outside the board of 9 x 9"),
        ("TURN 1,9", "ERROR TURN: 1,9 is outside the board of 9 x 9"),
        ("TAKEBACK 1,1", "ERROR TAKEBACK 1,1: this is not the last move"),
        ("DONE", "ERROR DONE: there was no BOARD before it"),
        ("RECTSTART 9,9", "OK"),
        ("restart", "OK"),
        ("  TURN   3 , 4  ", "MOVE"),
        ("PLAY 2,3", "2,3"),
    ],
)
def test_a_command_is_answered_in_one_line(dialogue, line, answer):
    found = dialogue.ask(line)
    assert is_move(found) if answer == "MOVE" else found.startswith(answer)


@pytest.mark.parametrize("line", ["", "   ", "INFO", "INFO evaluate 3,3", "info timeout_turn 30"])
def test_some_lines_are_not_answered(dialogue, line):
    assert dialogue.tell(line) == []


def test_a_square_is_taken_once(dialogue):
    move = dialogue.ask("TURN 4,4")
    assert dialogue.ask(f"TURN {move}") == f"ERROR {move}: there is a stone already"
    assert dialogue.ask("TURN 4,4") == "ERROR 4,4: there is a stone already"
    assert dialogue.ask("BEGIN").startswith("ERROR BEGIN: the board is not empty")
    # A refused command changes nothing.
    assert dialogue.brain._engine.episode.actions[0] == 4 * 9 + 4
    assert len(dialogue.brain._engine.episode.actions) == 2


def test_x_is_the_column(dialogue):
    dialogue.tell("TURN 7,2")
    assert dialogue.brain._engine.episode.actions[0] == 2 * 9 + 7


def test_a_win_in_one_move_is_played_and_then_the_game_is_over(dialogue):
    stones = [*(f"{x},0,1" for x in range(4)), *(f"{2 * x},5,2" for x in range(4))]
    dialogue.tell("INFO timeout_turn 60000")
    assert dialogue.ask("BOARD", *stones, "DONE") == "4,0"
    over = "ERROR the game is over: use START or RESTART for another one"
    assert dialogue.ask("TURN 8,8") == over
    dialogue.tell("INFO timeout_turn 50")
    assert dialogue.ask("RESTART") == "OK" and is_move(dialogue.ask("BEGIN"))


def test_a_board_is_taken_over_in_any_order(dialogue):
    for lines in (["4,4,2"], ["1,1,2", "2,2,1", "5,1,2", "3,3,2", "0,0,1"], ["1,1,1", "1,2,2"]):
        found = dialogue.ask("BOARD", *lines, "DONE")
        assert is_move(found) and found not in [line[:3] for line in lines]
        assert len(dialogue.brain._engine.episode.actions) == len(lines) + 1
    # An empty board: the first move is ours.
    assert is_move(dialogue.ask("BOARD", "DONE"))
    # A game that begins instead of the rest of a board.
    assert dialogue.ask("BOARD", "1,1,2", "RESTART") == "OK"
    assert is_move(dialogue.ask("BEGIN"))


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        (["1,1,1"], "ERROR 1 own stones and 0 of the opponent"),
        (["1,1,2", "1,1,2", "3,3,1"], "ERROR two stones are on the same square"),
        (["1,1,3"], "ERROR BOARD: 1,1,3: a stone is X,Y,1 (own) or X,Y,2"),
        (["1,1"], "ERROR BOARD: 1,1: a stone is"),
        (["1,1,2", "x"], "ERROR BOARD: 'x' is not a pair of numbers"),
        (["9,1,2"], "ERROR BOARD: 9,1 is outside the board"),
        ([f"{x},{y},{y + 1}" for x in range(5) for y in range(2)], "ERROR the game is over"),
    ],
)
def test_a_board_of_no_game_is_refused_and_changes_nothing(dialogue, lines, answer):
    dialogue.tell("TURN 4,4")
    before = list(dialogue.brain._engine.episode.actions)
    assert dialogue.ask("BOARD", *lines, "DONE").startswith(answer)
    assert dialogue.brain._engine.episode.actions == before


def test_a_board_without_a_stone_of_the_game_does_not_continue_it(dialogue):
    move = dialogue.ask("TURN 4,4")
    other = "0,0" if move != "0,0" else "0,1"
    error = dialogue.ask("BOARD", f"{other},2", f"{other},2", f"{move},1", "DONE")
    assert error == "ERROR two stones are on the same square"


def test_a_board_that_continues_the_game_keeps_what_was_found(dialogue):
    move = dialogue.ask("TURN 4,4")
    engine, begun = dialogue.brain._engine, []
    begin = engine._thinker.begin
    engine._thinker.begin = lambda *arguments: (begun.append(True), begin(*arguments))
    dialogue.tell("BOARD", "4,4,2", f"{move},1", "0,0,2" if move != "0,0" else "0,1,2", "DONE")
    assert not begun and len(engine.episode.actions) == 4
    dialogue.tell("BOARD", "8,8,2", "DONE")
    assert begun


def test_moves_are_taken_back(dialogue):
    move = dialogue.ask("TURN 4,4")
    assert dialogue.ask("TAKEBACK 4,4").startswith("ERROR TAKEBACK 4,4: this is not the last move")
    assert dialogue.ask(f"TAKEBACK {move}") == "OK" and dialogue.ask("TAKEBACK 4,4") == "OK"
    assert is_move(dialogue.ask("BEGIN"))


def test_the_rule_decides_whether_six_in_a_row_win(dialogue):
    # A stone at 3,0 makes six in a row.
    stones = [f"{x},0,1" for x in (0, 1, 2, 4, 5)] + [
        f"{2 * x},{y},2" for x in range(4) for y in (4,)
    ]
    dialogue.tell("INFO timeout_turn 60000")
    assert dialogue.ask("BOARD", *stones, "8,8,2", "DONE") == "3,0"
    dialogue.tell("RESTART", "INFO rule 1", "INFO timeout_turn 50")
    assert is_move(dialogue.ask("BOARD", *stones, "8,8,2", "DONE"))
    game = dialogue.brain._engine.game
    assert game.parameters.exact_five
    assert not game.is_terminal(dialogue.brain._engine.position)


def test_a_rule_that_is_told_during_the_game_keeps_the_stones(dialogue):
    dialogue.tell("TURN 4,4", "INFO rule 1")
    assert len(dialogue.brain._engine.episode.actions) == 2
    assert is_move(dialogue.ask("TURN 0,0")) or is_move(dialogue.ask("TURN 0,1"))


@pytest.mark.parametrize("rule", [2, 3, 4, 8])
def test_rules_of_other_games_are_refused(dialogue, rule):
    assert dialogue.ask(f"INFO rule {rule}", "BEGIN").startswith(f"ERROR INFO rule {rule} is not")


def test_what_cannot_be_done_is_told_at_the_next_command(dialogue):
    assert dialogue.tell("INFO rule 4") == []
    for line in ("BEGIN", "TURN 1,1", "RESTART", "START 9"):
        assert dialogue.ask(line).startswith("ERROR INFO rule 4 is not supported")
    assert dialogue.ask("ABOUT").startswith("name=")
    dialogue.tell("INFO rule 0")
    assert is_move(dialogue.ask("BEGIN"))


def test_memory_limits_the_search(dialogue):
    brain = dialogue.brain
    assert brain._most_simulations() is None
    dialogue.tell("INFO max_memory 1000000")
    assert re.match(
        r"ERROR INFO max_memory 1000000 is too little: at least \d+", dialogue.ask("BEGIN")
    )
    needed = int(re.search(r"at least (\d+)", dialogue.ask("BEGIN"))[1])
    dialogue.tell(f"INFO max_memory {needed}", "INFO timeout_turn 100000")
    most = brain._most_simulations()
    assert 30 <= most < 1000
    assert is_move(dialogue.ask("BEGIN"))
    assert max(int(found) for found in re.findall(r"(\d+) simulations", dialogue.message)) <= most
    dialogue.tell(f"INFO max_memory {private_bytes() + 2**30}")
    assert brain._most_simulations() > 1000


def test_an_engine_for_a_board_takes_little_memory_before_it_thinks():
    """Its code is there already; a table for the largest tree was 30 MB, and three times that while it was made."""
    agent, strength = untrained_agent(), Strength(time=TimeControl(move_seconds=1.0))
    kept = [agent._engine(9, rule, strength) for rule in (False, True)]
    before = private_bytes()
    kept += [agent._engine(9, rule, strength) for rule in (False, True)]
    assert private_bytes() - before < 16 * 2**20


def test_a_move_ends_before_the_time_of_its_turn(dialogue, monkeypatch):
    """By the clock of the brain: the time that a busy machine adds is not the brain's."""
    limits = []
    engine = dialogue.brain._engine
    think = engine.think

    def spied(given, *others):
        limits.append(given)
        return think(given, *others)

    monkeypatch.setattr(engine, "think", spied)
    monkeypatch.setattr(dialogue.brain, "_lag", Lag(0.1))
    dialogue.tell("INFO timeout_turn 1300", "BEGIN")
    assert 0.5 < limits[0].seconds <= 1.2 and limits[0].simulations is None
    dialogue.tell("RESTART", "INFO timeout_turn 5000", "INFO time_left 400")
    limits.clear()
    # It came a quarter of a second ago.
    assert dialogue.brain.obey("BEGIN", time.monotonic() - 0.25)
    assert limits[0].seconds < 0.15
    dialogue.tell("RESTART", "INFO time_left -5")
    limits.clear()
    dialogue.tell("BEGIN")
    assert limits[0].seconds == 0.0


@pytest.mark.parametrize("word", ["START 9", "RESTART"])
def test_a_new_game_forgets_how_late_moves_were(dialogue, word):
    quiet = dialogue.brain._lag.of_move(1.0)
    for _ in range(5):
        dialogue.brain._lag.learn(1.0)
    assert dialogue.brain._lag.of_move(1.0) > quiet
    assert dialogue.ask(word) == "OK" and dialogue.brain._lag.of_move(1.0) == quiet


def test_times_of_options_count_too():
    dialogue = Dialogue(time=TimeControl(move_seconds=0.2))
    assert dialogue.ask("START 9") == "OK"
    dialogue.tell("INFO timeout_turn 100000")
    assert is_move(dialogue.ask("BEGIN"))


def test_simulations_of_options_limit_a_move():
    dialogue = Dialogue(simulations=5)
    assert dialogue.ask("START 9") == "OK"
    dialogue.tell("INFO timeout_turn 100000", "BEGIN")
    assert int(re.search(r"(\d+) simulations", dialogue.message)[1]) <= 5


def test_a_network_for_one_size_is_told():
    dialogue = Dialogue()
    object.__setattr__(dialogue.brain._agent, "player_on", refuse)
    assert dialogue.ask("START 9") == "ERROR only 7"


def refuse(game):
    raise UserError("only 7")


def test_end_ends_even_within_a_board(dialogue):
    assert not dialogue.brain.obey("END", 0.0)
    dialogue.tell("BOARD", "1,1,2")
    assert not dialogue.brain.obey("end", 0.0)
    assert dialogue.tell("DONE")


def test_no_move_is_said_once_the_manager_has_ended(dialogue):
    dialogue.has_ended = True
    dialogue.tell("INFO timeout_turn 100000")
    assert dialogue.tell("BEGIN") == []


@pytest.mark.parametrize("exactly_five", [False, True])
def test_whole_games_against_a_random_player(dialogue, exactly_five):
    dialogue.tell(f"INFO rule {int(exactly_five)}", "INFO timeout_turn 1")
    for seed in range(4):
        assert dialogue.ask("RESTART") == "OK"
        movers = [
            lambda last: dialogue.ask(f"TURN {last}" if last else "BEGIN"),
            random_mover(9, seed),
        ]
        moves = referee_game(9, exactly_five, movers if seed % 2 else movers[::-1])
        assert len(moves) >= 9


@pytest.mark.slow
def test_boards_of_other_sizes(dialogue):
    assert dialogue.ask("START 5") == "OK"
    assert is_move(dialogue.ask("BEGIN"), 5)
    assert dialogue.ask("TURN 5,5").startswith("ERROR TURN: 5,5 is outside the board of 5 x 5")


def test_after_a_board_that_is_refused_the_next_lines_are_commands(dialogue):
    refused = dialogue.ask("INFO rule 4", "BOARD", "4,4,2", "DONE")
    assert refused.startswith("ERROR INFO rule 4 is not supported")
    assert dialogue.ask("INFO rule 0", "RESTART") == "OK"


@pytest.mark.parametrize("key", ["timeout_turn", "timeout_match", "time_left"])
@pytest.mark.parametrize("sign", ["", "-"])
def test_any_number_is_a_time(dialogue, key, sign):
    dialogue.tell("INFO timeout_turn 50", f"INFO {key} {sign}{'9' * 30}", "INFO timeout_turn 50")
    if (key, sign) == ("timeout_match", "-"):
        assert "is negative" in dialogue.ask("RESTART")
    else:
        assert is_move(dialogue.ask("BEGIN"))
    dialogue.tell("INFO timeout_match 0")


def test_too_little_memory_is_told_also_if_it_is_heard_of_while_pondering():
    dialogue = Dialogue(ponders=True)
    dialogue.tell("START 9", "INFO timeout_turn 50")
    assert is_move(dialogue.ask("BEGIN"))
    dialogue.tell("INFO max_memory 1000")
    dialogue.brain.ponder(lambda: True)
    assert "max_memory 1000 is too little" in dialogue.ask("TURN 0,0")
