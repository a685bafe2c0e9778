"""The games of a collection server: each upload is one transaction, so that it is counted whole and once.

An upload's content stays in the database until it is part of a file, `training_data/run_001/games_<number>.npz`. A file
is written before the transaction that names it; one that no row names is left over from a kill, and is written again.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from ddpzero.remote.messages import GamesFile, GamesFiles, UploadAnswer
from ddpzero.serve.accounts import User, note_seen
from ddpzero.serve.database import files, games, models, reading, rejections, uploads, users
from ddpzero.serve.models import ModelRow
from ddpzero.serve.validation import AcceptedUpload, Examination, ValidGame
from ddpzero.system.json_text import json_text

# There is one run per server.
GAMES_FOLDER = Path("training_data") / "run_001"

_FILE_NAME = re.compile(r"games_(\d+)\.npz")
_MAX_FILES_AT_ONCE = 100
# Of an upload without accepted games.
_NO_FILE = 0
_MAX_REASONS = 20
# So many of the newest reasons are kept for each user.
_MAX_REJECTIONS = 200


class WaitingUpload(NamedTuple):
    """An upload that is not in a file yet."""

    id: int
    num_games: int
    upload: AcceptedUpload


def games_path(folder: Path, number: int) -> Path:
    """Return a file of games. folder: of the server."""
    return folder / GAMES_FOLDER / f"games_{number:05d}.npz"


def known_answer(engine: sa.engine.Engine, user: User, upload_id: str) -> UploadAnswer | None:
    """Return what was answered to an upload; None if it is new."""
    with reading(engine) as connection:
        return _known_answer(connection, user, upload_id)


def count_upload(
    engine: sa.engine.Engine,
    user: User,
    model: ModelRow,
    upload_id: str,
    content: bytes,
    examination: Examination,
) -> UploadAnswer:
    """Count the games of an upload, once, and return the answer; what it says is then on disk."""
    with engine.begin() as connection:
        if known := _known_answer(connection, user, upload_id):
            return known
        taken, num_repeated = _new_games(connection, examination)
        num_rejected = len(examination.rejected) + bool(examination.problem)
        reasons = [f"game {index + 1} {reason}" for index, reason in examination.rejected]
        answer = UploadAnswer(
            accepted=len(taken),
            repeated=num_repeated,
            rejected=num_rejected,
            samples=sum(game.num_samples for game in taken),
            reasons=[examination.problem, *reasons][not examination.problem :][:_MAX_REASONS],
        )
        row = connection.execute(
            uploads.insert().values(
                upload_id=upload_id,
                user_id=user.id,
                model_id=model.id,
                received_at=time.time(),
                num_games=len(taken),
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
    return answer


def waiting_uploads(engine: sa.engine.Engine, max_bytes: int) -> list[WaitingUpload]:
    """Return the oldest uploads that are not in a file, at least one and up to max_bytes together."""
    query = (
        sa.select(
            uploads.c.id,
            uploads.c.num_games,
            uploads.c.size_bytes,
            uploads.c.taken,
            models.c.name,
        )
        .join(models, models.c.id == uploads.c.model_id)
        .where(uploads.c.file.is_(None))
        .order_by(uploads.c.id)
        .limit(1000)
    )
    found: list[WaitingUpload] = []
    with reading(engine) as connection:
        total = 0
        for key, num_games, size_bytes, taken, model in connection.execute(query).fetchall():
            total += size_bytes
            if found and total > max_bytes:
                break
            payload = connection.execute(
                sa.select(uploads.c.payload).where(uploads.c.id == key)
            ).scalar()
            upload = AcceptedUpload(bytes(payload), json.loads(taken), model)
            found.append(WaitingUpload(key, num_games, upload))
    return found


def waiting_bytes(engine: sa.engine.Engine) -> tuple[int, float]:
    """Return the size of all uploads that are not in a file, and when the first of them came (Unix time)."""
    query = sa.select(sa.func.sum(uploads.c.size_bytes), sa.func.min(uploads.c.received_at)).where(
        uploads.c.file.is_(None)
    )
    with reading(engine) as connection:
        size_bytes, first = connection.execute(query).one()
    return int(size_bytes or 0), float(first or 0)


def note_file(engine: sa.engine.Engine, file: GamesFile, joined: Iterable[WaitingUpload]) -> None:
    """Note that uploads are in a file, which is on disk; their content leaves the database."""
    ids = [upload.id for upload in joined]
    with engine.begin() as connection:
        connection.execute(
            files.insert().values(**asdict(file), created_at=time.time(), is_removed=False)
        )
        connection.execute(
            uploads.update().where(uploads.c.id.in_(ids)).values(file=file.number, payload=None)
        )


def newest_file(engine: sa.engine.Engine) -> int:
    """Return the number of the newest file of games; 0 if there is none."""
    with reading(engine) as connection:
        return int(connection.execute(sa.select(sa.func.max(files.c.number))).scalar() or 0)


def files_after(engine: sa.engine.Engine, number: int) -> GamesFiles:
    """Return the files after a number that still exist."""
    columns = (
        files.c[name] for name in ("number", "num_games", "num_samples", "size_bytes", "sha256")
    )
    query = (
        sa.select(*columns)
        .where(files.c.number > number, sa.not_(files.c.is_removed))
        .order_by(files.c.number)
        .limit(_MAX_FILES_AT_ONCE)
    )
    newest = newest_file(engine)
    with reading(engine) as connection:
        return GamesFiles(newest, [GamesFile(*row) for row in connection.execute(query)])


def remove_leftovers(engine: sa.engine.Engine, folder: Path) -> None:
    """Remove files that a kill left without a row. folder: of the server."""
    newest = newest_file(engine)
    for path in (folder / GAMES_FOLDER).glob("games_*.npz"):
        match = _FILE_NAME.fullmatch(path.name)
        if match and int(match[1]) > newest:
            path.unlink()


def remove_surplus_files(engine: sa.engine.Engine, folder: Path, max_bytes: float) -> None:
    """Remove the oldest files of games beyond a size of all of them; their games stay counted."""
    query = sa.select(files.c.number, files.c.size_bytes).where(sa.not_(files.c.is_removed))
    with reading(engine) as connection:
        sizes = connection.execute(query.order_by(files.c.number)).fetchall()
    surplus = sum(size for _, size in sizes) - max_bytes
    # The newest one stays in any case: learners are about to take it.
    for number, size in sizes[:-1]:
        if surplus <= 0:
            return
        with engine.begin() as connection:
            connection.execute(
                files.update().where(files.c.number == number).values(is_removed=True)
            )
        games_path(folder, number).unlink(missing_ok=True)
        surplus -= size


def _known_answer(
    connection: sa.engine.Connection, user: User, upload_id: str
) -> UploadAnswer | None:
    text = connection.execute(
        sa.select(uploads.c.answer).where(
            uploads.c.user_id == user.id, uploads.c.upload_id == upload_id
        )
    ).scalar()
    return None if text is None else replace(UploadAnswer(**json.loads(text)), is_known=True)


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
