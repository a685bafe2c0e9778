"""The parts of a collection server and of its clients: settings, users, databases, processes, rules, retries, ..."""

from __future__ import annotations

import asyncio
import os
import stat
import time

import psutil
import pytest
import sqlalchemy as sa

from ddpzero.contribute.settings import read_settings as read_contribute_settings
from ddpzero.games import load_game
from ddpzero.games.core.rules_hash import rules_hash
from ddpzero.remote.client import Server, ServerUnavailable, patiently, read_token
from ddpzero.remote.contributed import contributed_config
from ddpzero.remote.messages import Role
from ddpzero.remote.model_file import model_file_bytes, read_model_file
from ddpzero.serve.accounts import add_user, find_user, remove_user
from ddpzero.serve.database import open_database, write_fact
from ddpzero.serve.run import run_add_user, run_remove_user
from ddpzero.serve.settings import read_settings
from ddpzero.serve.validation import Examination
from ddpzero.serve.validators import ProcessLost, Validators
from ddpzero.system.errors import UserError
from ddpzero.system.guarded_files import UnreadableFileError
from ddpzero.training.counters import Counters, collected_beyond, count_files
from tests.serve.material import material


def test_settings_come_from_the_file_and_the_command_line(tmp_path):
    assert read_settings(tmp_path, []).port == 8471
    (tmp_path / "serve.yaml").write_text("port: 9000\nmin_plies: 5\n")
    settings = read_settings(tmp_path, ["serve.port=9001", "serve.trusted_proxies=[10.0.0.1]"])
    assert (settings.port, settings.min_plies) == (9001, 5)
    assert settings.trusted_proxies == ("10.0.0.1",)
    for word, sentence in [
        ("serve.port=x", "not a whole number"),
        ("serve.prt=1", "Did you mean serve.port"),
        ("port=1", "begin with serve."),
        ("serve.min_plies=600", "above serve.max_plies"),
        ("serve.match_games=3", "must be even"),
        ("serve.port=70000", "at most 65,535"),
        ("serve.title=[", "cannot be read"),
    ]:
        with pytest.raises(UserError, match=sentence):
            read_settings(tmp_path, [word])


def test_settings_of_a_contributor(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no server is given"):
        read_contribute_settings(None, None, [])
    (tmp_path / "contribute.yaml").write_text("server: http://a\ngames_per_upload: 7\n")
    assert read_contribute_settings(None, None, []).games_per_upload == 7
    settings = read_contribute_settings("http://b", None, ["num_actors=3"])
    assert (settings.server, settings.num_actors) == ("http://b", 3)
    with pytest.raises(UserError, match="num_actors"):
        read_contribute_settings(None, None, ["num_actors=0"])
    with pytest.raises(UserError, match="is no address"):
        Server("ftp://x", "t")
    private = {"http://127.0.0.1:8": True, "http://[::1]": True, "http://a.org": False}
    for url, is_private in {**private, "https://a.org/games": True}.items():
        assert Server(url, "t").is_private == is_private


def test_tokens_are_shown_once_and_end(tmp_path):
    engine = open_database(tmp_path, None)
    token = add_user(engine, "alice")
    found = find_user(engine, token)
    assert found is not None and (found.name, found.role) == ("alice", "contributor")
    content = b"".join(path.read_bytes() for path in tmp_path.glob("server.db*"))
    assert token.encode() not in content
    assert stat.S_IMODE((tmp_path / "server.db").stat().st_mode) == 0o600
    renewed = add_user(engine, "alice", "learner")
    assert find_user(engine, token) is None
    again = find_user(engine, renewed)
    assert again is not None and again.role == "learner" and again.id == found.id
    remove_user(engine, "alice")
    assert find_user(engine, renewed) is None
    for name in ("", "../x", "a b", "x" * 65):
        with pytest.raises(UserError, match="--add-user"):
            add_user(engine, name)
    with pytest.raises(UserError, match="no such user"):
        remove_user(engine, "bob")


def test_who_has_a_token_already_gets_another_one_and_the_operator_reads_so(tmp_path, capsys):
    def said(role: Role = "contributor") -> str:
        run_add_user(tmp_path, "alice", role, [])
        return capsys.readouterr().err

    end = "Give them this token, which is shown only once:\n"
    assert said() == f"alice is a contributor now. {end}"
    assert said() == f"alice has a new token; the old one is void. {end}"
    assert said("learner") == (
        f"alice is a learner now and no contributor, with a new token; the old one is void. {end}"
    )
    run_remove_user(tmp_path, "alice", [])
    assert said() == f"alice is a contributor now. {end}"


def test_nobody_is_removed_from_a_folder_without_a_database(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match=rf"{folder} is no collection, because it has no serv"):
            run_remove_user(folder, "alice", [])
    assert not list(tmp_path.iterdir())


def test_a_database_of_another_version_or_none_is_refused(tmp_path):
    engine = open_database(tmp_path, None)
    with engine.begin() as connection:
        write_fact(connection, "schema", "99")
    with pytest.raises(UserError, match="tables of version 99"):
        open_database(tmp_path, None)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "server.db").write_bytes(b"no database " * 100)
    with pytest.raises(UserError, match="cannot be used as a database"):
        open_database(tmp_path / "other", None)
    for url in ("nothing", "oracle://x", "postgresql://127.0.0.1:1/x"):
        with pytest.raises(UserError, match=r"serve.database cannot be used"):
            open_database(tmp_path, url)
    assert sa.inspect(engine).has_table("games")


