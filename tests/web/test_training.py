"""Facts about what a page shows of a training."""

from __future__ import annotations

import json
import shutil

import pytest
from starlette.testclient import TestClient

from ddpzero.arena.match_log import Block, MatchLog
from ddpzero.run.models import read_models
from ddpzero.run.record import METRIC_INFO_FILE, METRICS_FILE, STATUS_FILE
from ddpzero.system.errors import UserError
from ddpzero.web.agents import Catalog
from ddpzero.web.training import describe_offered, describe_training
from tests.web.pages import make_page, make_run


@pytest.fixture
def run(tmp_path):
    """A run with two models, of which the later one is stronger."""
    folder = make_run(tmp_path / "three", "game=tic_tac_toe")
    info = {"losses/total": {"unit": "", "is_headline": True}, "time/other": {"unit": "share"}}
    (folder / METRIC_INFO_FILE).write_text(json.dumps(info))
    rows = [
        {"learner_step": step, "losses/total": 2.0 - step / 1000, "time/other": 0.1 * (step % 3)}
        for step in range(0, 1000, 2)
    ]
    (folder / METRICS_FILE).write_text("".join(json.dumps(row) + "\n" for row in rows))
    log = MatchLog(folder)
    for minutes, manifest in enumerate(read_models(folder), start=1):
        scores = ((1.0, 0.0),) * 3 + ((1.0, 1.0),) * minutes
        numbers = (5, 1000, float(minutes), 20.0, 1.0, 1.0)
        log.append(Block(f"block-{minutes}", manifest.model, "random", scores, *numbers))
    return folder


def test_the_main_curves_are_thinned_out(run):
    (curve,) = describe_training(run)["curves"]
    assert curve["tag"] == "losses/total" and curve["newest"] == pytest.approx(1.002)
    assert 100 < len(curve["steps"]) == len(curve["values"]) <= 160
    assert curve["steps"][0] == 0 and curve["values"][0] == 2.0
    assert curve["steps"][-1] == 998 and curve["values"][-1] == curve["newest"]


def test_strength_is_by_minute(run):
    found = describe_training(run)
    assert found["anchor"] == "random"
    minutes, elo = zip(*((m["minutes"], m["elo"]) for m in found["strength"]), strict=True)
    assert minutes == (1.0, 2.0) and elo[0] < elo[1]
    assert all(m["low"] <= m["elo"] <= m["high"] for m in found["strength"])


def test_a_run_of_which_nothing_is_known_has_nothing_to_show(tmp_path):
    found = describe_training(make_run(tmp_path / "new", "game=tic_tac_toe"))
    assert (found["state"], found["curves"], found["strength"], found["anchor"]) == (
        None,
        [],
        [],
        None,
    )


def test_a_status_that_is_damaged_is_none(run):
    (run / STATUS_FILE).write_text("{")
    assert describe_training(run)["state"] is None


def test_only_runs_that_are_offered_are_told_of(run, tmp_path):
    page, config = make_page(run)
    client = TestClient(config.app, base_url="http://localhost")
    (agent,) = next(iter(page.catalog.games.values())).agents
    answer = client.get("/training", params={"agent": agent.key})
    assert answer.status_code == 200 and len(answer.json()["strength"]) == 2
    other = make_run(tmp_path / "other", "game=tic_tac_toe")
    for key in (str(other), "", "../.."):
        answer = client.get("/training", params={"agent": key})
        assert answer.status_code == 404 and "not offered here" in answer.text


def without_checkpoint(folder, run):
    """A run that was just started, and what it lacks of `run`."""
    folder.mkdir()
    shutil.copy(run / "config.yaml", folder)
    return folder, run / "models"


def titles_of(agents):
    return [agent["title"] for agent in agents]


def test_a_run_without_a_checkpoint_is_listed_and_is_played_from_its_first_one_on(run, tmp_path):
    young, models = without_checkpoint(tmp_path / "young", run)
    catalog = Catalog([str(young), str(run)])
    (game,) = catalog.games
    offered = describe_offered(catalog, game)
    assert titles_of(offered["agents"]) == ["three", "Tree search without training"]
    assert [(r["title"], r["game"], r["has_checkpoint"]) for r in offered["runs"]] == [
        ("young", None, False),
        ("three", game, True),
    ]
    assert describe_training(catalog.folder_of(str(young)))["curves"] == []
    shutil.copytree(models, young / "models")
    offered = describe_offered(catalog, game)
    assert titles_of(offered["agents"])[:2] == ["three", "young"]
    assert [(r["game"], r["has_checkpoint"]) for r in offered["runs"]] == [(game, True)] * 2
    assert catalog.player(game, str(young), "model-1", 1) is not None


def test_a_run_that_starts_later_is_found_where_all_runs_are_offered(run, tmp_path, monkeypatch):
    (tmp_path / "runs" / "no_run").mkdir(parents=True)
    monkeypatch.setattr("ddpzero.web.agents.RUNS_DIR", tmp_path / "runs")
    page, config = make_page()
    client = TestClient(config.app, base_url="http://localhost")
    game = next(key for key in page.catalog.games if key.startswith("tic_tac_toe"))
    assert client.get("/offered", params={"game": game}).json()["runs"] == []
    young, models = without_checkpoint(tmp_path / "runs" / "young", run)
    (found,) = client.get("/offered", params={"game": game}).json()["runs"]
    assert (found["title"], found["has_checkpoint"]) == ("young", False)
    assert client.get("/training", params={"agent": found["key"]}).status_code == 200
    shutil.copytree(models, young / "models")
    assert titles_of(client.get("/offered", params={"game": game}).json()["agents"])[0] == "young"
    answer = client.get("/offered", params={"game": "chess"})
    assert answer.status_code == 404 and "not offered here" in answer.text


def test_a_run_whose_checkpoint_cannot_be_played_is_not_tried_again_and_again(
    run, tmp_path, monkeypatch
):
    young, models = without_checkpoint(tmp_path / "young", run)
    catalog, tried = Catalog([str(young), str(run)]), []
    shutil.copytree(models, young / "models")

    def load_nothing(path):
        tried.append(path)
        raise UserError("this checkpoint is of another version.")

    monkeypatch.setattr("ddpzero.web.agents.load_agent", load_nothing)
    for _ in range(3):
        catalog.look_for_runs()
    assert len(tried) == 1
