"""Facts about reviews of games, and how they are shown and written."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console
from sgfmill import sgf as sgfmill

from ddpzero.algorithms.alphazero.player import AlphaZeroPlayer
from ddpzero.arena.players import RolloutPlayer
from ddpzero.games import load_game
from ddpzero.judges.exact_values import read_exact_table
from ddpzero.judges.packaged import find_positions
from ddpzero.judges.solved_positions import ILLEGAL, read_solved_positions
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.play.engine import Engine, Limits
from ddpzero.play.graph import column_of, share_graph
from ddpzero.play.review import (
    Review,
    ReviewedMove,
    ReviewedPosition,
    review_game,
    verdict_of_guess,
    win_rate_instead,
)
from ddpzero.play.review_report import review_view, run_review, said_of_other_board
from ddpzero.play.review_sgf import sgf_of_review
from ddpzero.records import GameRecord, read_record, record_of_sgf, sgf_of_record
from ddpzero.search import SearchSettings
from ddpzero.system.errors import UserError
from ddpzero.system.json_text import json_text


@pytest.fixture(scope="module")
def game():
    return load_game("tic_tac_toe")


@pytest.fixture(scope="module")
def engine(game):
    """An untrained network, whose search proves positions near the end."""
    torch.manual_seed(0)
    network = make_network(game, NetworkSettings(blocks=1, channels=8))
    settings = SearchSettings(solve=True)
    return Engine(AlphaZeroPlayer(game, network, settings, "agent", "cpu", "float32"), game, 1000)


def record_of(game, moves, **facts):
    return GameRecord(game, tuple(game.parse_action(name) for name in moves.split()), **facts)


@pytest.fixture(scope="module")
def review(game, engine):
    # The second player answers beside the corner, which loses.
    record = record_of(game, "a1 a2 b2 c3 b1 b3 c1", names=("me", "you"), result="B+")
    return review_game(record, engine, Limits(700))


def test_each_position_has_a_win_rate_of_the_first_player(review):
    assert review.is_complete and len(review.positions) == 8
    rates = [position.win_rate for position in review.positions]
    # Lost by the second player with its first move.
    assert rates[0] == pytest.approx(0.5, abs=0.05)
    assert rates[2:] == [1.0] * 6
    assert all(position.is_certain for position in review.positions[2:])


def test_a_move_loses_what_the_best_one_had(review, game):
    answer = review.moves[1]
    assert (answer.player, game.action_name(answer.action)) == (1, "a2")
    assert answer.loss == pytest.approx(0.5, abs=0.05) and answer.win_rate == 0.0
    assert game.action_name(answer.best_action) == "b2"
    assert answer.best_line[0] == answer.best_action
    assert answer.score_loss is None
    # All others keep what they had.
    assert [move.ply for move in review.worst(5)] == [1]
    assert review.mean_loss(0) < 0.02
    assert review.mean_loss(1) == pytest.approx(0.5 / 3, abs=0.05)


def test_moves_are_the_first_choice_or_not(review, engine, game):
    expected = []
    for ply, action in enumerate(review.record.actions):
        engine.set_up(review.record.actions[:ply])
        assert review.moves[ply].num_choices == 9 - ply
        expected.append(review.moves[ply].best_action == action)
    assert [move.is_first_choice for move in review.moves] == expected
    assert review.first_choice_share(1) == pytest.approx(np.mean(expected[1::2]))
    assert Review(review.record, "agent").first_choice_share(0) is None


def test_the_only_legal_move_says_nothing_about_a_player(game, engine):
    full = record_of(game, "b2 a1 a2 c2 b1 b3 a3 c1 c3")
    review = review_game(full, engine, Limits(200))
    last = review.moves[-1]
    assert (last.num_choices, last.is_first_choice, last.player) == (1, True, 0)
    others = [move.is_first_choice for move in review.of_player(0)[:-1]]
    assert review.first_choice_share(0) == pytest.approx(np.mean(others))


def test_a_review_tells_how_far_it_is_and_can_be_stopped(game, engine):
    record = record_of(game, "a1 b1 c1 a2")
    seen = []
    review_game(record, engine, Limits(20), seen.append)
    assert [len(each.positions) for each in seen] == [1, 2, 3, 4, 5]
    assert [len(each.moves) for each in seen] == [0, 1, 2, 3, 4]
    assert [each.is_complete for each in seen] == [False] * 4 + [True]
    seen.clear()
    partial = review_game(record, engine, Limits(20), seen.append, lambda: len(seen) >= 2)
    assert len(partial.positions) == 2 and not partial.is_complete


def test_a_review_is_json(review):
    read = json.loads(json_text(review.as_dict()))
    assert (read["game"], read["names"], read["result"]) == ("tic_tac_toe", ["me", "you"], "B+")
    assert len(read["positions"]) == 8 and read["positions"][-1]["win_rate"] == 1.0
    answer = read["moves"][1]
    assert (answer["name"], answer["best_name"], answer["best_line_names"][0]) == ("a2", "b2", "b2")
    assert answer["loss"] == pytest.approx(0.5, abs=0.05)
    assert read["is_complete"] is True


def test_a_player_without_a_search_of_its_own_reviews_too(game):
    engine = Engine(RolloutPlayer(game, 300), game, 300)
    review = review_game(record_of(game, "a1 b1 a2 c1 a3"), engine, Limits(300))
    assert review.positions[-1].win_rate == 1.0
    # The second player did not stop the row.
    assert review.positions[4].win_rate > review.positions[3].win_rate
    assert review.moves[3].loss > 0


@pytest.fixture(scope="module")
def exact_review(game):
    """Of the same game as `review`, by a player that knows next to nothing, with a table of perfect play."""
    engine, table = Engine(RolloutPlayer(game, 1), game, 1), read_exact_table(game)
    return review_game(record_of(game, "a1 a2 b2 c3 b1 b3 c1"), engine, Limits(1), table=table)


def test_a_table_of_perfect_play_replaces_what_the_agent_thinks(exact_review, game):
    assert [position.win_rate for position in exact_review.positions] == [0.5, 0.5] + [1.0] * 6
    assert [position.draw_rate for position in exact_review.positions] == [1.0, 1.0] + [0.0] * 6
    assert all(position.is_certain for position in exact_review.positions)
    # The end is the rules'.
    assert [position.is_exact for position in exact_review.positions] == [True] * 7 + [False]
    assert [move.loss for move in exact_review.moves] == [0, 0.5, 0, 0, 0, 0, 0]
    answer = exact_review.moves[1]
    # Of the answers to a corner, only the center keeps the draw; a search of one simulation did not look at it.
    assert game.action_name(answer.best_action) == "b2" and answer.best_line[0] == 4
    assert answer.is_exact and answer.is_certain and answer.best_win_rate == 0.5


def test_the_report_says_what_is_exact(exact_review, review):
    sentence = "Of 7 moves, what 7 lost is exact, by a table of perfect play"
    assert sentence in shown(exact_review) and "b2  50% (exact)" in shown(exact_review)
    assert sentence not in shown(review) and "exact" not in shown(review)
    read = json.loads(json_text(exact_review.as_dict()))
    assert read["positions"][0]["is_exact"] and read["moves"][1]["is_exact"]


def test_what_a_known_position_says_of_a_move_holds_after_it():
    game = load_game("connect_four")
    with np.load(find_positions("connect_four_hard")) as archive:
        made = archive["moves"][0, : archive["lengths"][0]].tolist()
        scores = archive["scores"][0]
    table, engine = read_exact_table(game), Engine(RolloutPlayer(game, 1), game, 1)
    worst = int(np.argmin(np.where(scores > -1000, scores, 1000)))
    record = GameRecord(game, (*made, worst))
    # The position after the move is in no file.
    assert table.find(record.positions()[-1]) is None
    review = review_game(record, engine, Limits(1), table=table)
    last, sign = review.moves[-1], 1 if len(made) % 2 == 0 else -1
    assert last.is_exact and last.loss == (np.sign(scores.max()) - np.sign(scores[worst])) / 2 > 0
    assert review.positions[-1].win_rate == (1 + sign * np.sign(scores[worst])) / 2
    assert review.positions[-1].is_exact and not review.positions[0].is_exact
    assert review.num_exact < len(review.moves)


def test_a_guess_that_leads_to_a_known_position_has_its_value():
    game = load_game("connect_four")
    table, engine = read_exact_table(game), Engine(RolloutPlayer(game, 1), game, 1)
    with np.load(find_positions("connect_four_hard")) as archive:
        known = zip(
            archive["moves"], archive["lengths"], archive["scores"].max(axis=1), strict=True
        )
        moves, length, score = next(known)
    *before, guess = moves[:length].tolist()
    assert table.find(game.initial_position()) is None
    other = next(a for a in game.possible_actions(GameRecord(game, tuple(before)).positions()[-1]))
    review = review_game(GameRecord(game, (*before, int(other))), engine, Limits(1))
    rate = win_rate_instead(review.record, review.moves[-1], guess, engine, Limits(1), table)
    assert rate == (1 - np.sign(score)) / 2


def test_points_are_lost_by_perfect_play_too():
    game = load_game("dots_and_boxes", rows=2, columns=2)
    solved = read_solved_positions(find_positions("dots_and_boxes_2x2"))
    scores = np.where(solved.scores == ILLEGAL, 1000, solved.scores)
    # The move that loses most of all.
    index = int(np.argmax(solved.scores.max(axis=1) - scores.min(axis=1)))
    with np.load(find_positions("dots_and_boxes_2x2")) as archive:
        made = archive["moves"][index, : archive["lengths"][index]].tolist()
    worst = int(np.argmin(scores[index]))
    record = GameRecord(game, (*made, worst))
    engine = Engine(RolloutPlayer(game, 20), game, 20)
    review = review_game(record, engine, Limits(20), table=read_exact_table(game))
    mover = game.current_player(record.positions()[-2])
    assert review.moves[-1].score_loss == solved.scores[index].max() - scores[index, worst] > 0
    assert review.positions[-2].score == (1, -1)[mover] * solved.scores[index].max()
    assert review.positions[-1].score == (1, -1)[mover] * scores[index, worst]


def test_a_game_of_another_board_is_refused(engine):
    other = GameRecord(load_game("connect_four", rows=5), (3,))
    with pytest.raises(
        UserError, match=r"the game is connect_four with rows=5, .* but agent plays"
    ):
        review_game(other, engine, Limits(1))


@pytest.fixture
def review_of_go():
    """A review of Go with scores, made by hand: black's third move loses 60 % and 12 points."""
    game = load_game("go", size=5, ko="simple")
    record = record_of(game, "C3 B2 A1 E5", names=("b", "w"), comments={1: "said before"})
    rates, scores = (0.5, 0.8, 0.8, 0.2, 0.2), (0.5, 4.0, 4.0, -8.0, -8.5)
    positions = tuple(
        ReviewedPosition(rate, 0.0, score, ply == 4, 100)
        for ply, (rate, score) in enumerate(zip(rates, scores, strict=True))
    )
    better = tuple(record_of(game, "C2 B3").actions)
    moves = tuple(
        ReviewedMove(
            ply=ply,
            player=ply % 2,
            action=action,
            best_action=better[0] if ply == 2 else action,
            best_line=better if ply == 2 else (action,),
            best_win_rate=0.8 if ply == 2 else 0.5,
            win_rate=0.2 if ply == 2 else 0.5,
            loss=0.6 if ply == 2 else 0.0,
            score_loss=12.0 if ply == 2 else 0.0,
            is_certain=False,
            num_choices=25,
        )
        for ply, action in enumerate(record.actions)
    )
    return Review(record, "agent", positions, moves)


