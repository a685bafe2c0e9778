"""No number of a server makes a client count backwards, allocate without bounds, or wait for nothing."""

from __future__ import annotations

from typing import Any

import pytest

from ddpzero.config.strict import make_dataclass
from ddpzero.remote.messages import (
    GamesFile,
    GamesFiles,
    ModelInformation,
    RunInformation,
    UploadAnswer,
)
from ddpzero.system.errors import UserError
from tests.remote.test_client import RUN

MODEL = {
    "name": "m",
    "sha256": "",
    "size_bytes": 1,
    "weights_version": 0,
    "samples_trained": 0,
    "created_at": 0.0,
}
ANSWER = {"accepted": 0, "repeated": 0, "rejected": 0, "samples": 0}
FILE = {"number": 1, "num_games": 0, "num_samples": 0, "size_bytes": 1, "sha256": ""}


@pytest.mark.parametrize(
    ("cls", "fields", "change"),
    [
        (ModelInformation, MODEL, {"size_bytes": 0}),
        (ModelInformation, MODEL, {"size_bytes": -1}),
        (ModelInformation, MODEL, {"size_bytes": 2**40}),
        (ModelInformation, MODEL, {"weights_version": 2**31}),
        (ModelInformation, MODEL, {"weights_version": -1}),
        (ModelInformation, MODEL, {"samples_trained": -1}),
        (RunInformation, RUN, {"max_upload_games": 0}),
        (RunInformation, RUN, {"max_upload_games": -5}),
        (RunInformation, RUN, {"max_upload_bytes": 0}),
        (RunInformation, RUN, {"min_plies": -1}),
        (UploadAnswer, ANSWER, {"accepted": -1}),
        (UploadAnswer, ANSWER, {"rejected": -1}),
        (GamesFile, FILE, {"number": 0}),
        (GamesFile, FILE, {"size_bytes": 0}),
        (GamesFile, FILE, {"size_bytes": 2**40}),
        (GamesFile, FILE, {"num_samples": 2**40}),
        (GamesFiles, {"newest": 0}, {"newest": -1}),
    ],
)
def test_a_number_out_of_its_range_is_refused(cls: type, fields: dict[str, Any], change):
    make_dataclass(cls, fields, "answer")
    ((name, _),) = change.items()
    with pytest.raises(UserError, match=f"^{name}="):
        make_dataclass(cls, {**fields, **change}, "answer")
