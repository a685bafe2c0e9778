"""Which episodes are held out: never trained on, so that the losses on them show over-fitting."""

from __future__ import annotations

import zlib

from ddpzero.replay.episode import Episode

_NUM_HASHES = 1 << 32


def is_held_out(episode: Episode, fraction: float) -> bool:
    """Return whether an episode is among the `fraction` of all episodes that are held out; fraction: in [0, 1].

    Whole episodes are held out, because the positions of one episode resemble each other. The choice depends only on
    the content of the samples. This includes the search's values, so a line that is played again with other weights
    is chosen anew: otherwise a popular opening could be missing from the training data forever.
    """
    checksum = 0
    for name in sorted(episode.columns):
        checksum = zlib.crc32(episode.columns[name].tobytes(), checksum)
    return checksum < fraction * _NUM_HASHES