def test_an_annotated_game_is_read_by_others(review_of_go):
    text = sgf_of_review(review_of_go)
    read = sgfmill.Sgf_game.from_string(text)
    nodes = read.get_main_sequence()
    assert nodes[0].get("C") == "Reviewed by agent.\nBlack wins: 50%, B+0.5"
    assert nodes[1].get("C") == "said before\nBlack wins: 80%, B+4.0"
    assert (nodes[1].get("GB"), nodes[1].get("V")) == (1, 4.0)
    assert (nodes[3].get("BM"), nodes[3].get("GW")) == (2, 1)
    assert "Lost 60% and 12.0 points. Better: C2 B3 (80%)" in nodes[3].get("C")
    assert nodes[4].get("C").endswith("W+8.5 (certain)")
    played, better = nodes[2]
    assert played is nodes[3]
    assert (better.get_move(), better[0].get_move()) == (("b", (1, 2)), ("w", (2, 1)))
    assert better.get("C") == "Better: 80%"
    assert record_of_sgf(text).actions == review_of_go.record.actions


def shown(review, **options):
    console = Console(file=io.StringIO(), width=90, **options)
    console.print(review_view(review, console, 5))
    return console.file.getvalue()


def test_the_report_shows_the_worst_move_and_what_was_better(review_of_go):
    text = shown(review_of_go)
    assert text.startswith("Go 5x5, ") and "ko simple, no suicide" in text
    assert "win rate of b after 0 to 4 moves; ^ lost 5% or more" in text
    assert "lost per move" in text
    assert "reviewed by agent, about 100 simulations for each position" in text
    (row,) = [line for line in text.splitlines() if line.split()[:3] == ["3", "b", "A1"]]
    assert row.split()[3:] == ["60%", "12.0", "C2", "B3", "80%"]
    assert "Before move 3" in text and "b played A1 (20%)." in text
    assert "Better: C2 B3 (80%)." in text
    assert "3  . . X . ." in text


