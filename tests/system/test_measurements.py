from __future__ import annotations

import json

import numpy as np

from ddpzero.system.measurements import Measurement, print_measurements

MEASUREMENTS = [
    Measurement(
        "search", "gomoku", "simulations_per_second", np.float64(3.1e6), "1/s", {"size": 15}
    ),
    Measurement("search", "gomoku", "fraction_of_forward", 0.97531, "", {"size": 15}),
]


def test_a_json_line_holds_the_settings_beside_the_rest(capsys):
    print_measurements(MEASUREMENTS, as_json=True)
    first, second = capsys.readouterr().out.splitlines()
    assert first == (
        '{"bench": "search", "game": "gomoku", "figure": "simulations_per_second", '
        '"value": 3100000.0, "unit": "1/s", "size": 15}'
    )
    assert json.loads(second)["value"] == 0.97531


def test_the_table_is_readable_and_tells_settings_once(capsys):
    print_measurements(MEASUREMENTS, as_json=False)
    printed = capsys.readouterr().out
    assert "3,100,000" in printed
    assert "0.9753" in printed
    assert printed.count("search gomoku: size=15") == 1


def test_a_narrow_terminal_cuts_no_figure_and_no_digit(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    print_measurements(
        [Measurement("memory", "gomoku", "actor_without_torch_estimated", 1_234_567, "MiB")],
        as_json=False,
    )
    lines = capsys.readouterr().out.splitlines()
    cells = [line.split("│")[1].strip() for line in lines if line.startswith("│")]
    assert "".join(cells) == "actor_without_torch_estimated"
    assert any("1,234,567" in line for line in lines)
