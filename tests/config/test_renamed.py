"""Keys that have a new name: the old one works, is told once and by rank 0, and never stands beside the new one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddpzero.config import renamed
from ddpzero.config.conversion import settings_to_dict, with_defaults
from ddpzero.config.hydra import compose_settings
from ddpzero.config.overrides import arrange_words
from ddpzero.system.errors import UserError

OLD, NEW = "actors.evaluation_cache_megabytes", "algorithm.evaluation_cache_megabytes"
SENTENCE = f"ddpzero: {OLD} is now called {NEW}; the old name still works in this version.\n"


@pytest.fixture(autouse=True)
def nothing_told_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renamed, "_told", set())


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A config folder with the experiment `own`, which gives the old name."""
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\nactors:\n  evaluation_cache_megabytes: 7\n"
    (tmp_path / "experiment" / "own.yaml").write_text(text)
    return tmp_path


def cache_megabytes(words: list[str], config_dir: Path | None = None) -> float:
    settings = compose_settings(words, None if config_dir is None else str(config_dir))
    return settings.sections["algorithm"].evaluation_cache_megabytes


def test_an_old_name_on_the_command_line_sets_the_new_key_and_is_told_once(capsys):
    assert cache_megabytes([f"{OLD}=7"]) == 7
    assert cache_megabytes([f"++{OLD}=8"]) == 8
    assert capsys.readouterr().err == SENTENCE


def test_training_takes_an_old_name_wherever_it_stands_among_the_words(capsys):
    old, new = "opponent.promotion_games", "opponent.promotion_episodes"
    assert arrange_words([f"{old}=1,2", "--multirun"]) == ["--multirun", f"{new}=1,2"]
    assert capsys.readouterr().err == SENTENCE.replace(OLD, old).replace(NEW, new)
    assert arrange_words([f"{OLD}=1,2", "--multirun"]) == ["--multirun", f"++{OLD}=1,2"]


def test_only_rank_0_tells_of_an_old_name(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    assert cache_megabytes([f"{OLD}=7"]) == 7
    assert capsys.readouterr().err == ""


def test_an_old_name_in_a_yaml_file_sets_the_new_key_and_is_told_once(own, capsys):
    assert cache_megabytes(["+experiment=own"], own) == 7
    assert capsys.readouterr().err == SENTENCE


def test_the_command_line_wins_over_an_old_name_in_a_yaml_file(own):
    assert cache_megabytes(["+experiment=own", f"{NEW}=32"], own) == 32
    assert cache_megabytes(["+experiment=own", f"{OLD}=9"], own) == 9


def test_both_names_on_the_command_line_are_refused():
    with pytest.raises(UserError, match=f"{OLD} and {NEW} are both given.*remove {OLD}"):
        compose_settings([f"{OLD}=7", f"{NEW}=7"])


def test_both_names_in_yaml_files_are_refused(own):
    with (own / "experiment" / "own.yaml").open("a") as file:
        file.write("algorithm:\n  evaluation_cache_megabytes: 8\n")
    with pytest.raises(UserError, match=f"{OLD}=7 and {NEW} are both given"):
        compose_settings(["+experiment=own"], str(own))


@pytest.mark.parametrize("words", [["+experiment=own"], [f"{OLD}=7"]], ids=["file", "command line"])
def test_an_old_name_of_a_key_that_this_algorithm_lacks_has_no_effect_and_is_told(
    words, own, capsys
):
    settings = compose_settings([*words, "algorithm=ddpg", "game=snakes"], str(own))
    assert "evaluation_cache_megabytes" not in str(settings)
    assert capsys.readouterr().err == (
        f"ddpzero: {OLD}=7 has no effect with this algorithm: remove it.\n"
    )


def test_an_old_name_on_the_command_line_wins_over_the_new_name_in_a_yaml_file(tmp_path):
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\nalgorithm:\n  evaluation_cache_megabytes: 8\n"
    (tmp_path / "experiment" / "new.yaml").write_text(text)
    assert cache_megabytes(["+experiment=new", f"{OLD}=9"], tmp_path) == 9


def test_the_config_of_an_earlier_run_has_new_names_without_a_word(capsys):
    config = settings_to_dict(compose_settings(["+experiment=snakes"]))
    earlier = config | {"opponent": dict(config["opponent"]), "actors": dict(config["actors"])}
    earlier["opponent"]["promotion_games"] = earlier["opponent"].pop("promotion_episodes") + 1
    earlier["actors"]["evaluation_cache_megabytes"] = 32.0
    renewed = with_defaults(earlier)
    assert renewed["opponent"] == config["opponent"] | {"promotion_episodes": 101}
    assert renewed["actors"] == config["actors"]
    assert with_defaults(config) == config
    assert capsys.readouterr().err == ""


def test_every_new_name_is_a_key():
    known: set[str] = set()
    for words in ([], ["+experiment=snakes"]):
        groups = settings_to_dict(compose_settings(words)).items()
        known |= {
            f"{group}.{key}" for group, keys in groups if isinstance(keys, dict) for key in keys
        }
    assert set(renamed.RENAMED_KEYS.values()) <= known
    assert not set(renamed.RENAMED_KEYS) & known
