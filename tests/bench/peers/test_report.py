"""Facts about the figures of a comparison with other programs."""

from __future__ import annotations

import json

import pytest

from ddpzero.bench.peers.programs.protocol import Slice
from ddpzero.bench.peers.report import Comparison, print_comparison, rows_of
from ddpzero.bench.peers.rounds import Measured


def measured(rates: dict[str, dict[str, float]], **conditions) -> Measured:
    """rates: counts per second, by variant; each slice takes two seconds, of which the program had one."""
    return Measured(
        {"fake": "1.5"},
        {variant: {"batch_size": 64, **conditions} for variant in rates},
        {variant: [Slice(2.0, 1.0, counts)] * 10 for variant, counts in rates.items()},
    )


@pytest.fixture
def search() -> Comparison:
    own = measured(
        {
            "best": {"simulations": 400.0, "evaluations": 300.0},
            "float32": {"simulations": 200.0, "evaluations": 150.0},
        },
        num_simulations=200,
    )
    peer = measured(
        {
            "best": {"simulations": 100.0, "evaluations": 100.0},
            "float32": {"simulations": 50.0, "evaluations": 50.0},
            "same_simulations": {"simulations": 80.0, "evaluations": 80.0},
        },
        num_simulations=32,
    )
    failed = Measured(problem="it ended with exit code 1: no jax")
    return Comparison(
        "search", {"ddpzero": own, "peer": peer, "other": failed}, {"absent": "there is no wheel."}
    )


def test_each_variant_is_compared_with_its_own_kind(search):
    ratios = {
        (row.variant, row.count): row.ratio.value
        for row in rows_of(search)
        if row.ratio is not None
    }
    assert ratios == {
        ("best", "simulations"): 4.0,
        ("best", "evaluations"): 3.0,
        ("float32", "simulations"): 4.0,
        ("float32", "evaluations"): 3.0,
        # ddpzero has no such variant: its best one has these simulations.
        ("same_simulations", "simulations"): 5.0,
        ("same_simulations", "evaluations"): 3.75,
    }


def test_json_has_every_figure_and_the_problems(search, capsys):
    print_comparison(search, "go", {"game.size": 9, "seed": 0}, as_json=True)
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(record["game"] == "go" and record["game.size"] == 9 for record in records)
    found = {
        (record["program"], record.get("variant"), record["figure"]): record for record in records
    }
    assert len(found) == len(records) == 2 * 2 * 2 + 3 * 2 * 3 + 2
    best = found["peer", "best", "simulations_ratio"]
    assert (best["value"], best["low"], best["high"], best["num_simulations"]) == (4, 4, 4, 32)
    assert best["versions"] == {"fake": "1.5"} and best["cores"] == 0.5
    assert found["peer", "best", "simulations_per_second"]["value"] == 50
    assert found["peer", "best", "simulations_per_cpu_second"]["value"] == 100
    assert found["other", None, "problem"]["problem"] == "it ended with exit code 1: no jax"
    assert found["absent", None, "problem"]["value"] is None


def test_the_table_has_ratios_with_intervals_and_says_what_is_missing(search, capsys):
    print_comparison(search, "go", {"game.size": 9}, as_json=False)
    output = capsys.readouterr().out
    assert "search: simulations per second of CPU time" in output
    assert "search: evaluations per second of CPU time" in output
    assert "4.00 x" in output and "4.00 to 4.00" in output and "64 x 32" in output
    assert "peers go: fake=1.5 game.size=9" in output
    assert "no figures of other: it ended with exit code 1: no jax" in output
    assert "no figures of absent: there is no wheel." in output
    assert max(len(line) for line in output.splitlines() if "no figures" not in line) <= 80


def test_a_program_on_two_cores_is_noticed(capsys):
    found = measured({"best": {"steps": 1.0}})
    found.slices["best"][3] = Slice(1.0, 1.9, {"steps": 1.0})
    print_comparison(Comparison("rules", {"ddpzero": found}, {}), "go", {}, as_json=False)
    output = capsys.readouterr().out
    assert "ddpzero used 1.90 cores." in output and "64 games" in output


def test_a_comparison_without_any_peer_is_known(search):
    assert search.has_peer()
    alone = Comparison("rules", {"ddpzero": search.measured["ddpzero"]}, {"peer": "no network"})
    assert not alone.has_peer()
