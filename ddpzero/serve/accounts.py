"""The users of a collection server. A token is shown once, when its user is added; only its hash is stored."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from dataclasses import dataclass

import sqlalchemy as sa

from ddpzero.remote.messages import Role
from ddpzero.serve.database import reading, users
from ddpzero.system.errors import require

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TOKEN_BYTES = 32


@dataclass(frozen=True)
class User:
    """A user who has shown a valid token."""

    id: int
    name: str
    role: str


def add_user(engine: sa.engine.Engine, name: str, role: Role = "contributor") -> str:
    """Add a user, or give an existing one a new token, with which the old one ends; return the token."""
    require(
        _NAME.fullmatch(name) is not None,
        f"--add-user {name[:80]!r}: a name has 1 to 64 letters, digits, '.', '_' and '-', and begins with a letter or "
        "digit.",
    )
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    values = {"token_hash": _hash(token), "role": role, "is_active": True}
    with engine.begin() as connection:
        if connection.execute(sa.select(users.c.id).where(users.c.name == name)).first():
            connection.execute(users.update().where(users.c.name == name).values(**values))
        else:
            connection.execute(users.insert().values(name=name, created_at=time.time(), **values))
    return token


def remove_user(engine: sa.engine.Engine, name: str) -> None:
    """End a user's token; games and statistics stay. Raises UserError if there is no such user."""
    with engine.begin() as connection:
        changed = connection.execute(
            users.update().where(users.c.name == name).values(is_active=False)
        )
    require(changed.rowcount == 1, f"--remove-user {name[:80]!r}: there is no such user.")


def role_of(engine: sa.engine.Engine, name: str) -> str | None:
    """Return the role of a user whose token is valid; None if there is none."""
    query = sa.select(users.c.role).where(users.c.name == name[:64], users.c.is_active)
    with reading(engine) as connection:
        return connection.execute(query).scalar()


def find_user(engine: sa.engine.Engine, token: str) -> User | None:
    """Return the active user of a token, or None."""
    query = sa.select(users.c.id, users.c.name, users.c.role).where(
        users.c.token_hash == _hash(token), users.c.is_active
    )
    with reading(engine) as connection:
        row = connection.execute(query).first()
    return None if row is None else User(*row)


def note_seen(connection: sa.engine.Connection, user: User) -> None:
    connection.execute(users.update().where(users.c.id == user.id).values(last_seen_at=time.time()))


def _hash(token: str) -> str:
    # A random token of 256 bits needs neither salt nor a slow hash.
    return hashlib.sha256(token.encode()).hexdigest()
