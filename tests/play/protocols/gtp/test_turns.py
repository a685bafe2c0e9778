"""Facts about moves out of turn, passes, and games from files."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from ddpzero.games import load_game
from ddpzero.play.protocols.gtp.lines import Refused
from ddpzero.play.protocols.gtp.loading import table_of_file
from ddpzero.play.protocols.gtp.table import Table
from ddpzero.system.errors import UserError
from tests.play.protocols.gtp.scripted import Conversation, FirstMovePlayer

BLACK, WHITE = 0, 1


@pytest.fixture(scope="module")
def go():
    return load_game("go", size=5)


def played(table, *moves):
    """moves: "bC3", "wpass"."""
    for move in moves:
        table.play("bw".index(move[0]), table.game.parse_action(move[1:]))
    return [table.game.action_name(action) for action in table.episode.actions]


def test_moves_in_turn_are_those_of_the_rules(go):
    assert played(Table(go), "bC3", "wD4", "bpass", "wA1") == ["C3", "D4", "pass", "A1"]


def test_a_move_out_of_turn_is_preceded_by_a_pass(go):
    assert played(Table(go), "wC3", "wD4") == ["pass", "C3", "pass", "D4"]


def test_a_pass_out_of_turn_changes_nothing(go):
    assert played(Table(go), "bC3", "bpass", "wD4") == ["C3", "D4"]


def test_a_pass_that_was_played_and_one_between_moves_never_end_the_game(go):
    # White passes, and moves all the same: instead of a second pass, the first one is taken back.
    table = Table(go)
    assert played(table, "bC3", "wpass", "wD4") == ["C3", "D4"]
    assert not table.episode.is_over


def test_a_finished_game_goes_on_without_the_passes_that_ended_it(go):
    table = Table(go)
    played(table, "bC3", "wpass", "bpass")
    assert table.episode.is_over
    table.play(BLACK, go.parse_action("pass"))
    assert table.episode.is_over
    assert played(table, "wD4") == ["C3", "D4"] and not table.episode.is_over
    table.undo(2)
    assert table.episode.is_over


def test_a_thinker_of_either_color_has_a_position(go):
    table = Table(go)
    played(table, "bC3")
    for player in (BLACK, WHITE):
        actions = table.turn_of(player).actions
        assert len(actions) % 2 == player
    assert len(table.episode.actions) == 1


def test_a_pass_means_nothing_only_after_one_that_nobody_made(go):
    table = Table(go)
    passes = go.parse_action("pass")
    assert table.turn_of(BLACK).pointless is None
    assert table.turn_of(WHITE).pointless == passes
    played(table, "bC3")
    assert table.turn_of(WHITE).pointless is None
    assert table.turn_of(BLACK).pointless == passes
    # White really passes: black may end the game, and white, asked again, is in turn without its pass.
    played(table, "wpass")
    assert table.turn_of(BLACK).pointless is None
    assert table.turn_of(WHITE).pointless is None
    played(table, "bpass")
    assert table.turn_of(WHITE).pointless is None
    assert table.turn_of(BLACK).pointless == passes


def test_in_othello_the_player_after_a_pass_never_passes():
    othello = load_game("othello", size=4)
    rng, num_passes = np.random.default_rng(0), 0
    for _ in range(50):
        table = Table(othello)
        while not table.episode.is_over:
            table.play(table.episode.current_player, int(rng.choice(table.episode.legal_actions())))
            for player in (BLACK, WHITE):
                with suppress(Refused):
                    turn = table.turn_of(player)
                    num_passes += len(turn.actions) > len(table.episode.actions)
                    assert turn.pointless is None
    assert num_passes > 0


class PassingPlayer(FirstMovePlayer):
    """Prefers a pass to everything, 98 to 2."""

    def analyze(self, positions, rng):
        found = super().analyze(positions, rng)
        policy = 0.02 * found.policy
        policy[:, -1] += 0.98
        return replace(found, policy=policy, actions=policy.argmax(axis=1))


def made(talk, line):
    """Say a line; return the move of its answer."""
    return talk.say(line).split()[-1]


def test_a_color_that_is_asked_out_of_turn_moves_instead_of_ending_the_game(go):
    talk = Conversation(go, make_player=PassingPlayer)
    for command in (
        "genmove w",
        "reg_genmove w",
        "kgs-genmove_cleanup w",
        "lz-genmove_analyze w 1",
    ):
        talk.say("clear_board")
        assert made(talk, command) == "A1", command
    for command in ("kata-genmove_analyze w 1", "cgos-genmove_analyze w"):
        talk.say("clear_board")
        assert made(talk, command) == "A1", command
    talk.say("clear_board")
    talk.say("play b e5")
    assert made(talk, "genmove b") == "A1"
    # In turn, and after a pass that white made, it may pass.
    assert made(talk, "genmove w") == "pass" and made(talk, "genmove b") == "pass"
    talk.say("set_position b c3 b d3 w e5")
    assert made(talk, "genmove b") == "A1"


def test_nothing_is_said_about_a_pass_out_of_turn(go, tmp_path):
    talk = Conversation(go, make_player=PassingPlayer)
    file = file_of(tmp_path, "(;SZ[5]AB[cc][cd][bb]AW[ee][ed]KM[0]PL[B])")
    talk.say(f"loadsgf {file}")
    for line in ("kata-analyze b 10", "lz-analyze b 10"):
        answer = talk.say(line)
        assert "info move" in answer and "pass" not in answer
        assert "pass" in talk.say(line.replace(" b ", " w "))
    assert "policyPass NAN" in talk.say("kata-raw-nn 0")
    assert sum(map(float, talk.say("ddpzero-policy").split()[1:])) == pytest.approx(1)
    assert talk.say("lz-analyze b 10 allow b pass 1").startswith("? a pass out of turn")
    # A search leaves it out as well.
    moves = talk.say("lz-analyze b 10 avoid b A1 1")
    assert "info move B1" in moves and "pass" not in moves and "A1" not in moves


def test_an_illegal_move_changes_nothing(go):
    table = Table(go)
    before = played(table, "bA2", "wC3", "bB1", "wpass")
    # The pass was taken back for it before it turned out to be a suicide.
    with pytest.raises(Refused, match="illegal move"):
        played(table, "wA1")
    assert [go.action_name(action) for action in table.episode.actions] == before
    assert len(table.moves) == 4


def test_a_game_that_is_as_long_as_the_rules_allow_is_over_for_gtp_too():
    table = Table(load_game("go", size=3, max_plies=3))
    played(table, "bA1", "wB2", "bC3")
    with pytest.raises(Refused, match="illegal move"):
        played(table, "wA3")
    with pytest.raises(Refused, match="the game is over"):
        table.turn_of(WHITE)


def test_other_games_let_a_color_move_twice_only_if_the_other_must_pass():
    othello = load_game("othello", size=4)
    passes, rng = othello.num_actions - 1, np.random.default_rng(0)
    table = Table(othello)
    with pytest.raises(Refused, match="illegal move"):
        table.play(WHITE, othello.parse_action("b1"))
    while table.episode.legal_actions() != [passes]:
        table.play(table.episode.current_player, int(rng.choice(table.episode.legal_actions())))
        if table.episode.is_over:
            table.clear(othello)
    mover = 1 - table.episode.current_player
    assert table.turn_of(mover).actions[-1] == passes
    num_moves = len(table.moves)
    table.play(mover, rng.choice(table.game.possible_actions(position_of(table, mover))))
    assert table.episode.actions[-2] == passes and len(table.moves) == num_moves + 1


def position_of(table, player):
    position = table.game.initial_position()
    for action in table.turn_of(player).actions:
        position = table.game.apply_action(position, action)
    return position


def file_of(tmp_path, text):
    file = tmp_path / "a game.sgf"
    file.write_text(text)
    return file


def test_a_game_is_loaded_from_sgf_up_to_a_move(go, tmp_path):
    file = file_of(tmp_path, "(;GM[1]FF[4]SZ[5]KM[3.5];B[cc];W[dd];B[aa];W[];B[tt])")
    talk = Conversation(go)
    assert talk.say(f"loadsgf {file}") == "=\n\n"
    assert talk.say("get_komi") == "= 3.5\n\n"
    assert talk.say("showboard").splitlines()[2:7] == [
        "5  X . . . .",
        "4  . . . . .",
        "3  . . X . .",
        "2  . . . O .",
        "1  . . . . .",
    ]
    assert talk.say("final_score") == "= W+2.5\n\n"
    assert talk.say(f"loadsgf {file} 2") == "=\n\n"
    assert len(talk.session.table.moves) == 1
    assert talk.say(f"loadsgf {file} 100") == "=\n\n"
    assert len(talk.session.table.moves) == 5
    assert talk.say(f"loadsgf {file} 1") == "=\n\n"
    assert talk.session.table.moves == []


def test_stones_that_are_set_up_and_moves_out_of_turn_are_loaded(go, tmp_path):
    file = file_of(tmp_path, "(;GM[1]SZ[5]KM[0]AB[bb][cb]AW[bc][cc]PL[W];W[db];W[eb];B[ab])")
    table = table_of_file(str(file), go)
    board = go.board(table.episode.position).reshape(5, 5)[::-1]
    assert ["".join(".XO"[stone] for stone in row) for row in board][1:3] == ["XXXOO", ".OO.."]
    assert [move.player for move in table.moves] == [WHITE, WHITE, BLACK]
    # Two black stones alone are a handicap.
    file = file_of(tmp_path, "(;SZ[5]HA[2]AB[bb][cb];W[dd])")
    assert table_of_file(str(file), go).num_handicap_stones == 2


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("hello", "cannot load file: .*has no game"),
        ("(;GM[2]SZ[8];B[dc])", "is not Go"),
        ("(;SZ[5];B[zz])", "no point"),
        ("(;SZ[5];B[cc];W[cc])", "illegal move"),
        ("(;SZ[5];B[cc];AB[aa])", "during the game"),
        ("(;SZ[5]AB[ba][ab]AW[aa])", "cannot be on the board"),
        ("(;SZ[13];B[cc])", "unacceptable size"),
        ("(;SZ[5]KM[x];B[cc])", "cannot load file"),
    ],
)
def test_what_is_no_game_of_go_is_refused_and_changes_nothing(go, tmp_path, text, error):
    talk = Conversation(go)
    talk.say("play b c3")
    answer = talk.say(f"loadsgf {file_of(tmp_path, text)}")
    assert answer.startswith("? cannot load file: ")
    with pytest.raises(UserError, match=error):
        raise UserError(answer)
    assert len(talk.session.table.moves) == 1 and talk.session.table.game is go


def test_games_in_other_forms_are_loaded(tmp_path):
    game = load_game("tic_tac_toe")
    file = tmp_path / "game.txt"
    file.write_text("b2 a1 c3\n")
    talk = Conversation(game)
    assert talk.say(f"loadsgf {file} 3") == "=\n\n"
    assert len(talk.session.table.moves) == 2


def test_a_file_whose_rules_are_refused_changes_nothing(go, tmp_path):
    talk = Conversation(go)
    # Two points more for two stones of handicap than there may be.
    assert talk.say("kata-set-rule whiteHandicapBonus N") == "=\n\n"
    talk.say("play b c3")
    file = file_of(tmp_path, "(;GM[1]SZ[5]KM[25]AB[bb][cb];W[dd])")
    assert talk.say(f"loadsgf {file}").startswith("? ")
    assert len(talk.session.table.moves) == 1 and talk.session.go.komi == go.parameters.komi


class FailingPlayer(FirstMovePlayer):
    def analyze(self, positions, rng):
        if self._game.board(positions[0]).sum() >= 10:
            raise RuntimeError("out of memory")
        return super().analyze(positions, rng)


def test_handicap_stones_of_an_agent_that_fails_halfway_are_taken_away(go):
    talk = Conversation(go, make_player=FailingPlayer)
    assert talk.say("place_free_handicap 12").startswith("? ")
    assert talk.session.table.is_new
    assert talk.say("place_free_handicap 9").startswith("= ")
