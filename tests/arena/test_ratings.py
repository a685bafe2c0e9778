"""Facts about Elo ratings of a pool."""

from __future__ import annotations

import numpy as np
import pytest

from ddpzero.arena.match_log import Block
from ddpzero.arena.ratings import ELO_PER_NAT, Tournament, rate
from ddpzero.arena.statistics import elo_difference, paired_score_interval


def block(player_a: str, player_b: str, *scores: tuple[float, float]) -> Block:
    key = f"{player_a}-{player_b}-{len(scores)}"
    return Block(key, player_a, player_b, scores, 0, 0, 0.0, 9.0, 1.0, 1.0)


def wins(num_pairs: int) -> list[tuple[float, float]]:
    return [(1.0, 1.0)] * num_pairs


def losses(num_pairs: int) -> list[tuple[float, float]]:
    return [(0.0, 0.0)] * num_pairs


def test_two_players_differ_by_the_elo_of_their_match_score():
    anchor, player = rate([block("random", "net", *wins(25), *losses(75))], "random")[::-1]
    assert (anchor.player, anchor.elo, anchor.low, anchor.high) == ("random", 0.0, 0.0, 0.0)
    assert player.elo == pytest.approx(elo_difference(0.75), abs=0.5)
    assert (player.num_games, player.score) == (200, 0.75)


def test_the_whole_pool_decides_rather_than_a_chain_of_differences():
    chain = [block("a", "b", *wins(30), *losses(10)), block("b", "c", *wins(30), *losses(10))]
    equal = block("a", "c", *wins(400), *losses(400))
    by_chain = {r.player: r.elo for r in rate(chain, "c")}
    by_pool = {r.player: r.elo for r in rate([*chain, equal], "c")}
    assert by_chain["a"] == pytest.approx(2 * elo_difference(0.75), abs=2)
    assert 0 < by_pool["a"] < 60


def test_it_does_not_matter_who_is_named_first():
    forward = rate([block("a", "b", (1.0, 0.5), (0.0, 1.0), (1.0, 1.0))], "b")
    backward = rate([block("b", "a", (0.0, 0.5), (1.0, 0.0), (0.0, 0.0))], "b")
    for one, other in zip(forward, backward, strict=True):
        assert one.player == other.player
        assert (one.elo, one.low, one.high) == pytest.approx((other.elo, other.low, other.high))


def test_a_player_that_won_everything_has_a_finite_rating_and_a_wide_interval():
    best, _ = rate([block("a", "b", *wins(10))], "b")
    assert 400 < best.elo < 1500
    assert best.low < elo_difference(0.95)


def test_a_new_player_that_is_far_stronger_than_the_anchor_is_rated():
    """Its first guess is the anchor's strength, where its games tell nothing."""
    tournament = Tournament("0")
    for number in range(40):
        tournament.add([block(str(number + 1), str(number), *wins(16), *losses(4))])
    tournament.ratings()
    tournament.add([block("40", "new", *wins(4), *losses(16))])
    newest, *others = tournament.ratings()
    assert newest.player == "new"
    assert newest.elo - others[0].elo == pytest.approx(240, abs=1)
    assert newest.elo > 41 * 239
    assert newest.low < newest.elo


def test_players_without_a_path_of_games_to_the_anchor_have_no_rating():
    blocks = [block("a", "b", (1.0, 0.0)), block("c", "d", (1.0, 0.0))]
    assert {rating.player for rating in rate(blocks, "a")} == {"a", "b"}
    assert rate(blocks, "e") == []


def test_openings_that_both_players_win_with_the_same_side_make_the_interval_narrower():
    by_opening = {r.player: r for r in rate([block("a", "b", *[(1.0, 0.0)] * 100)], "b")}["a"]
    by_player = {r.player: r for r in rate([block("a", "b", *wins(50), *losses(50))], "b")}["a"]
    assert by_opening.elo == pytest.approx(by_player.elo)
    assert 0 < by_opening.high - by_opening.low < 25 < 60 < by_player.high - by_player.low


@pytest.mark.parametrize(
    "scores",
    [
        [(0.5, 0.5)] * 20,
        [(1.0, 0.0)] * 20,
        [(1.0, 0.0)],
        [*wins(12), *losses(8)],
        [*wins(9), (1.0, 0.0), *losses(6)],
    ],
    ids=["drawn", "split", "one pair", "won or lost", "mixed"],
)
def test_two_players_have_the_interval_of_their_match(scores):
    """Up to the curve of Elo over the score, which the rating takes as straight."""
    player = {r.player: r for r in rate([block("a", "b", *scores)], "b")}["a"]
    low, high = paired_score_interval(np.array([sum(pair) / 2 for pair in scores]))
    expected = 1 / (1 + 10 ** (-player.elo / 400))
    per_score = ELO_PER_NAT / (expected * (1 - expected))
    assert player.high - player.low == pytest.approx((high - low) * per_score, rel=0.1)


def test_games_that_are_added_later_count_as_if_they_had_been_there():
    rng = np.random.default_rng(0)
    names = [f"m{number}" for number in range(60)]
    blocks = [
        block(name, rival, *_games(200, 10, 0.3, rng))
        for number, name in enumerate(names)
        for rival in {"anchor", *names[:number][-1:], *names[: number // 2][-1:]}
    ]
    tournament = Tournament("anchor")
    tournament.add(blocks[:-20])
    for one in blocks[-20:]:
        tournament.ratings()
        tournament.add([one])
    later, at_once = tournament.ratings(), rate(blocks, "anchor")
    assert [r.player for r in later] == [r.player for r in at_once]
    assert [r.elo for r in later] == pytest.approx([r.elo for r in at_once], abs=1e-3)
    # Some intervals are older than the last games.
    widths, widths_at_once = ([r.high - r.low for r in ratings] for ratings in (later, at_once))
    assert widths != widths_at_once
    assert widths == pytest.approx(widths_at_once, rel=0.02)


@pytest.mark.parametrize("draw_share", [0.0, 0.5])
def test_intervals_of_simulated_tournaments_contain_the_true_rating_in_95_percent(draw_share):
    truth = {"anchor": 0.0, "a": 120.0, "b": 250.0, "c": -80.0, "d": 500.0}
    rng = np.random.default_rng(0)
    hits = []
    for _ in range(500):
        blocks = [
            block(a, b, *_games(truth[a] - truth[b], 30, draw_share, rng))
            for a in truth
            for b in truth
            if a < b
        ]
        rated = (r for r in rate(blocks, "anchor") if r.player != "anchor")
        hits += [r.low <= truth[r.player] <= r.high for r in rated]
    assert 0.93 < np.mean(hits) < 0.97


def _games(elo: float, num_pairs: int, draw_share: float, rng) -> list[tuple[float, float]]:
    """Simulated games of a player that is stronger by elo."""
    expected = 1 / (1 + 10 ** (-elo / 400))
    draw = draw_share * 4 * expected * (1 - expected)
    chances = [1 - expected - draw / 2, draw, expected - draw / 2]
    return [tuple(pair) for pair in rng.choice([0.0, 0.5, 1.0], size=(num_pairs, 2), p=chances)]
