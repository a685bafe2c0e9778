"""A game that breaks a promise of its contract ends with one sentence wherever it is played, never with a crash."""

from __future__ import annotations

import numpy as np
import pytest

from ddpzero.algorithms.alphazero.lockstep import LockstepGames
from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings
from ddpzero.arena.match import play_match
from ddpzero.arena.players import RandomPlayer
from ddpzero.evaluators.uniform import UniformEvaluator
from ddpzero.games import Game, load_game
from ddpzero.games.core.promises import GamePromiseError, verify_command
from ddpzero.play.episode import PlayedEpisode
from ddpzero.search import Search, SearchSettings
from ddpzero.search.cache import new_cache
from ddpzero.search.rollouts import search_by_rollouts
from tests.places import OWN_GAMES

TRAPS = OWN_GAMES / "traps.py"
KEEPS_ALL, RAISES = 1, 8
TOO_LONG = "a game is not over after max_plies=6 plies."
# What is wrong with the game after the first action number trap - 1.
IN_SELF_PLAY = {
    2: "a position that is not terminal has no legal action.",
    3: "current_player is neither 0 nor 1.",
    4: "player_return is outside [-1, 1].",
    5: "the returns [1.0, 1.0] do not sum to 0.",
    6: TOO_LONG,
    7: "a game ends with the score 5, above max_score=1.",
    RAISES: "a kernel raises KeyError: 'no such key'.",
}
IN_A_SEARCH = {trap: IN_SELF_PLAY[trap] for trap in (2, 3, 4)}
IN_ROLLOUTS = {trap: IN_SELF_PLAY[trap] for trap in (2, 4, 6)}
IN_A_MATCH = {2: IN_SELF_PLAY[2], 4: "the returns [2.0, -2.0] are outside [-1, 1].", 6: TOO_LONG}


@pytest.fixture(scope="module")
def game() -> Game:
    return load_game("traps", source=str(TRAPS))


def sentence(game: Game, what: str) -> str:
    return (
        f"game traps ({game.module.__file__}) breaks its contract: {what} `ddpzero verify contract --game traps` "
        "checks it."
    )


def after_first_action(game: Game, trap: int) -> np.ndarray:
    return game.apply_action(game.initial_position(), trap - 1)[None]


def play_into(game: Game, trap: int, opening_random_plies: int = 0) -> int:
    """Let a game play itself, its first move the one that leads into the trap; returns its plies."""
    search = SearchSettings(num_simulations=1, gumbel_scale=0.0, max_considered_actions=1)
    settings = AlphaZeroSettings(
        random_action_fraction=0.0, opening_random_plies=opening_random_plies
    )
    games = LockstepGames(game, search, settings, (), new_cache(game, 0.1), slot=0, num_games=1)
    games.start_game(0)
    observations = np.zeros((len(games.forest.leaves), game.observation_size_bytes), np.uint8)
    logits = np.zeros((1, game.num_actions), np.float32)
    logits[0, trap - 1] = 50.0
    outcomes = np.array([[0.4, 0.2, 0.4, 0.0]], np.float32)
    for _ in range(100):
        games.propose(observations, weights_version=0)
        if episodes := games.take_finished():
            return episodes[0].info["num_plies"]
        games.absorb(observations, logits, outcomes)
    raise AssertionError("neither an end nor an error")


@pytest.mark.parametrize("trap", IN_SELF_PLAY)
def test_self_play_ends_with_the_promise_that_was_broken(game, trap):
    assert play_into(game, KEEPS_ALL) == 4
    with pytest.raises(GamePromiseError) as error:
        play_into(game, trap)
    assert str(error.value) == sentence(game, IN_SELF_PLAY[trap])


def test_a_random_opening_ends_where_no_action_is_legal(game):
    search = SearchSettings(num_simulations=1)
    settings = AlphaZeroSettings(opening_random_plies=5)
    games = LockstepGames(game, search, settings, (), new_cache(game, 0.1), slot=0, num_games=64)
    for place in range(64):
        try:
            games.start_game(place)
        except GamePromiseError as error:
            assert str(error) == sentence(game, IN_SELF_PLAY[RAISES])
    assert games.buffers.num_plies.max() <= 5


@pytest.mark.parametrize("trap", IN_A_SEARCH)
def test_a_search_ends_with_the_promise_that_was_broken(game, trap):
    search = Search(game, SearchSettings(num_simulations=8), num_games=1)
    evaluator = UniformEvaluator(game, search.max_batch)
    search.run(after_first_action(game, KEEPS_ALL), evaluator)
    with pytest.raises(GamePromiseError) as error:
        search.run(after_first_action(game, trap), evaluator)
    assert str(error.value) == sentence(game, IN_A_SEARCH[trap])


@pytest.mark.parametrize("trap", IN_ROLLOUTS)
def test_rollouts_end_with_the_promise_that_was_broken(game, trap):
    search_by_rollouts(game, after_first_action(game, KEEPS_ALL), 20, seed=0)
    positions = after_first_action(game, trap).repeat(4, axis=0)
    with pytest.raises(GamePromiseError) as error:
        search_by_rollouts(game, positions, 20, seed=0, num_threads=2)
    assert str(error.value) == sentence(game, IN_ROLLOUTS[trap])


class FirstAction:
    """Plays into a trap, then whatever is legal."""

    name = "first"

    def __init__(self, game: Game, trap: int):
        self._others = RandomPlayer(game)
        self._trap = trap

    def choose(self, positions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if positions[0, 0] == 0:
            return np.full(len(positions), self._trap - 1)
        return self._others.choose(positions, rng)


@pytest.mark.parametrize("trap", IN_A_MATCH)
def test_a_match_ends_with_the_promise_that_was_broken(game, trap):
    def play(trap: int) -> None:
        player = FirstAction(game, trap)
        play_match(player, player, game, num_games=2, seed=0, opening_plies=0)

    play(KEEPS_ALL)
    with pytest.raises(GamePromiseError) as error:
        play(trap)
    assert str(error.value) == sentence(game, IN_A_MATCH[trap])


def test_a_game_against_a_person_ends_where_it_should_be_over(game):
    episode = PlayedEpisode(game)
    episode.play(5)
    with pytest.raises(GamePromiseError, match="not over after max_plies=6"):
        for _ in range(6):
            episode.play(0)


def test_the_command_that_checks_a_game_has_its_parameters_and_the_config_folder():
    take = load_game("take", source=str(TRAPS.with_name("take.py")), pile=5)
    command = "--game take game.pile=5 game.most=2"
    for words, folder in (
        (["main.py", "game=take"], ""),
        (["main.py", "--config-dir", "my conf", "game=take"], "--config-dir 'my conf' "),
        (["main.py", "--config-dir=mine", "game=take"], "--config-dir mine "),
        (["main.py", "-cd", "mine"], "--config-dir mine "),
    ):
        assert verify_command(take, words) == f"ddpzero verify contract {folder}{command}"
