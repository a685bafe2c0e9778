"""Samples between actors and learner: their layout, their encoding as bytes, and the buffer that stores them.

Called by actors (encode episodes) and by each rank's learner (insert episodes, sample batches). Imports only numpy;
knows nothing about games, networks or processes, and never reads or writes pickle.
"""

from ddpzero.replay.balance import SampleBalance
from ddpzero.replay.buffer import ReplayBuffer, ReplayState
from ddpzero.replay.episode import Episode, decode_episode, encode_episode
from ddpzero.replay.holdout import is_held_out
from ddpzero.replay.redistribution import redistribute, shares
from ddpzero.replay.sample import Field, SampleSpec, check_columns, samples_size_bytes
from ddpzero.replay.window import window_size

__all__ = [
    "Episode",
    "Field",
    "ReplayBuffer",
    "ReplayState",
    "SampleBalance",
    "SampleSpec",
    "check_columns",
    "decode_episode",
    "encode_episode",
    "is_held_out",
    "redistribute",
    "samples_size_bytes",
    "shares",
    "window_size",
]