def test_the_report_speaks_to_the_person_and_cuts_no_name(review_of_go):
    names = ("you", f"quick-{'long-' * 30}name")
    record = replace(review_of_go.record, names=names)
    text = shown(replace(review_of_go, record=record, reviewer="agent"))
    unnamed = replace(review_of_go, record=replace(review_of_go.record, names=("", "")))
    assert "win rate of the first player after 0 to 4 moves" in shown(unnamed)
    assert "your win rate after 0 to 4 moves" in text and "win rate of you" not in text
    # In the tables and beside the board.
    assert "…" not in text and "".join(text.split()).count(names[1]) == 1


def test_the_report_says_the_result_in_words(game, review_of_go):
    unnamed = Review(GameRecord(load_game("connect_four"), (), result="W+"), "agent")
    assert "result: second player won" in shown(unnamed) and "W+" not in shown(unnamed)
    named = replace(review_of_go.record, result="B+3.5")
    assert "result: b won by 3.5 (B+3.5)" in shown(replace(review_of_go, record=named))
    drawn = Review(GameRecord(game, (), result="0"), "agent")
    assert "result: draw" in shown(drawn)


def test_a_game_without_losses_says_so(game, engine):
    review = review_game(record_of(game, "b2"), engine, Limits(400))
    assert "No move lost more than 5%." in shown(review)
    assert "Worst moves" not in shown(review)


