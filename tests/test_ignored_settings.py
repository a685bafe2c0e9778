"""Settings that were changed and have no effect are told."""

from __future__ import annotations

import pytest

from ddpzero.config import compose_settings
from ddpzero.ignored_settings import ignored_settings


@pytest.mark.parametrize(
    ("overrides", "keys"),
    [
        ([], []),
        (["+search.c_puct=3"], ["search.c_puct=3"]),
        (["search=puct", "+search.gumbel_scale=2"], ["search.gumbel_scale=2"]),
        (["search.virtual_loss=2"], ["search.virtual_loss=2"]),
        (["search.virtual_loss=2", "search.leaves_per_round=4"], []),
        (["learner.episodes_per_round=7"], ["learner.episodes_per_round=7"]),
        (["+experiment=snakes", "algorithm.gumbel_temperature=2"], ["algorithm.gumbel_temp"]),
    ],
)
def test_a_changed_setting_without_effect_is_told(overrides, keys):
    sentences = ignored_settings(compose_settings(overrides))
    assert len(sentences) == len(keys)
    for sentence, key in zip(sentences, keys, strict=True):
        assert sentence.startswith(key)
        assert " has no effect: " in sentence
