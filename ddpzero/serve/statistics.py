"""What a collection server shows of its run and of its contributors."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from ddpzero.remote.messages import Contributor, RunStatistics
from ddpzero.serve.database import files, reading, rejections, users
from ddpzero.serve.models import list_models

if TYPE_CHECKING:
    from ddpzero.serve.collection import Collection

# A contributor is active if heard of within so many seconds.
ACTIVE_SECONDS = 900.0
# So many of the newest reasons are shown for each contributor.
MAX_REASONS = 50
_MAX_CONTRIBUTORS = 1000


@dataclass(frozen=True)
class Rejection:
    """Why games of an upload were rejected. time: Unix time. num_games: 1 for an upload that cannot be read."""

    time: float
    num_games: int
    reason: str


@dataclass(frozen=True)
class FoundContributor:
    """A user. rejections: the newest reasons for which games were rejected. is_removed: whether the token has ended."""

    counts: Contributor
    rejections: list[Rejection]
    is_removed: bool


def run_statistics(collection: Collection) -> RunStatistics:
    """Return the statistics of a server's run."""
    contributors = _contributors(collection.engine)
    # From the database: the counts that the server keeps for itself may lack an upload.
    models = list_models(collection.engine)
    query = sa.select(sa.func.count(), sa.func.sum(files.c.size_bytes)).where(
        sa.not_(files.c.is_removed)
    )
    with reading(collection.engine) as connection:
        num_files, size_bytes = connection.execute(query).one()
    run = collection.run
    return RunStatistics(
        run=run.name if run else "",
        game=run.game.name if run else "",
        num_games=sum(c.num_games for c in contributors),
        num_samples=sum(c.num_samples for c in contributors),
        num_repeated=sum(c.num_repeated for c in contributors),
        num_rejected=sum(c.num_rejected for c in contributors),
        num_match_games=sum(c.num_match_games for c in contributors),
        num_contributors=len(contributors),
        num_active=sum(map(_is_active, contributors)),
        num_files=num_files,
        size_bytes=int(size_bytes or 0),
        models=[collection.describe(model) for model in models],
        contributors=contributors[:_MAX_CONTRIBUTORS],
    )


def find_contributor(collection: Collection, name: str) -> FoundContributor | None:
    """Return a contributor, also one whom the operator has removed; None if there is none."""
    if "\0" in name:
        # No name has it, and PostgreSQL cannot compare it.
        return None
    with reading(collection.engine) as connection:
        query = _columns().add_columns(users.c.is_active).where(users.c.name == name)
        row = connection.execute(query).first()
        if row is None:
            return None
        user_id, *values, is_active = row
        query = (
            sa.select(rejections.c.time, rejections.c.num_games, rejections.c.reason)
            .where(rejections.c.user_id == user_id)
            .order_by(rejections.c.id.desc())
            .limit(MAX_REASONS)
        )
        reasons = [Rejection(*reason) for reason in connection.execute(query)]
    return FoundContributor(Contributor(*values), reasons, not is_active)


def _is_active(contributor: Contributor) -> bool:
    seen_at = contributor.last_seen_at
    return seen_at is not None and time.time() - seen_at < ACTIVE_SECONDS


def _contributors(engine: sa.engine.Engine) -> list[Contributor]:
    """Return all users who sent games: a learner may do so, too, and its role may have changed since."""
    query = _columns().where(users.c.last_seen_at.is_not(None))
    query = query.order_by(users.c.num_games.desc(), users.c.num_match_games.desc(), users.c.name)
    with reading(engine) as connection:
        return [Contributor(*row[1:]) for row in connection.execute(query)]


def _columns() -> sa.sql.Select:
    names = ("id", "name", "num_games", "num_samples", "num_repeated", "num_rejected")
    return sa.select(
        *(users.c[name] for name in (*names, "num_match_games", "created_at", "last_seen_at"))
    )