def test_the_report_of_no_moves_is_short(game, engine):
    text = shown(review_game(GameRecord(game, ()), engine, Limits(10)))
    assert "win rate" not in text and "first player" in text


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_graph_is_drawn_with_what_the_terminal_has(review_of_go, encoding):
    console = Console(file=io.TextIOWrapper(io.BytesIO(), encoding=encoding), width=60)
    console.print(review_view(review_of_go, console, 5))
    console.file.flush()
    text = console.file.buffer.getvalue().decode(encoding)
    assert ("█" in text) == (encoding == "utf-8")
    assert "100%" in text and " 50%" in text


def test_bars_are_as_high_as_their_shares():
    lines = share_graph([0.0, 0.5, 1.0], 3, 5, has_unicode=True)
    columns = list(zip(*(line[6:] for line in lines), strict=True))
    assert ["".join(column) for column in columns] == ["    ▁", "  ▄██", "█████"]
    assert [line[:4].strip() for line in lines] == ["100%", "", "50%", "", "0%"]


def test_many_shares_become_means_and_few_are_wide():
    lines = share_graph([0.0] * 50 + [1.0] * 50, 10, 3, has_unicode=False)
    assert [line[6:] for line in lines] == [
        "     #####",
        "     #####",
        ".....#####",
    ]
    assert column_of(50, 100, 10) == 5
    assert [line[6:] for line in share_graph([0.0, 1.0], 8, 3, has_unicode=False)] == [
        "    ####",
        "    ####",
        "....####",
    ]
    assert column_of(1, 2, 8) == 4


