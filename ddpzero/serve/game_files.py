"""The files of accepted games, `training_data/run_001/games_<number>.npz` in a server's folder, and their rows.

An upload's content stays in the database until it is part of a file. A file is written before the transaction that
names it; one that no row names is left over from a kill, and is written again.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from ddpzero.remote.messages import GamesFile, GamesFiles
from ddpzero.serve.database import files, models, reading, uploads
from ddpzero.serve.upload_content import AcceptedUpload

# There is one run per server.
GAMES_FOLDER = Path("training_data") / "run_001"

_FILE_NAME = re.compile(r"games_(\d+)\.npz")
_MAX_FILES_AT_ONCE = 100
# Of an upload that no file can be written of; its content stays in the database.
_SET_ASIDE = -1


class WaitingUpload(NamedTuple):
    """An upload that is not in a file yet."""

    id: int
    num_games: int
    upload: AcceptedUpload


def games_path(folder: Path, number: int) -> Path:
    """Return a file of games. folder: of the server."""
    return folder / GAMES_FOLDER / f"games_{number:05d}.npz"


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


def set_aside(engine: sa.engine.Engine, upload: WaitingUpload) -> None:
    """Let an upload wait no more, without a file; its content stays in the database."""
    with engine.begin() as connection:
        connection.execute(
            uploads.update().where(uploads.c.id == upload.id).values(file=_SET_ASIDE)
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
