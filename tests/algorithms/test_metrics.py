"""What the plugins of the package declare of their metrics."""

from __future__ import annotations

import pytest

from ddpzero.algorithms import alphazero, ddpg
from ddpzero.algorithms.loader import load_plugin
from ddpzero.system.errors import UserError
from ddpzero.training.metrics import CORE_METRICS, all_metrics

PLUGINS = {module.__name__: module.METRICS for module in (alphazero, ddpg)}


@pytest.mark.parametrize("plugin", PLUGINS)
def test_each_metric_is_described_in_a_sentence(plugin: str) -> None:
    for tag, info in all_metrics(plugin).items():
        assert "/" in tag, tag
        assert info.description[0].isupper() and info.description.endswith("."), tag
        assert info.description.count("*") == tag.count("*"), tag


@pytest.mark.parametrize("plugin", PLUGINS)
def test_about_a_dozen_metrics_come_first(plugin: str) -> None:
    assert 6 <= sum(info.is_headline for info in all_metrics(plugin).values()) <= 14


def test_a_plugin_may_declare_a_metric_of_the_core_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = ddpg.METRICS["losses/total"]
    monkeypatch.setitem(ddpg.METRICS, "learner/rate", own)
    assert all_metrics("ddpzero.algorithms.ddpg")["learner/rate"] is own
    assert CORE_METRICS["learner/rate"] is not own


def test_declarations_of_another_type_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ddpg, "METRICS", {"losses/total": "a loss"})
    with pytest.raises(
        UserError, match=r"algorithms\.ddpg has a METRICS that is no dict of tag to MetricInfo"
    ):
        load_plugin("ddpzero.algorithms.ddpg")


def test_a_plugin_need_not_declare_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ddpg, "METRICS")
    assert all_metrics("ddpzero.algorithms.ddpg") == CORE_METRICS
