"""What a person may call a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddpzero.run.finder import find_run
from ddpzero.system.errors import UserError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with the runs `quick`, which has an empty folder of checkpoints, and `new`, just begun."""
    (tmp_path / "runs" / "quick" / "checkpoints").mkdir(parents=True)
    (tmp_path / "runs" / "new").mkdir()
    (tmp_path / "runs" / "new" / "config.yaml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["quick", "new"])
def test_a_run_is_found_by_folder_and_by_name(here: Path, name: str):
    for source in (name, f"runs/{name}", str(here / "runs" / name)):
        found = find_run(source)
        assert found is not None and found.samefile(here / "runs" / name), source


@pytest.mark.parametrize("source", ["nope", "", "runs/nope", "a\0b", "x" * 5000, "nope@3"])
def test_what_is_not_there_is_none(here: Path, source: str):
    assert find_run(source) is None


def test_a_run_is_preferred_to_a_folder_that_only_has_its_name(here: Path):
    (here / "quick").mkdir()
    assert find_run("quick") == Path("runs/quick")
    (here / "plain").mkdir()
    assert find_run("plain") == Path("plain")


def test_other_folders_of_runs_may_be_searched(here: Path, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "far" / "checkpoints").mkdir(parents=True)
    assert find_run("far", other) == other / "far"


def test_an_at_sign_in_a_folders_name_means_nothing(here: Path):
    (here / "a@b" / "checkpoints").mkdir(parents=True)
    assert find_run("a@b") == Path("a@b")
    assert find_run(str(here / "a@b" / "nope")) is None


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("quick@7", r"^init_from=quick@7: runs/quick has no checkpoint of at most 7 episodes"),
        ("quick@late", r"'late' after @ is neither a number of episodes"),
    ],
)
def test_a_checkpoint_that_is_not_there_is_explained(here: Path, source: str, sentence: str):
    with pytest.raises(UserError, match=sentence):
        find_run(source, key="init_from=")
