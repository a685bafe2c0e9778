"""The page of `ddpzero monitor`: what comes first, what fits, what is said of the rest."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType

from ddpzero.algorithms import alphazero
from ddpzero.cli.monitor_metrics import value_text
from ddpzero.cli.monitor_view import CheckpointLine, RunView, cut, make_page, whole
from ddpzero.run.curves import Curves
from ddpzero.system.metric_info import Metrics
from ddpzero.training.metrics import all_metrics

SNAKES_METRICS = all_metrics("ddpzero.algorithms.ddpg")
SNAKES = [
    *(
        "time/update",
        "speed/updates_per_second",
        "rewards/agent_0",
        "losses/total",
        "losses/critic",
    ),
    *("evaluation/games_against_greedy", "self_play/wins", "evaluation/wins_against_greedy"),
    *("own/thing", "losses/actor", "exploration/epsilon"),
]


def view(tags: list[str], metrics: Metrics, **fields: Any) -> RunView:
    """A run with ten rows, each with these tags."""
    curves = Curves()
    for step in range(10):
        curves.add({"learner_step": step, **dict.fromkeys(tags, step / 10)})
    checkpoints = [CheckpointLine("run-s64", 9, 1_000_000, "")]
    return RunView(
        Path("runs/x"), "running", "running: process 7", fields, checkpoints, metrics, curves
    )


def lines(content: RenderableType, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(content)
    return console.export_text().splitlines()


def test_the_plugins_key_metrics_come_first_in_its_own_order() -> None:
    text = lines(whole(make_page(view(SNAKES, SNAKES_METRICS), 80)), 80)
    names = [line[:31].strip() for line in text if not line.startswith(("runs/x", "running"))]
    assert names[0].startswith("key metrics")
    assert names[1:8] == [
        "evaluation wins against greedy",
        "self play wins",
        "losses total",
        "losses actor",
        "exploration epsilon",
        "speed updates",
        "",
    ]


def test_groups_follow_the_declarations_and_those_of_the_core_come_last() -> None:
    text = lines(whole(make_page(view(SNAKES, SNAKES_METRICS), 60)), 60)
    titles = [line.split(" ─")[0] for line in text if "──" in line]
    assert titles == ["key metrics", "losses", "evaluation", "rewards", "own", "time"]


def test_a_run_without_declarations_is_shown_in_groups(tmp_path: Path) -> None:
    text = " ".join(" ".join(lines(whole(make_page(view(SNAKES, {}), 60)), 60)).split())
    for words in ("losses total 0.900 ▁", "update 90.0% ▁", "updates 0.9/s ▁", "thing 0.900 ▁"):
        assert words in text, words


def test_names_that_differ_only_at_the_end_can_be_told_apart_in_a_narrow_terminal() -> None:
    agents = ("random", "nearest", "evasion", "greedy", "level3", "level4", "bfs")
    tags = [f"evaluation/wins_against_{agent}" for agent in agents]
    text = lines(whole(make_page(view(tags, SNAKES_METRICS), 40)), 40)
    names = [line[:21].strip() for line in text if "evalua" in line]
    assert [name.split()[-1] for name in names] == list(agents)


def test_the_end_of_a_long_folder_stays_visible() -> None:
    shown = replace(view(["losses/total"], {}), run_dir=Path(f"runs/{60 * 'a'}/seed_7"))
    assert lines(whole(make_page(shown, 40)), 40)[0].endswith("aaa/seed_7")


@pytest.mark.parametrize("width", [20, 40, 71, 72, 80, 100, 120, 149, 150, 200])
@pytest.mark.parametrize("height", [3, 10, 24, 50])
def test_the_page_fits_into_any_terminal(width: int, height: int) -> None:
    tags = [tag.replace("*", "a_rather_long_name_of_an_agent") for tag in alphazero.METRICS]
    page = make_page(view(tags, alphazero.METRICS, counters={"samples": 10**12}), width)
    assert max(map(len, lines(whole(page), width))) <= width
    shown, _ = cut(page, height, 0, "q leaves", "j k: scroll")
    assert len(lines(shown, width)) == height


def test_curves_that_do_not_fit_are_counted_wherever_the_page_is_scrolled_to() -> None:
    page = make_page(view(SNAKES, SNAKES_METRICS), 60)

    def foot(first: int) -> tuple[str, int]:
        shown, at = cut(page, 12, first, "q leaves", "j k: scroll")
        return lines(shown, 60)[-1], at

    assert foot(0) == ("5 more curves below  j k: scroll  q leaves", 0)
    text, at = foot(10**9)
    assert text.endswith("more curves above  j k: scroll  q leaves") and at > 0
    assert foot(2)[0].startswith("1 more curve above  4 more curves below  ")
    shown, _ = cut(page, 60, 5, "q leaves", "j k: scroll")
    assert lines(shown, 60)[-1] == "q leaves"


def test_a_terminal_without_unicode_gets_plain_characters() -> None:
    text = "\n".join(
        lines(whole(make_page(view(SNAKES, SNAKES_METRICS), 80, has_unicode=False)), 80)
    )
    assert text.isascii()
    assert re.search(r"_+\.+-+:+=+\++\*+#", text)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.6254, "share", "62.5%"),
        (9832.0, "1/s", "9.83k/s"),
        (0.0003, "", "3.00e-04"),
        (0.0, "", "0"),
        (57_600.0, "samples", "57,600"),
        (12.90109, "points", "12.901"),
        (-1234.5, "", "-1,234"),
        (3e9, "", "3.00e+09"),
        (-2.5e-300, "", "-2.50e-300"),
    ],
)
def test_values_are_short_and_say_their_unit(value: float, unit: str, text: str) -> None:
    assert value_text(value, unit) == text
