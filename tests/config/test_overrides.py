"""The words of the command line: options may stand anywhere, and what Hydra would misread is refused."""

from __future__ import annotations

import pytest

from ddpzero.config.overrides import arrange_words
from ddpzero.system.errors import UserError


@pytest.mark.parametrize(
    ("words", "arranged"),
    [
        ([], []),
        (["a=1", "--config-dir", "x", "b=2"], ["--config-dir", "x", "a=1", "b=2"]),
        (["a=1", "-m", "b=1,2", "--cfg", "job"], ["-m", "--cfg", "job", "a=1", "b=1,2"]),
        (["a=1", "--config-dir=b=2", "b=2"], ["--config-dir=b=2", "a=1", "b=2"]),
        (["~a", "--config-dir", "b=2", "b=2"], ["--config-dir", "b=2", "~a", "b=2"]),
        (["--", "a=1"], ["a=1"]),
    ],
)
def test_options_may_stand_between_settings(words, arranged):
    assert arrange_words(words) == arranged


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["a=1", "--foo", "b=2"], "there is no option --foo; python -m ddpzero.main --hydra-help"),
        (["a=1", "--cfg"], "argument --cfg/-c: expected one argument; "),
        (["--cfg", "foo"], "argument --cfg/-c: invalid choice: 'foo' (choose from"),
        (["--config-dir", ""], "--config-dir '' names nothing: leave --config-dir out"),
        (["--config-name="], "--config-name '' names nothing: "),
        (["--config-path", " ", "a=1"], "--config-path ' ' names nothing: "),
        (["--cfg", "job", "--package", ""], "--package '' names nothing: "),
        (["--experimental-rerun", "x.pickle"], "--experimental-rerun reads a pickle"),
        (["a=1", ""], "'' is an empty word among the settings"),
        (["a=1", "=5"], "=5: no key stands before the =."),
        (["a=" + 1000 * "1"], "the number has too many digits"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else " ".join(value)[:40],
)
def test_a_wrong_option_of_training_is_one_sentence(words, sentence):
    with pytest.raises(UserError) as caught:
        arrange_words(words)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
