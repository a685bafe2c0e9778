"""`ddpzero bench serve`: traffic of many contributors, over kills of the server and of contributors."""

from __future__ import annotations

import pytest

from ddpzero.bench.serve import bench_serve
from ddpzero.config.hydra import compose_settings


@pytest.mark.slow
def test_over_kills_nothing_is_lost_counted_twice_or_accepted_though_forged():
    settings = compose_settings(
        ["game=tic_tac_toe", "network.blocks=1", "network.channels=8", "search.num_simulations=4"]
    )
    found = {
        measurement.figure: measurement.value
        for measurement in bench_serve(
            settings, seconds=10.0, num_contributors=5, batch_games=10, num_kills=2, seed=1
        )
    }
    assert found["validated_games_per_second"] > 0 and found["uploads_per_second"] > 0
    assert found["acknowledged_games"] > 0 and found["forged_games"] > 0
    for figure in ("lost_games", "games_counted_twice", "forged_games_accepted"):
        assert found[figure] == 0, found
    assert 0 < found["upload_seconds_median"] <= found["upload_seconds_p95"]
    assert found["disk_bytes_per_game"] > 0 and found["memory"] > 0