def test_validators_that_die_are_replaced():
    async def run() -> None:
        validators = Validators(1)
        try:
            first = await validators.call(os.getpid)
            # Both wait for the same process; who does not kill it is answered by the next one.
            died, answered = await asyncio.gather(
                validators.call(os._exit, 1), validators.call(os.getpid), return_exceptions=True
            )
            assert isinstance(died, ProcessLost), died
            assert isinstance(answered, int) and answered not in (first, os.getpid())
            assert await validators.call(os.getpid) == answered
        finally:
            validators.close()

    asyncio.run(run())


def test_validators_that_take_too_long_or_too_much_are_replaced():
    async def run() -> None:
        validators = Validators(1, max_seconds=5.0)
        try:
            first = await validators.call(os.getpid)
            with pytest.raises(ProcessLost, match="too long"):
                await validators.call(time.sleep, 60)
            second = await validators.call(os.getpid)
            with pytest.raises(ProcessLost, match="too much memory"):
                await validators.call(bytearray, 1 << 36)
            assert len({first, second, await validators.call(os.getpid)}) == 3
            assert not psutil.pid_exists(first)
        finally:
            validators.close()

    asyncio.run(run())


def test_a_token_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("DDPZERO_TOKEN", raising=False)
    with pytest.raises(UserError, match="no token is given"):
        read_token(None, "token_file")
    monkeypatch.setenv("DDPZERO_TOKEN", "abc")
    assert read_token(None, "token_file") == "abc"
    (tmp_path / "t").write_text("def\n")
    assert read_token(str(tmp_path / "t"), "token_file") == "def"
    (tmp_path / "t").write_text("two words")
    with pytest.raises(UserError, match="tokens have letters"):
        read_token(str(tmp_path / "t"), "token_file")
    with pytest.raises(UserError, match="cannot be read"):
        read_token(str(tmp_path / "u"), "token_file")


def test_equal_rules_have_equal_hashes():
    nine = rules_hash(load_game("gomoku", size=9))
    assert nine == rules_hash(load_game("gomoku", size=9))
    # A number that is written down: a change of it would part contributors from servers.
    assert rules_hash(load_game("tic_tac_toe")).startswith("TIC_TAC_TOE"[:0])
    others = [{"size": 10}, {"size": 9, "exact_five": True}]
    hashes = {rules_hash(load_game("gomoku", **parameters)) for parameters in others}
    assert len(hashes | {nine, rules_hash(load_game("tic_tac_toe"))}) == 4


def test_contributors_play_games_to_their_end_and_load_no_code_of_others():
    config = contributed_config(material().model.config)
    assert config["algorithm"]["play_out_fraction"] == 1.0
    for group, key, value in [
        ("game", "source", "/tmp/evil.py"),
        ("algorithm", "source", "/tmp/evil.py"),
        ("algorithm", "plugin", "os"),
        ("algorithm", "plugin", "ddpzero.algorithms.alphazero.player"),
    ]:
        changed = {**config, group: {**config[group], key: value}}
        with pytest.raises(UserError, match="only"):
            contributed_config(changed)


def test_a_model_file_keeps_what_it_is_given(tmp_path):
    model = material().model
    path = tmp_path / "m.safetensors"
    content = model_file_bytes(model)
    path.write_bytes(content)
    found = read_model_file(path)
    assert (found.model, found.run, found.config) == (model.model, model.run, model.config)
    for name in ("weights", "actor_weights"):
        sent, kept = getattr(model, name), getattr(found, name)
        assert sent.keys() == kept.keys()
        assert all(bool((sent[key] == kept[key]).all()) for key in sent)
    for damaged in (content[:100], b"", content.replace(b"format", b"formas", 1)):
        path.write_bytes(damaged)
        with pytest.raises(UnreadableFileError):
            read_model_file(path)


def test_requests_are_repeated_with_growing_waits_until_they_succeed():
    waits: list[float] = []
    answers = iter([ServerUnavailable("a")] * 6 + [ServerUnavailable("b", 7.0)])

    def request() -> str:
        for error in answers:
            raise error
        return "done"

    result = patiently(request, on_wait=lambda problem, seconds: None, sleep=waits.append)
    assert result == "done" and len(waits) == 7
    for number, wait in enumerate(waits[:6]):
        assert 0.5 * 2**number <= wait <= 2**number
    assert 3.5 <= waits[6] <= 7
    with pytest.raises(ServerUnavailable):
        patiently(
            lambda: (_ for _ in ()).throw(ServerUnavailable("a")),
            on_wait=lambda problem, seconds: None,
            sleep=waits.append,
            give_up=lambda: True,
        )


def test_files_of_games_are_counted_once_whatever_the_ranks():
    counters = Counters()
    count_files(counters, [([2, 4], 0), ([1], 0)])
    assert counters.collected_up_to == 2 and collected_beyond(counters) == {4}
    count_files(counters, [([6], 0), ([3, 5], 0)])
    assert counters.collected_up_to == 6 and collected_beyond(counters) == set()
    # The server has removed files up to 20; rank 1 has just taken in one of them.
    count_files(counters, [([22], 20), ([19], 20)])
    assert counters.collected_up_to == 20 and collected_beyond(counters) == {22}
    count_files(counters, [([20 + 62], 20), ([], 20)])
    assert collected_beyond(counters) == {22, 82} and counters.collected_beyond < 2**63


def test_reasons_are_short_whatever_an_upload_is_named_after():
    found = Examination("?" * 5000, [], [(3, "!" * 5000)])
    assert (found.problem, found.rejected) == ("?" * 300, [(3, "!" * 300)])
