"""Games of contributors: each rank takes in its files, once, the newest ones if it is slow."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ddpzero.config.conversion import settings_from_dict
from ddpzero.remote.client import ServerRefused, ServerUnavailable
from ddpzero.remote.messages import GamesFile, GamesFiles
from ddpzero.settings import GameSettings
from ddpzero.system.errors import UserError
from ddpzero.training.collected_games import CollectedGames
from ddpzero.training.counters import Counters, count_files
from tests.serve.material import material, upload_of
from tests.waiting import wait_for


class FakeServer:
    """Has files from `oldest` to `newest`, all with the same two games; each request fails once."""

    def __init__(self, folder: Path, newest: int, oldest: int = 1) -> None:
        self.oldest, self.newest = oldest, newest
        self.downloaded: list[int] = []
        self.gone: set[int] = set()
        self._content = upload_of(material(), material().episodes[:2], folder / "content.npz")
        self._fails, self._run_fails = True, False

    url, collects_for = "http://127.0.0.1", "t"

    def run(self) -> SimpleNamespace:
        self._run_fails = not self._run_fails
        if self._run_fails:
            raise ServerUnavailable("no learner has pushed a model yet", 0.0)
        return SimpleNamespace(run=self.collects_for)

    def games_after(self, number: int) -> GamesFiles:
        self._fails = not self._fails
        if self._fails:
            raise ServerUnavailable("not now", 0.0)
        numbers = range(max(self.oldest, number + 1), self.newest + 1)
        return GamesFiles(self.newest, [GamesFile(n, 2, 10, 100, "") for n in numbers][:100])

    def download_games(self, file: GamesFile, path: Path) -> None:
        if file.number in self.gone:
            raise ServerRefused("gone", 404)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self._content)
        self.downloaded.append(file.number)

    def close(self) -> None:
        pass


def collected(
    server: FakeServer,
    folder: Path,
    counters: Counters,
    rank: int = 0,
    world_size: int = 1,
    game: GameSettings | None = None,
) -> CollectedGames:
    settings = settings_from_dict(material().config)
    return CollectedGames(
        server,  # type: ignore[arg-type]
        "t",
        folder / "collected",
        material().algorithm.sample_spec(),
        game or settings.game,
        counters,
        rank,
        world_size,
    )


def take(games: CollectedGames, num_files: int, version: int = 5) -> int:
    """Take in some files; return the number of games."""
    count = 0
    for _ in range(num_files):
        found: list = []
        wait_for(lambda found=found: bool(found.extend(games.poll(version)) or found))
        count += len(found)
    return count


def test_ranks_share_the_files_and_count_them_together(tmp_path):
    counters = Counters()
    servers = [FakeServer(tmp_path, newest=5) for _ in range(2)]
    with (
        collected(servers[0], tmp_path, counters, 0, 2) as even,
        collected(servers[1], tmp_path, counters, 1, 2) as odd,
    ):
        assert take(even, 2) == 4 and take(odd, 1) == 2
        count_files(counters, [even.take_new(), odd.take_new()])
        assert (counters.collected_up_to, counters.collected_beyond) == (2, 0b10)
        assert even.poll(5) == []
    assert servers[0].downloaded == [2, 4] and not list((tmp_path / "collected").iterdir())
    # A run that continues with one rank takes in the others.
    server = FakeServer(tmp_path, newest=5)
    with collected(server, tmp_path, counters) as games:
        assert take(games, 2) == 4
        count_files(counters, [games.take_new()])
    assert server.downloaded == [3, 5]
    assert (counters.collected_up_to, counters.collected_beyond) == (5, 0)


def test_a_slow_learner_leaves_out_the_oldest_games_and_says_so(tmp_path, caplog):
    counters = Counters()
    server = FakeServer(tmp_path, newest=500)
    with collected(server, tmp_path, counters) as games:
        wait_for(lambda: games.num_left_out == 492)
        count_files(counters, [games.take_new()])
        assert counters.collected_up_to == 492
        assert take(games, 2) == 4 and server.downloaded[:2] == [493, 494]
        count_files(counters, [games.take_new()])
    assert counters.collected_up_to == 494
    (warning,) = [text for text in caplog.messages if "contributors are ahead" in text]
    assert "files 1 to 492 of their games are left out" in warning


def test_a_run_that_ends_amid_a_download_leaves_no_file_and_no_thread(tmp_path):
    server, begun, is_closed = FakeServer(tmp_path, newest=8), threading.Event(), threading.Event()
    download = server.download_games

    def slow(file: GamesFile, path: Path) -> None:
        begun.set()
        assert is_closed.wait(60.0)
        time.sleep(0.3)
        download(file, path)

    server.download_games, server.close = slow, is_closed.set  # type: ignore[method-assign]
    with collected(server, tmp_path, Counters()):
        assert begun.wait(60.0)
    assert server.downloaded == [1] and not (tmp_path / "collected" / "rank0").exists()
    assert not [thread for thread in threading.enumerate() if thread.name == "collected games"]


def test_a_server_that_began_anew_is_told(tmp_path, caplog):
    server = FakeServer(tmp_path, newest=3)
    with collected(server, tmp_path, Counters(collected_up_to=40)) as games:
        warnings = wait_for(lambda: [text for text in caplog.messages if "began anew" in text])
        assert "has 3 files of games, and this run has taken in 40" in warnings[0]
        assert games.poll(5) == [] and server.downloaded == []


def test_files_that_the_server_removed_do_not_hold_up_the_count(tmp_path):
    counters = Counters()
    server = FakeServer(tmp_path, newest=8, oldest=4)
    server.gone = {5}
    with collected(server, tmp_path, counters) as games:
        assert take(games, 1) == 2
        # The one that is gone counts as taken in, with no games.
        assert take(games, 3) == 6
        count_files(counters, [games.take_new()])
    assert counters.collected_up_to == 8 and server.downloaded == [4, 6, 7, 8]


def test_samples_from_before_a_resume_are_not_newer_than_the_run(tmp_path):
    with collected(FakeServer(tmp_path, newest=1), tmp_path, Counters()) as games:
        episodes: list = []
        wait_for(lambda: bool(episodes.extend(games.poll(0)) or episodes))
    for episode in episodes:
        assert np.all(episode.columns["weights_version"] == 0)
    assert games.num_samples == sum(episode.num_samples for episode in episodes)


def test_games_of_another_game_are_left_out_with_a_warning(tmp_path, caplog):
    counters, other = Counters(), GameSettings("connect_four")
    with collected(FakeServer(tmp_path, newest=1), tmp_path, counters, game=other) as games:
        wait_for(lambda: not games.poll(5) and "another game" in caplog.text)
        wait_for(lambda: not games.poll(5) and games._new == [1])
        count_files(counters, [games.take_new()])
    assert counters.collected_up_to == 1


def test_a_refusal_ends_the_run_with_its_sentence(tmp_path):
    server = FakeServer(tmp_path, newest=1)

    def refuse(number: int) -> GamesFiles:
        raise ServerRefused("this needs the token of a learner", 403)

    server.games_after = refuse  # type: ignore[method-assign]
    with (
        collected(server, tmp_path, Counters()) as games,
        pytest.raises(ServerRefused, match="token of a learner"),
    ):
        wait_for(lambda: bool(games.poll(1)))


def test_games_for_another_run_are_not_taken_in(tmp_path):
    server = FakeServer(tmp_path, newest=3)
    server.collects_for = "another\x1b[2J"
    with (
        collected(server, tmp_path, Counters()) as games,
        pytest.raises(
            UserError, match=r"collects games for the run another[^\x1b]*, not for t: give"
        ),
    ):
        wait_for(lambda: bool(games.poll(1)))
