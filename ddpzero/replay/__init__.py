"""Samples between actors and learner: their layout, their way through a pipe, and the ring they are drawn from.

Called by actors (episodes out) and by each rank's learner (episodes in, batches out). Needs numpy alone; knows no
game, no network and no process, and never reads or writes pickle.
"""

from ddpzero.replay.balance import SampleBalance
from ddpzero.replay.buffer import ReplayBuffer, ReplayState
from ddpzero.replay.episode import Episode, decode_episode, encode_episode
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
    "redistribute",
    "samples_size_bytes",
    "shares",
    "window_size",
]
