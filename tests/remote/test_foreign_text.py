"""What another machine wrote reaches a terminal without control codes, and not by the megabyte."""

from __future__ import annotations

import pytest
import torch

from ddpzero.config.conversion import settings_to_dict
from ddpzero.config.hydra import compose_settings
from ddpzero.remote.contributed import contributed_config
from ddpzero.remote.model_file import ModelFile, model_file_bytes, read_model_file
from ddpzero.system.errors import UserError
from ddpzero.system.guarded_files import UnreadableFileError

EVIL = "\x1b]0;PWNED\x07\x1b[2J" + "A" * 3000


@pytest.mark.parametrize(
    "change",
    [
        {EVIL: 1},
        {"network": {EVIL: 1}},
        {"network": {"norm": EVIL}},
        {"run_name": [EVIL]},
        {"algorithm": {"plugin": EVIL}},
        {"game": {"source": EVIL}},
        {"game": {EVIL: 1}},
        {"game": {"name": EVIL}},
        {"game": {"name": "gomoku", "size": 10**6}},
    ],
)
def test_a_config_of_another_machine_is_refused_with_a_sentence_that_can_be_shown(change):
    config = settings_to_dict(compose_settings(["game=tic_tac_toe", "run_name=t"]))
    for name, value in change.items():
        is_group = isinstance(value, dict) and isinstance(config.get(name), dict)
        config[name] = {**config[name], **value} if is_group else value
    with pytest.raises(UserError) as caught:
        contributed_config(config)
    assert str(caught.value).isprintable() and len(str(caught.value)) <= 500


def written(path, weights, version=1):
    counters = {"weights_version": version, "samples_trained": 1}
    path.write_bytes(model_file_bytes(ModelFile("m", "t", {}, counters, weights, {})))
    return path


def test_names_of_weights_are_shown_without_control_codes(tmp_path):
    path = written(tmp_path / "m", {EVIL: torch.tensor([float("nan")])})
    with pytest.raises(UnreadableFileError) as caught:
        read_model_file(path)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 500 + len(str(path))


def test_a_model_has_a_version_that_samples_can_hold(tmp_path):
    assert read_model_file(written(tmp_path / "m", {}, 2**31 - 1)).weights_version == 2**31 - 1
    with pytest.raises(UnreadableFileError):
        read_model_file(written(tmp_path / "m", {}, 2**31))
