"""The games of a collection server: each upload is one transaction, so that it is counted whole and once."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace

import sqlalchemy as sa

from ddpzero.remote.messages import UploadAnswer
from ddpzero.serve.accounts import User, note_seen
from ddpzero.serve.database import games, models, reading, rejections, uploads, users
from ddpzero.serve.models import ModelRow
from ddpzero.serve.validation import Examination, ValidGame
from ddpzero.system.json_text import json_text

# Of an upload without accepted games.
_NO_FILE = 0
_MAX_REASONS = 20
# So many of the newest reasons are kept for each user.
_MAX_REJECTIONS = 200


@dataclass(frozen=True)
class CountedUpload:
    """What became of an upload. problem: why all of it was refused, as a sentence; "" if its games were examined.

    model: with the counts after this upload; None if it had been counted before.
    """

    problem: str
    answer: UploadAnswer
    model: ModelRow | None = None


def find_upload(engine: sa.engine.Engine, user: User, upload_id: str) -> CountedUpload | None:
    """Return what became of an upload; None if it is new."""
    with reading(engine) as connection:
        return _find_upload(connection, user, upload_id)


def count_upload(
    engine: sa.engine.Engine,
    user: User,
    model: ModelRow,
    upload_id: str,
    content: bytes,
    examination: Examination,
) -> CountedUpload:
    """Count the games of an upload, once, and return what became of it; what that says is then on disk."""
    with engine.begin() as connection:
        if known := _find_upload(connection, user, upload_id):
            return known
        taken, num_repeated = _new_games(connection, examination)
        num_rejected = len(examination.rejected) + bool(examination.problem)
        reasons = [f"game {index + 1} {reason}" for index, reason in examination.rejected]
        answer = UploadAnswer(
            accepted=len(taken),
            repeated=num_repeated,
            rejected=num_rejected,
            samples=sum(game.num_samples for game in taken),
            reasons=reasons[:_MAX_REASONS],
        )
        row = connection.execute(
            uploads.insert().values(
                upload_id=upload_id,
                user_id=user.id,
                model_id=model.id,
                received_at=time.time(),
                num_games=len(taken),
                problem=examination.problem,
                answer=json_text(asdict(answer)),
                taken=json_text([game.index for game in taken]) if taken else None,
                payload=content if taken else None,
                size_bytes=len(content),
                file=None if taken else _NO_FILE,
            )
        )
        (key,) = row.inserted_primary_key
        if taken:
            rows = [{"hash": game.hash, "upload": key} for game in taken]
            connection.execute(games.insert(), rows)
        _add_counts(connection, user, model, answer)
        _note_rejections(connection, user, upload_id, examination)
        of_model = sa.select(models).where(models.c.id == model.id)
        counted = ModelRow(*connection.execute(of_model).one())
    return CountedUpload(examination.problem, answer, counted)


def _find_upload(
    connection: sa.engine.Connection, user: User, upload_id: str
) -> CountedUpload | None:
    row = connection.execute(
        sa.select(uploads.c.problem, uploads.c.answer).where(
            uploads.c.user_id == user.id, uploads.c.upload_id == upload_id
        )
    ).first()
    if row is None:
        return None
    answer = UploadAnswer(**json.loads(row.answer))
    return CountedUpload(row.problem, replace(answer, is_known=True))


def _new_games(
    connection: sa.engine.Connection, examination: Examination
) -> tuple[list[ValidGame], int]:
    """Return the valid games that were not sent before, each once, and the number of the others."""
    by_hash = {game.hash: game for game in reversed(examination.valid)}
    query = sa.select(games.c.hash).where(games.c.hash.in_(list(by_hash)))
    known = {hash_ for (hash_,) in connection.execute(query)} if by_hash else set()
    taken = [
        game for game in examination.valid if game.hash not in known and by_hash[game.hash] is game
    ]
    return taken, len(examination.valid) - len(taken)


def _add_counts(
    connection: sa.engine.Connection, user: User, model: ModelRow, answer: UploadAnswer
) -> None:
    connection.execute(
        users.update()
        .where(users.c.id == user.id)
        .values(
            num_games=users.c.num_games + answer.accepted,
            num_samples=users.c.num_samples + answer.samples,
            num_repeated=users.c.num_repeated + answer.repeated,
            num_rejected=users.c.num_rejected + answer.rejected,
        )
    )
    connection.execute(
        models.update()
        .where(models.c.id == model.id)
        .values(
            num_games=models.c.num_games + answer.accepted,
            num_samples=models.c.num_samples + answer.samples,
        )
    )
    note_seen(connection, user)


def _note_rejections(
    connection: sa.engine.Connection, user: User, upload_id: str, examination: Examination
) -> None:
    counts = Counter(f"a game {reason}" for _, reason in examination.rejected)
    if examination.problem:
        counts[examination.problem] += 1
    if not counts:
        return
    now = time.time()
    for reason, number in counts.most_common(_MAX_REASONS):
        connection.execute(
            rejections.insert().values(
                user_id=user.id, upload_id=upload_id, time=now, num_games=number, reason=reason
            )
        )
    oldest = connection.execute(
        sa.select(rejections.c.id)
        .where(rejections.c.user_id == user.id)
        .order_by(rejections.c.id.desc())
        .offset(_MAX_REJECTIONS)
        .limit(1)
    ).scalar()
    if oldest is not None:
        connection.execute(
            rejections.delete().where(rejections.c.user_id == user.id, rejections.c.id <= oldest)
        )
