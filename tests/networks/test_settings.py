import subprocess
import sys

import pytest

from ddpzero.networks import NetworkSettings


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


def test_the_settings_are_read_without_torch():
    check = "import ddpzero.networks.settings, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0


def test_an_unknown_name_is_no_attribute_of_the_package():
    import ddpzero.networks

    with pytest.raises(AttributeError, match="make_netwrok"):
        _ = ddpzero.networks.make_netwrok
