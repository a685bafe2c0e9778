import subprocess
import sys

import numpy as np
import pytest

from ddpzero.networks import NetworkSettings
from ddpzero.networks.settings import GrowthSettings


@pytest.mark.parametrize(
    ("settings", "tag"),
    [
        (NetworkSettings(blocks=6, channels=96), "b6c96"),
        (NetworkSettings("nested_bottleneck", blocks=18, channels=384), "b18c384nbt"),
        (NetworkSettings("attention", blocks=4, channels=64, num_heads=8), "b4c64h8"),
    ],
)
def test_the_size_tag_names_blocks_channels_and_the_kind(settings, tag):
    assert settings.size_tag == tag


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "transformer"),
        ("blocks", 0),
        ("channels", 0),
        ("num_heads", 0),
        ("pooling_interval", -1),
    ],
)
def test_an_impossible_value_is_refused_with_its_path(field, value):
    with pytest.raises(ValueError, match=rf"network\.{field}={value} "):
        NetworkSettings(**{field: value})


def test_heads_that_do_not_divide_the_channels_are_refused_with_what_would():
    with pytest.raises(ValueError, match=r"network.channels=40 .* multiple of .* 16:"):
        NetworkSettings("attention", channels=40, num_heads=4)


def test_the_last_of_every_interval_of_blocks_pools():
    settings = NetworkSettings(pooling_interval=3)
    assert [settings.pools(block) for block in range(6)] == [False, False, True] * 2
    assert not any(NetworkSettings(pooling_interval=0).pools(block) for block in range(6))


GROWING = NetworkSettings(
    blocks=2,
    channels=8,
    growth=(
        GrowthSettings(blocks=3, after_step=100),
        GrowthSettings(channels=16, after_step=200),
        GrowthSettings(blocks=4, channels=24, after_minutes=5.0),
    ),
)


def test_each_growth_changes_what_it_names():
    assert [size.size_text for size in GROWING.sizes] == ["2x8", "3x8", "3x16", "4x24"]
    assert not any(size.growth for size in GROWING.sizes)


@pytest.mark.parametrize("index", range(4))
def test_weights_tell_the_size_of_their_network(index):
    size = GROWING.sizes[index]
    weights = {"stem.bias": np.zeros(size.channels), "policy.x": np.zeros(3)}
    weights |= {f"tower.{block}.{part}": 0 for block in range(size.blocks) for part in "ab"}
    assert GROWING.size_of(weights) == size


@pytest.mark.parametrize("weights", [{}, {"stem.bias": 3}, {"stem.bias": np.zeros(9), 7: None}])
def test_weights_of_no_size_count_as_the_first(weights):
    assert GROWING.size_of(weights) == GROWING.sizes[0]


@pytest.mark.parametrize(
    ("growth", "due", "not_due"),
    [
        (GrowthSettings(after_step=100), (100, 0.0, 0.0), (99, 9.0, 1.0)),
        (GrowthSettings(after_minutes=2.5), (0, 2.5, 0.0), (999, 2.4, 1.0)),
        (GrowthSettings(after_fraction=0.5), (0, 0.0, 0.5), (999, 9.0, 0.49)),
    ],
)
def test_a_growth_is_due_from_its_point_on(growth, due, not_due):
    assert growth.is_due(*due)
    assert not growth.is_due(*not_due)


@pytest.mark.parametrize(
    ("growth", "told"),
    [
        ([{"blocks": 7}], r"growth\[0\] must have exactly one of after_step, .* it has none"),
        (
            [{"blocks": 7, "after_step": 1, "after_minutes": 1.0}],
            "it has after_step, after_minutes",
        ),
        ([{"blocks": 7, "after_step": 0}], r"growth\[0\].after_step=0 must be above 0"),
        ([{"blocks": 7, "after_fraction": 1.0}], "after_fraction=1.0 must be below 1"),
        ([{"after_step": 1}], r"growth\[0\]: blocks=6 and channels=64 are the size before"),
        ([{"blocks": 5, "after_step": 1}], r"growth\[0\].blocks=5 is below 6"),
        ([{"channels": 0, "after_step": 1}], r"growth\[0\].channels=0 must be at least 1"),
        ([{"blocks": 1001, "after_step": 1}], r"growth\[0\].blocks=1001 must be at most 1000"),
        (
            [{"blocks": 7, "after_step": 5}, {"blocks": 8, "after_step": 5}],
            r"growth\[1\].after_step=5 must be above 5",
        ),
    ],
)
def test_an_impossible_growth_is_refused_with_its_place(growth, told):
    with pytest.raises(ValueError, match=told):
        NetworkSettings(growth=tuple(GrowthSettings(**entry) for entry in growth))


def test_the_settings_are_read_without_torch():
    check = "import ddpzero.networks.settings, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0


def test_an_unknown_name_is_no_attribute_of_the_package():
    import ddpzero.networks

    with pytest.raises(AttributeError, match="make_netwrok"):
        _ = ddpzero.networks.make_netwrok