def test_a_file_is_reviewed_and_written(tmp_path, capsys):
    file = tmp_path / "game.sgf"
    file.write_text("(;GM[4]SZ[6]RU[3 in a row]PB[me];B[aa];W[cc];B[ab];W[dd];B[ac])")
    run_review(str(file), "rollout:100", sgf=str(tmp_path / "out.sgf"))
    output = capsys.readouterr().out
    assert "Gomoku 6x6, line 3" in output and "X me" in output
    written = read_record(tmp_path / "out.sgf")
    assert len(written.actions) == 5 and "Black wins" in written.comments[0]
    assert "perfect play" not in output
    run_review(str(file), "rollout:100", as_json=True)
    assert json.loads(capsys.readouterr().out)["names"] == ["me", ""]


def test_a_file_of_a_known_board_says_what_is_exact(tmp_path, capsys):
    game = load_game("hex", size=3)
    with np.load(find_positions("hex3")) as archive:
        made = archive["moves"][0, : archive["lengths"][0]].tolist()
        scores = archive["move_values"][0]
    move = int(np.flatnonzero(scores)[0])
    file = tmp_path / "game.sgf"
    file.write_text(sgf_of_record(GameRecord(game, (*made, move))))
    run_review(str(file), "rollout:9", sgf=str(tmp_path / "out.sgf"))
    assert "lost is exact, by a table of perfect play" in capsys.readouterr().out
    comments = read_record(tmp_path / "out.sgf").comments
    assert "by a table of perfect play." in comments[0]
    assert "(exact)" in comments[len(made)] and "(exact)" in comments[len(made) + 1]


def test_a_board_that_the_agent_never_saw_is_told():
    small, large = load_game("go", size=9), load_game("go", size=19)
    told = said_of_other_board("runs/go", small, large)
    assert told.startswith("note: runs/go was trained for boards of 9 x 9, and this one is 19 x 19")
    assert said_of_other_board("runs/go", small, load_game("go", size=9, komi=0.5)) == ""


def test_what_cannot_be_reviewed_is_a_sentence(tmp_path):
    file = tmp_path / "game.txt"
    file.write_text("# game: tic_tac_toe\na1\n")
    with pytest.raises(UserError, match="random only chooses moves"):
        run_review(str(file), "random")
    with pytest.raises(UserError, match="player 'nobody' is unknown"):
        run_review(str(file), "nobody")
    with pytest.raises(UserError, match="tic_tac_toe has no SGF format"):
        run_review(str(file), "rollout:9", sgf=str(tmp_path / "a.sgf"))
    with pytest.raises(UserError, match=r"must be the name of a file that ends in \.sgf"):
        run_review(str(file), "rollout:9", sgf=str(tmp_path / "a.txt"))
    with pytest.raises(UserError, match=r"\(--simulations\) applies to trained agents"):
        run_review(str(file), "rollout:9", num_simulations=5)


def test_a_guess_is_worse_as_good_or_better_than_what_was_found(review):
    move = replace(review.moves[3], best_win_rate=0.5)
    rates = {0.0: "worse", 0.44: "worse", 0.46: "as good", 0.54: "as good", 0.56: "better"}
    assert {rate: verdict_of_guess(move, rate) for rate in rates} == rates
