"""Facts about `ddpzero bench peers` as a whole: ddpzero is really measured, beside peers that are not real."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from ddpzero.bench.peers import run as run_module
from ddpzero.bench.peers.environments import NoEnvironment
from ddpzero.bench.peers.known import PEERS
from ddpzero.bench.peers.report import Comparison
from ddpzero.bench.peers.run import Plan, compare, make_plan
from ddpzero.cli import commands as cli
from ddpzero.config.hydra import compose_settings
from ddpzero.system.errors import UserError
from tests.bench.peers.fake_program import PROGRAMS, counting_program

TINY = [
    *("game=tic_tac_toe", "network.blocks=1", "network.channels=8", "search.num_simulations=4"),
    "actors.precision=float32",
]


def plan_of(overrides: list[str], folder: Path, **options) -> Plan:
    return make_plan(compose_settings(overrides), folder, 0, lambda step: None, **options)


def compared(plan: Plan, workload: str) -> Comparison:
    return compare(plan, workload, 0.2, lambda step: None)


@pytest.fixture
def one_fake_peer(tmp_path, monkeypatch) -> None:
    """mctx is a program that counts steps of rules, and OpenSpiel cannot be installed."""

    def python_with(folder, name, requirements):
        if name == "open_spiel":
            raise NoEnvironment("pip reached no package index.")
        return Path(name)

    monkeypatch.setattr(run_module, "python_with", python_with)
    command = counting_program(tmp_path, "mctx", 1)
    monkeypatch.setattr(run_module, "_command", lambda python, peer: command)


def test_ddpzero_is_measured_beside_what_can_be_measured(tmp_path, one_fake_peer):
    plan = plan_of(TINY, tmp_path, games=[8, 4])
    assert list(plan.commands) == ["rules", "search", "rollouts"]
    rules, search, rollouts = (compared(plan, workload) for workload in plan.commands)
    assert rules.measured["mctx + pgx"].slices["best"][0].counts["steps"] > 0
    assert rules.problems() == {"OpenSpiel": "pip reached no package index."}
    assert search.problems() == {"mctx + pgx": "it has no search to compare"}
    assert rollouts.problems() == {"OpenSpiel": "pip reached no package index."}
    own = search.measured["ddpzero"]
    conditions = own.variants["best"]
    assert conditions["batch_size"] in (4, 8)
    assert (conditions["num_simulations"], conditions["precision"]) == (4, "float32")
    assert list(own.variants) == ["best"]
    for each in own.slices["best"]:
        # The solver and terminal positions answer some simulations; a root is evaluated as well.
        assert 0 < each.counts["evaluations"] <= 2 * each.counts["simulations"]
    for comparison in (rules, rollouts):
        assert all(
            number > 0
            for each in comparison.measured["ddpzero"].slices["best"]
            for number in each.counts.values()
        )


@pytest.fixture
def no_peer(monkeypatch) -> None:
    def python_with(folder, name, requirements):
        raise NoEnvironment("pip reached no package index.")

    monkeypatch.setattr(run_module, "python_with", python_with)


def test_float32_is_measured_as_well_if_ddpzero_prefers_another_precision(tmp_path, no_peer):
    search = compared(plan_of([*TINY, "actors.precision=bfloat16"], tmp_path, games=[4]), "search")
    variants = search.measured["ddpzero"].variants
    precisions = {name: conditions["precision"] for name, conditions in variants.items()}
    assert precisions == {"best": "bfloat16", "float32": "float32"}


def test_without_any_peer_the_command_fails_but_shows_ddpzero(tmp_path, no_peer, capsys):
    words = ["bench", "peers", *TINY, "--games", "4", "--seconds", "0.1", "--peers", "open_spiel"]
    assert cli.main([*words, "--environments", str(tmp_path), "--json"]) == 1
    printed = capsys.readouterr()
    # Before minutes of measuring, and as the last line.
    told = [line for line in printed.err.splitlines() if "of ddpzero alone" in line]
    assert len(told) == 2 and printed.err.splitlines()[-1] == told[1]
    records = [json.loads(line) for line in printed.out.splitlines()]
    # mctx was not asked for, and OpenSpiel has no search to compare.
    assert {record["workload"] for record in records} == {"rules", "rollouts"}
    problems = [record for record in records if record["figure"] == "problem"]
    assert {record["problem"] for record in problems} == {"pip reached no package index."}
    assert {record["program"] for record in records} == {"ddpzero", "OpenSpiel"}


def test_a_failure_of_ddpzero_itself_is_a_sentence(tmp_path, no_peer, monkeypatch):
    monkeypatch.setattr(run_module, "_OWN_PROGRAM", "ddpzero.no_such_program")
    with pytest.raises(
        RuntimeError, match=r"ddpzero could not be measured: it ended with exit .*no_such_program"
    ):
        compared(plan_of(TINY, tmp_path), "rules")


@pytest.mark.parametrize(
    ("overrides", "peers", "sentence"),
    [
        (TINY, ["jax"], "--peers jax is not known: choose from mctx, open_spiel."),
        (
            ["network=nested_bottleneck"],
            [],
            "network.name=nested_bottleneck has no equal in the other programs",
        ),
        (["search.num_simulations=0"], [], "search.num_simulations=0 searches nothing"),
        (["game=snakes", "algorithm=ddpg"], [], "ddpg has no tree search to compare."),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_installed(
    overrides, peers, sentence, tmp_path, monkeypatch
):
    monkeypatch.setattr(run_module, "python_with", lambda *_: pytest.fail("installed"))
    with pytest.raises(UserError) as caught:
        plan_of(overrides, tmp_path, peers=peers)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_is_pinned_and_its_program_stands_alone(name):
    peer = PEERS[name]
    assert all("==" in requirement for requirement in peer.requirements)
    (program,) = [file for file in PROGRAMS.glob("*.py") if file.name == peer.program]
    imported = set()
    for node in ast.walk(ast.parse(program.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module))
    assert "protocol" in imported and not any(each.startswith("ddpzero") for each in imported)
    command = run_module._command(Path("/environments/x/bin/python"), peer)
    # Neither PYTHONPATH nor the user's packages reach it.
    assert command == ["/environments/x/bin/python", "-E", "-s", str(program)]
