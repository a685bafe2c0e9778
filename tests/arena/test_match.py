"""Facts about matches, played by toys whose results are known."""

from __future__ import annotations

import numpy as np
import pytest

from ddpzero.arena.match import MatchResult, play_match
from ddpzero.arena.players import RandomPlayer, RolloutPlayer
from ddpzero.games import load_game
from ddpzero.games.core.player_errors import PlayerError, checked_actions


class LowestAction:
    """Plays the first legal action, and remembers how it was asked."""

    name = "lowest"

    def __init__(self, game):
        self.game = game
        self.batch_sizes = []
        self.movers = []

    def choose(self, positions, rng):
        self.batch_sizes.append(len(positions))
        self.movers += [self.game.current_player(position) for position in positions]
        return np.array([np.argmax(self.game.legal_actions(position)) for position in positions])


class Cheat:
    name = "cheat"

    def choose(self, positions, rng):
        return np.full(len(positions), 10**6)


class Crash:
    name = "crash"


def result_of(returns) -> MatchResult:
    returns = np.array(returns, dtype=np.float32)
    return MatchResult("a", "b", returns, np.zeros(returns.shape, np.int32), returns.size, 1.0)


def test_every_opening_is_played_with_both_colors():
    game = load_game("tic_tac_toe")
    player = LowestAction(game)
    result = play_match(player, RandomPlayer(game), game, 20, seed=0)
    assert result.returns.shape == (10, 2)
    assert result.num_games == 20
    assert sum(result.counts(0)) == sum(result.counts(1)) == 10
    assert set(player.movers) == {0, 1}


def test_all_games_are_played_in_lockstep():
    game = load_game("connect_four")
    player = LowestAction(game)
    play_match(player, RandomPlayer(game), game, 40, seed=0)
    assert player.batch_sizes[0] == 20
    assert len(player.batch_sizes) <= game.spec.max_plies


def test_games_of_two_deterministic_equals_mirror_each_other():
    game = load_game("connect_four")
    result = play_match(LowestAction(game), LowestAction(game), game, 30, seed=0)
    np.testing.assert_array_equal(result.returns[:, 0], -result.returns[:, 1])
    assert result.score() == 0.5
    assert result.num_distinct_games == 15


def test_a_match_is_repeated_by_its_seed():
    game = load_game("connect_four")
    players = RolloutPlayer(game, 20), RandomPlayer(game)
    one, two, other = (play_match(*players, game, 20, seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.returns, two.returns)
    np.testing.assert_array_equal(one.num_plies, two.num_plies)
    assert (one.num_plies != other.num_plies).any()


def test_the_stronger_player_wins_with_both_colors():
    game = load_game("connect_four")
    result = play_match(RolloutPlayer(game, 200), RandomPlayer(game), game, 40, seed=0)
    assert result.score(0) > 0.9
    assert result.score(1) > 0.9
    reversed_result = play_match(RandomPlayer(game), RolloutPlayer(game, 200), game, 40, seed=0)
    assert reversed_result.score() < 0.1


def test_extra_turns_go_to_the_same_player(extra_turns):
    # The second player never moves: taking three again and again empties the pile.
    class TakesThree(LowestAction):
        def choose(self, positions, rng):
            super().choose(positions, rng)
            return np.full(len(positions), 2)

    greedy, other = TakesThree(extra_turns), TakesThree(extra_turns)
    result = play_match(greedy, other, extra_turns, 2, seed=0, opening_plies=0)
    assert result.returns.tolist() == [[1.0, -1.0]]
    assert greedy.movers == other.movers == [0, 0, 0, 0]
    assert result.num_plies.tolist() == [[4, 4]]


def test_counts_and_scores_are_those_of_player_a():
    result = result_of([[1, -1], [1, 0], [0, 0], [1, -1]])
    assert result.counts() == (3, 3, 2)
    assert result.counts(0) == (3, 1, 0)
    assert result.counts(1) == (0, 2, 2)
    assert result.score() == pytest.approx(4.5 / 8)
    assert result.score(0) == pytest.approx(3.5 / 4)
    low, high = result.score_interval
    assert low < result.score() < high
    assert result.elo_interval[0] < result.elo < result.elo_interval[1]


def test_returns_between_loss_and_win_count_by_their_sign():
    assert result_of([[0.25, -0.5]]).counts() == (1, 0, 1)


def test_progress_counts_plies_from_the_start_and_games_up_to_all():
    game = load_game("tic_tac_toe")
    seen = []
    play_match(
        *(RandomPlayer(game),) * 2,
        game,
        10,
        seed=0,
        on_progress=lambda returns, num_plies: seen.append(
            (int((~np.isnan(returns)).sum()), int(num_plies.sum()))
        ),
    )
    assert seen == sorted(seen)
    assert seen[0][0] == 0
    assert 10 < seen[0][1] < seen[1][1] < seen[-1][1], "each call tells of more plies"
    assert seen[-1][0] == 10


@pytest.mark.parametrize(("num_games", "remedy"), [(7, "Use 8"), (0, "Use 2"), (-4, "Use 2")])
def test_games_that_cannot_be_paired_are_refused(num_games, remedy):
    game = load_game("tic_tac_toe")
    with pytest.raises(ValueError, match=f"num_games={num_games} .*{remedy}"):
        play_match(*(RandomPlayer(game),) * 2, game, num_games, seed=0)


def test_a_player_that_breaks_the_rules_is_named():
    game = load_game("tic_tac_toe")
    with pytest.raises(
        RuntimeError, match="player cheat broke the rules: it chose 1000000 to 1000000"
    ):
        play_match(Cheat(), RandomPlayer(game), game, 2, seed=0)


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        (np.full(4, -1), "player toy broke the rules: it chose -1 to -1, and actions are 0 to 8"),
        (np.full(4, np.nan), "player toy broke its contract: it chose float64"),
        (np.full(4, 1.7), "player toy broke its contract: it chose float64"),
        (np.zeros(3, np.int64), "player toy broke its contract: it chose int64\\[3\\] instead of"),
        (np.full(4, 2**63, np.uint64), "player toy broke the rules: it chose 9223372036854775808"),
    ],
    ids=["minus one", "nan", "fractions", "too few", "beyond int64"],
)
def test_what_is_no_action_is_an_error_that_names_the_player(chosen, sentence):
    with pytest.raises(PlayerError, match=sentence):
        checked_actions("toy", chosen, (4,), num_actions=9)


def test_an_action_that_exists_but_is_not_legal_ends_the_match_with_the_players_name():
    game = load_game("tic_tac_toe")
    stubborn = LowestAction(game)
    stubborn.choose = lambda positions, rng: np.zeros(len(positions), np.int64)
    with pytest.raises(PlayerError, match="player lowest broke the rules: action 0 is not legal"):
        play_match(stubborn, stubborn, game, 2, seed=0)


@pytest.mark.parametrize("error", [IndexError("oops"), SystemExit("oops")])
def test_a_player_that_raises_is_named_with_its_line(error, monkeypatch):
    def choose(*_):
        raise error

    monkeypatch.setattr(Crash, "choose", choose, raising=False)
    game = load_game("tic_tac_toe")
    sentence = rf"player crash failed: {type(error).__name__}: oops \(test_match\.py, line \d+\)\."
    with pytest.raises(PlayerError, match=sentence):
        play_match(Crash(), RandomPlayer(game), game, 2, seed=0)
