"""Rating matches: handed out to contributors, verified by replay, and rated as the arena's (arena/ratings.py)."""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter
from collections.abc import Sequence

import numpy as np
import sqlalchemy as sa

from ddpzero.arena.match_log import Block
from ddpzero.arena.openings import random_openings
from ddpzero.arena.ratings import Rating, rate
from ddpzero.games import Game
from ddpzero.remote.messages import MatchReport
from ddpzero.serve.accounts import User, note_seen
from ddpzero.serve.database import matches, reading, users
from ddpzero.serve.models import ModelRow
from ddpzero.system.errors import require
from ddpzero.system.json_text import json_text

_MAX_SEED = 2**31
_MAX_SECONDS = 1e7
# A match whose report does not arrive within so long is forgotten.
_OPEN_SECONDS = 24 * 3600.0


def begin_match(
    engine: sa.engine.Engine,
    user: User,
    models: Sequence[ModelRow],
    num_games: int,
    max_open: int,
) -> tuple[str, ModelRow, ModelRow, int] | None:
    """Choose a match and note that it was handed out; return its id, its players and its seed.

    models: all, the newest first, at least two. max_open: None is returned if the user has so many matches that are not
    reported. The model with the fewest reported rating games plays, half of the time against its predecessor and
    otherwise against any other one, so that more than a chain connects them.
    """
    with engine.begin() as connection:
        connection.execute(matches.delete().where(_is_expired()))
        of_user = sa.and_(matches.c.user_id == user.id, matches.c.scores.is_(None))
        num_open = connection.execute(
            sa.select(sa.func.count()).select_from(matches).where(of_user)
        ).scalar_one()
        if num_open >= max_open:
            return None
        played: Counter[int] = Counter()
        # What was only handed out may never be played.
        query = sa.select(matches.c.model_id, matches.c.opponent_id, matches.c.num_games).where(
            matches.c.scores.is_not(None)
        )
        for model_id, opponent_id, number in connection.execute(query):
            played[model_id] += number
            played[opponent_id] += number
        model = min(models, key=lambda row: (played[row.id], -row.id))
        others = [row for row in models if row.id != model.id]
        earlier = [row for row in others if row.id < model.id]
        opponent = earlier[0] if earlier and secrets.randbelow(2) else secrets.choice(others)
        match, seed = secrets.token_hex(16), secrets.randbelow(_MAX_SEED)
        connection.execute(
            matches.insert().values(
                id=match,
                user_id=user.id,
                model_id=model.id,
                opponent_id=opponent.id,
                num_games=num_games,
                seed=seed,
                created_at=time.time(),
            )
        )
    return match, model, opponent, seed


def find_open_match(
    engine: sa.engine.Engine, user: User, report: MatchReport
) -> tuple[int, int] | None:
    """Return the number of games and the seed of a match of this user; None if its games are counted already.

    Raises UserError if there is none, or the report cannot be of it.
    """
    query = sa.select(matches.c.num_games, matches.c.seed, matches.c.scores).where(
        matches.c.id == report.task, matches.c.user_id == user.id, sa.not_(_is_expired())
    )
    with reading(engine) as connection:
        row = connection.execute(query).first()
    require(row is not None, "there is no such match of yours.")
    num_games, seed, scores = row
    if scores is not None:
        return None
    require(
        len(report.moves) == num_games, f"the match has {num_games} games, not {len(report.moves)}."
    )
    require(
        0 <= report.seconds <= _MAX_SECONDS,
        f"seconds={report.seconds} is not the duration of a match.",
    )
    return num_games, seed


def finish_match(
    engine: sa.engine.Engine,
    user: User,
    report: MatchReport,
    results: Sequence[tuple[float, float]],
    lengths: Sequence[int],
) -> None:
    """Count the games of an open match, once. results, lengths: of replay_match."""
    with engine.begin() as connection:
        changed = connection.execute(
            matches.update()
            .where(matches.c.id == report.task, matches.c.scores.is_(None))
            .values(
                done_at=time.time(),
                scores=json_text(results),
                mean_plies=float(np.mean(lengths)),
                seconds=report.seconds,
                num_distinct_games=len({(i // 2, *m) for i, m in enumerate(report.moves)}),
            )
        )
        if changed.rowcount:
            connection.execute(
                users.update()
                .where(users.c.id == user.id)
                .values(num_match_games=users.c.num_match_games + len(lengths))
            )
        note_seen(connection, user)


def replay_match(
    game: Game, moves: Sequence[Sequence[int]], seed: int
) -> tuple[list[tuple[float, float]], list[int]]:
    """Return the first player's scores from each opening, with either side, and the length of each game.

    moves: of each game after its opening; see MatchReport. Raises UserError if a game breaks the rules.
    """
    openings = random_openings(game, len(moves) // 2, np.random.default_rng(seed))
    scores, lengths = [], []
    for number, of_game in enumerate(moves):
        position = openings.positions[number // 2]
        require(
            len(of_game) <= game.spec.max_plies,
            f"game {number + 1} has {len(of_game)} moves after its opening.",
        )
        for ply, action in enumerate(of_game, start=1):
            is_legal = (
                not game.is_terminal(position)
                and 0 <= action < game.num_actions
                and bool(game.legal_actions(position)[action])
            )
            require(is_legal, f"game {number + 1} has an illegal move {ply} after its opening.")
            position = game.apply_action(position, action)
        require(game.is_terminal(position), f"game {number + 1} is not over by the rules.")
        result = float(game.returns(position)[number % 2])
        scores.append((1 + float(np.sign(result))) / 2)
        lengths.append(openings.num_plies + len(of_game))
    pairs = list(zip(scores[::2], scores[1::2], strict=True))
    return pairs, lengths


def _is_expired() -> sa.ColumnElement[bool]:
    return sa.and_(matches.c.scores.is_(None), matches.c.created_at < time.time() - _OPEN_SECONDS)


def read_blocks(engine: sa.engine.Engine, models: Sequence[ModelRow]) -> list[Block]:
    """Return the finished matches as the arena's blocks. models: all of them."""
    by_id = {row.id: row for row in models}
    blocks = []
    with reading(engine) as connection:
        query = sa.select(matches).where(matches.c.scores.is_not(None)).order_by(matches.c.done_at)
        for row in connection.execute(query):
            model, opponent = by_id[row.model_id], by_id[row.opponent_id]
            scores = tuple((float(a), float(b)) for a, b in json.loads(row.scores))
            blocks.append(
                Block(
                    key=row.id,
                    player_a=model.name,
                    player_b=opponent.name,
                    scores=scores,
                    learner_step=0,
                    samples=model.samples_trained,
                    minutes=0.0,
                    mean_plies=row.mean_plies,
                    seconds=row.seconds,
                    time=row.done_at,
                    num_distinct_games=row.num_distinct_games,
                )
            )
    return blocks


def read_ratings(engine: sa.engine.Engine, models: Sequence[ModelRow]) -> list[Rating]:
    """Return the ratings of the models, strongest first; the oldest one has 0. models: all, the newest first."""
    return rate(read_blocks(engine, models), models[-1].name) if models else []
