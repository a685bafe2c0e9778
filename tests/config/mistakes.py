"""A mistake in overrides is told in one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from ddpzero.config.hydra import compose_settings
from ddpzero.system.errors import UserError


def check_sentence(overrides: Sequence[str], fragments: Iterable[str]) -> None:
    """Composing these overrides is refused with one sentence that has all fragments."""
    with pytest.raises(UserError) as caught:
        compose_settings(overrides)
    sentence = str(caught.value)
    assert "\n" not in sentence
    for fragment in fragments:
        assert fragment in sentence
