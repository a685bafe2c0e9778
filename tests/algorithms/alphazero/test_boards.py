"""Facts about symmetries of batches, of one board and of several in a frame, and about learning in a frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddpzero.algorithms.alphazero.boards import Boards
from ddpzero.algorithms.alphazero.curriculum import (
    BoardSettings,
    Curriculum,
    CurriculumSettings,
    StageSettings,
)
from ddpzero.algorithms.alphazero.samples import padded_episode, sample_spec
from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings, LossSettings
from ddpzero.algorithms.alphazero.updater import AlphaZeroUpdater
from ddpzero.games import Game, load_game
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.replay import Episode
from ddpzero.settings import LearnerSettings

CPU = torch.device("cpu")
LOSS = LossSettings(next_policy=0.3, soft_policy=1.0, short_value=0.3)


def course(frame: Game, *boards: dict) -> Curriculum:
    """All boards in one stage."""
    stages = [StageSettings([BoardSettings(game=parameters) for parameters in boards])]
    return Curriculum(CurriculumSettings(stages if boards else []), frame, num_simulations=8)


def random_planes(curriculum: Curriculum, board: int, num_rows: int) -> torch.Tensor:
    """A plane `[n, 1, H, W]` of zeros and ones on the board, zeros around it."""
    shape = curriculum.frame.board_shape
    planes = torch.zeros(num_rows, shape[0] * shape[1])
    cells = curriculum.embeddings[board].cells
    planes[:, cells] = torch.randint(0, 2, (num_rows, len(cells))).float()
    return planes.view(num_rows, 1, *shape)


@pytest.mark.parametrize(
    ("name", "parameters", "others"),
    [
        ("gomoku", {"size": 7}, []),
        ("gomoku", {"size": 9}, [{"size": 6}, {"size": 7}]),
        ("go", {"size": 7}, []),
        ("go", {"size": 9}, [{"size": 5}, {"size": 9}]),
        ("othello", {"size": 8}, [{"size": 6}]),
        ("dots_and_boxes", {"rows": 4, "columns": 4}, [{"rows": 2, "columns": 3}, {"rows": 3}]),
        ("connect_four", {}, [{"columns": 6}, {}]),
    ],
)
def test_actions_and_owners_turn_with_the_cells(name, parameters, others):
    """A policy, and owners, that copy a plane of the observation still do so after any turn."""
    torch.manual_seed(0)
    frame = load_game(name, **parameters)
    curriculum = course(frame, *others)
    tables, draws = Boards(curriculum, CPU), torch.Generator()
    for board, embedding in enumerate(curriculum.embeddings):
        planes = random_planes(curriculum, board, 32)
        cells = planes.flatten(1)
        targets = {"policy": torch.zeros(32, frame.num_actions)}
        if name == "connect_four":
            cells = planes[:, 0].sum(1)
            own = torch.arange(frame.num_actions)
        else:
            own = torch.from_numpy(frame.spec.action_cells).long()
        on_cell = own >= 0
        targets["policy"][:, on_cell] = cells[:, own[on_cell]]
        if frame.has_ownership:
            owner_cells = torch.from_numpy(frame.owner_cells).long()
            targets["ownership"] = cells[:, owner_cells]
        boards = torch.full((32,), board)
        turned, moved = tables.turn(planes, targets, boards, draws)
        turned_cells = turned[:, 0].sum(1) if name == "connect_four" else turned.flatten(1)
        assert torch.equal(moved["policy"][:, on_cell], turned_cells[:, own[on_cell]])
        if frame.has_ownership:
            assert torch.equal(moved["ownership"], turned_cells[:, owner_cells])
        assert not torch.equal(turned, planes)
        beside = np.setdiff1d(np.arange(planes[0].numel()), embedding.cells)
        assert not turned.flatten(1)[:, beside].any(), "a board stays where it is"


def test_boards_with_4_and_with_8_symmetries_use_all_of_theirs():
    frame = load_game("dots_and_boxes", rows=3, columns=3)
    curriculum = course(frame, {"columns": 2}, {})
    tables, draws = Boards(curriculum, CPU), torch.Generator()
    for board, expected in ((0, 4), (1, 8)):
        planes = random_planes(curriculum, board, 1).expand(400, -1, -1, -1)
        policies = {"policy": torch.zeros(400, frame.num_actions)}
        turned, _ = tables.turn(planes, policies, torch.full((400,), board), draws)
        views = {tuple(view.flatten().int().tolist()) for view in turned}
        assert len(views) == expected


def random_rows(game: Game, num_rows: int) -> Episode:
    """Samples of random positions with targets of all kinds."""
    rng = np.random.default_rng(0)
    heads = LOSS.auxiliary(game)
    observations = []
    for _ in range(num_rows):
        position = game.initial_position()
        for _ in range(6):
            legal = np.flatnonzero(game.legal_actions(position))
            position = game.apply_action(position, int(rng.choice(legal)))
        observations.append(game.packed_observation(position))
    policy = rng.dirichlet(np.ones(game.num_actions), num_rows).astype(np.float16)
    columns = {
        "observation": np.stack(observations),
        "policy_target": policy,
        "outcome": rng.integers(-1, 2, num_rows).astype(np.float32),
        "outcome_draw": rng.uniform(0, 0.5, num_rows).astype(np.float32),
        "root_value": rng.uniform(-1, 1, num_rows).astype(np.float32),
        "root_draw": rng.uniform(0, 0.5, num_rows).astype(np.float32),
        "weights_version": np.zeros(num_rows, np.int32),
        "next_policy_target": policy[::-1].copy(),
        "short_value": rng.uniform(-1, 1, (num_rows, 3)).astype(np.float32),
        "short_draw": rng.uniform(0, 0.5, (num_rows, 3)).astype(np.float32),
    }
    if "score" in heads:
        most = game.spec.max_score
        columns["score"] = rng.integers(-most, most + 1, num_rows).astype(np.float32)
        columns["ownership"] = rng.integers(-1, 2, (num_rows, game.num_cells)).astype(np.int8)
        columns["is_played_out"] = rng.random(num_rows) < 0.7
    assert set(columns) == set(sample_spec(game, heads))
    return Episode(columns=columns, info={})


def updater_of(curriculum: Curriculum) -> AlphaZeroUpdater:
    torch.manual_seed(7)
    frame = curriculum.frame
    return AlphaZeroUpdater(
        curriculum,
        make_network(
            frame, NetworkSettings(blocks=2, channels=16, pooling_interval=2), LOSS.auxiliary(frame)
        ),
        lambda module: module,
        AlphaZeroSettings(),
        LOSS,
        LearnerSettings(precision="float32"),
        CPU,
        seed=0,
        augment=False,
    )


@pytest.mark.parametrize(
    ("name", "small", "large"),
    [
        ("go", {"size": 5}, {"size": 9}),
        ("dots_and_boxes", {"rows": 2, "columns": 3}, {"rows": 4, "columns": 3}),
        ("hex", {"size": 5}, {"size": 8}),
    ],
)
def test_a_board_teaches_the_same_alone_and_in_a_frame(name, small, large):
    board, frame = load_game(name, **small), load_game(name, **large)
    rows = random_rows(board, 24)
    alone, inside = course(board), course(frame, {}, small)
    index = 1
    assert not alone.has_padded_boards and inside.has_padded_boards
    in_frame = padded_episode(rows, inside.embeddings[index], index)
    assert set(in_frame.columns) == set(
        sample_spec(frame, LOSS.auxiliary(frame), has_padded_boards=True)
    )
    updaters = updater_of(alone), updater_of(inside)
    for _ in range(3):
        expected, got = (
            updater.update({k: torch.from_numpy(v) for k, v in episode.columns.items()}, 1e-3)
            for updater, episode in zip(updaters, (rows, in_frame), strict=True)
        )
        assert set(expected) == set(got)
        for scalar in expected:
            torch.testing.assert_close(
                got[scalar], expected[scalar], rtol=2e-3, atol=1e-4, msg=scalar
            )
