"""A rank with toy actors, as a program: prints the pids of its actors, then polls, or does not, until it is killed.

python toy_rank.py polls|blocks|starts|returns
"""

from __future__ import annotations

import json
import signal
import sys
import time


def main(behavior: str) -> None:
    from helpers import ToyPool

    # Deaf: in the middle of a long computation, they do not look at their connection.
    trouble = {"trouble": "hang", "trouble_after": 100} if behavior == "has deaf actors" else {}
    toys = ToyPool(
        num_actors=3, episodes_per_slice=50, num_samples=200, slice_seconds=0.001, **trouble
    )
    if behavior != "starts":
        toys.poll_until(lambda episodes: {e.info["actor_index"] for e in episodes} == {0, 1, 2})
    print(json.dumps(toys.pool.pids), flush=True)
    if behavior == "returns":
        return
    if behavior == "leaves on SIGTERM":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        if behavior == "blocks":
            time.sleep(1)
        else:
            toys.pool.poll(0.1)


if __name__ == "__main__":
    main(sys.argv[1])
