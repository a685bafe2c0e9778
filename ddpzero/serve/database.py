"""The database of a collection server: its tables, and connections to SQLite or PostgreSQL.

SQLAlchemy Core as 1.4 and 2.0 have it alike. One transaction at a time may write, in whichever process, so that what it
has read stays true until its end; others read meanwhile. What the tables mean is known to the modules that write them:
accounts.py, collection.py, models.py, games.py, game_files.py, matches.py.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ddpzero.system.errors import UserError, require

# Of the tables below: with every change of them it grows. A database with another version is refused, not converted.
SCHEMA_VERSION = 2
DATABASE_FILE = "server.db"

_BUSY_SECONDS = 30
_POLL_SECONDS = 0.02
# A number that writers of this program agree on.
_POSTGRESQL_LOCK = 0x64647030

metadata = sa.MetaData()
_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# A line for each fact about the server: schema, run.
facts = sa.Table(
    "facts",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

# role: see messages.Role. The counts are of all uploads of the user.
users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(64), nullable=False, unique=True),
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("is_active", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("last_seen_at", sa.Float),
    sa.Column("num_games", _BIG, nullable=False, server_default="0"),
    sa.Column("num_samples", _BIG, nullable=False, server_default="0"),
    sa.Column("num_repeated", _BIG, nullable=False, server_default="0"),
    sa.Column("num_rejected", _BIG, nullable=False, server_default="0"),
    sa.Column("num_match_games", _BIG, nullable=False, server_default="0"),
)

# is_removed: whether the file is no longer there.
models = sa.Table(
    "models",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(255), nullable=False, unique=True),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("size_bytes", _BIG, nullable=False),
    sa.Column("weights_version", sa.Integer, nullable=False),
    sa.Column("samples_trained", _BIG, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("num_games", _BIG, nullable=False, server_default="0"),
    sa.Column("num_samples", _BIG, nullable=False, server_default="0"),
    sa.Column("is_removed", sa.Boolean, nullable=False),
)

# payload: the file as it was sent, until it is part of a file of games. taken: JSON, the indices of its accepted games.
# file: the number of that file; 0 if no game was accepted.
# problem: why the upload was refused as a whole; "" if its games were examined. answer: JSON of messages.UploadAnswer.
# Both are given again if the upload is repeated.
uploads = sa.Table(
    "uploads",
    metadata,
    sa.Column("id", _BIG, primary_key=True),
    sa.Column("upload_id", sa.String(32), nullable=False),
    sa.Column("user_id", sa.ForeignKey("users.id"), nullable=False),
    sa.Column("model_id", sa.ForeignKey("models.id"), nullable=False),
    sa.Column("received_at", sa.Float, nullable=False),
    sa.Column("num_games", sa.Integer, nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("taken", sa.Text),
    sa.Column("payload", sa.LargeBinary),
    sa.Column("size_bytes", sa.Integer, nullable=False),
    sa.Column("file", sa.Integer),
    sa.UniqueConstraint("user_id", "upload_id"),
)
waiting_uploads = sa.Index("waiting_uploads", uploads.c.file, uploads.c.id)

games = sa.Table(
    "games",
    metadata,
    sa.Column("hash", sa.String(32), primary_key=True),
    sa.Column("upload", sa.ForeignKey("uploads.id"), nullable=False),
)

files = sa.Table(
    "files",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("num_games", sa.Integer, nullable=False),
    sa.Column("num_samples", sa.Integer, nullable=False),
    sa.Column("size_bytes", _BIG, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("is_removed", sa.Boolean, nullable=False),
)

# reason: of num_games rejected games of an upload, or of all of it.
rejections = sa.Table(
    "rejections",
    metadata,
    sa.Column("id", _BIG, primary_key=True),
    sa.Column("user_id", sa.ForeignKey("users.id"), nullable=False, index=True),
    sa.Column("upload_id", sa.String(32), nullable=False),
    sa.Column("time", sa.Float, nullable=False),
    sa.Column("num_games", sa.Integer, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)

# Rating matches: handed out as tasks; scores is NULL until the games have arrived.
matches = sa.Table(
    "matches",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("user_id", sa.ForeignKey("users.id"), nullable=False),
    sa.Column("model_id", sa.ForeignKey("models.id"), nullable=False),
    sa.Column("opponent_id", sa.ForeignKey("models.id"), nullable=False),
    sa.Column("num_games", sa.Integer, nullable=False),
    sa.Column("seed", _BIG, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("done_at", sa.Float),
    sa.Column("scores", sa.Text),
    sa.Column("mean_plies", sa.Float),
    sa.Column("seconds", sa.Float),
    sa.Column("num_distinct_games", sa.Integer),
)


def open_database(folder: Path, url: str | None) -> sa.engine.Engine:
    """Connect, and make the tables in an empty database. url: None for SQLite in the folder. Raises UserError."""
    address = f"sqlite:///{folder / DATABASE_FILE}" if url is None else url
    # PostgreSQL's own tools write postgres://.
    address = address.replace("postgres://", "postgresql://", 1)
    shown = "serve.database" if url is not None else str(folder / DATABASE_FILE)
    try:
        parsed = sa.engine.make_url(address)
        engine = sa.create_engine(parsed, future=True, pool_pre_ping=True)
        if engine.dialect.name == "sqlite":
            _prepare_sqlite(engine)
        elif engine.dialect.name == "postgresql":
            _prepare_postgresql(engine)
        with engine.begin() as connection:
            metadata.create_all(connection)
            _check_schema(connection, shown)
    except (sa.exc.SQLAlchemyError, ImportError) as error:
        reason = " ".join(str(getattr(error, "orig", None) or error).split())[:300]
        raise UserError(f"{shown} cannot be used as a database: {reason}.") from None
    if url is None:
        # Hashes of tokens: nobody else needs to read them.
        os.chmod(folder / DATABASE_FILE, 0o600)
    return engine


def reading(engine: sa.engine.Engine) -> Any:
    """Return a context manager for a connection that only reads, and so waits for no writer."""
    return engine.execution_options(only_reads=True).begin()


def read_fact(connection: sa.engine.Connection, name: str) -> str | None:
    value = connection.execute(sa.select(facts.c.value).where(facts.c.name == name)).scalar()
    return None if value is None else str(value)


def write_fact(connection: sa.engine.Connection, name: str, value: str) -> None:
    if read_fact(connection, name) is None:
        connection.execute(facts.insert().values(name=name, value=value))
    else:
        connection.execute(facts.update().where(facts.c.name == name).values(value=value))


def _check_schema(connection: sa.engine.Connection, shown: str) -> None:
    """Note the version in a new database. Raises UserError if an existing one has another version."""
    found = read_fact(connection, "schema")
    if found is None:
        write_fact(connection, "schema", str(SCHEMA_VERSION))
        return
    require(
        found == str(SCHEMA_VERSION),
        f"{shown} has the tables of version {found[:20]}, and this ddpzero needs version {SCHEMA_VERSION}: start it "
        "with the ddpzero that made it, or name another folder.",
    )


def _prepare_sqlite(engine: sa.engine.Engine) -> None:
    @sa.event.listens_for(engine, "connect")
    def connect(connection: Any, record: Any) -> None:
        # The driver would begin transactions by itself, and too late for reads.
        connection.isolation_level = None
        cursor = connection.cursor()
        _let_readers_read(cursor)
        # An acknowledged upload survives a power failure, too.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA busy_timeout={_BUSY_SECONDS * 1000}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN" if _only_reads(connection) else "BEGIN IMMEDIATE")


def _let_readers_read(cursor: Any) -> None:
    """Begin to write changes to a log beside the database, so that nobody who reads it waits for a writer."""
    until = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            # Another process does this to a new database at the same time, and here SQLite does not wait by itself.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_POLL_SECONDS)


def _prepare_postgresql(engine: sa.engine.Engine) -> None:
    @sa.event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        if not _only_reads(connection):
            # Until the end of the transaction.
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_POSTGRESQL_LOCK})")


def _only_reads(connection: Any) -> bool:
    return bool(connection.get_execution_options().get("only_reads", False))
