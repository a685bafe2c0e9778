import subprocess
import sys

import pytest

from ddpzero.networks import NetworkSettings


def test_the_size_tag_names_blocks_and_channels():
    assert NetworkSettings(blocks=18, channels=384).size_tag == "b18c384"


@pytest.mark.parametrize(
    ("field", "value"), [("name", "transformer"), ("blocks", 0), ("channels", 0)]
)
def test_an_impossible_value_is_refused_with_its_path(field, value):
    with pytest.raises(ValueError, match=rf"network\.{field}={value} "):
        NetworkSettings(**{field: value})


def test_the_settings_are_read_without_torch():
    check = "import ddpzero.networks.settings, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0


def test_an_unknown_name_is_no_attribute_of_the_package():
    import ddpzero.networks

    with pytest.raises(AttributeError, match="make_netwrok"):
        _ = ddpzero.networks.make_netwrok
