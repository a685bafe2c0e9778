"""Positions that an evaluator gathers from several lanes get the answers that they get alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch

from ddpzero.actors.exchange import Exchange, LaneSize, Request
from ddpzero.evaluators.lanes import LaneEvaluator, layout_for, room_for
from ddpzero.evaluators.network import NetworkEvaluator
from ddpzero.evaluators.shared import GatheringEvaluator
from ddpzero.games import Game, load_game
from ddpzero.networks import NetworkSettings, make_network

SETTINGS = NetworkSettings(blocks=2, channels=16)
BOARDS = [load_game("connect_four"), load_game("connect_four", rows=4, columns=5)]
MAX_BATCH = 6


def network_of(game: Game, seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    return make_network(game, SETTINGS, ())


def weights(seed: int) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in network_of(BOARDS[0], seed).state_dict().items()}


def alone(game: Game, arrays: Mapping[str, np.ndarray], max_batch: int) -> NetworkEvaluator:
    evaluator = NetworkEvaluator(network_of(game, 0), game, max_batch, precision="float32")
    evaluator.load_weights(arrays)
    return evaluator


class Rank:
    """Two actors with two lanes each, and an evaluator, all in this process."""

    def __init__(self, max_requests: int, max_under_way: int) -> None:
        layouts = [layout_for(board, MAX_BATCH) for board in BOARDS]
        self.exchange = Exchange(2, LaneSize(2, *room_for(layouts)))
        self.server = GatheringEvaluator(
            layouts,
            lambda kind, arrays, most: NetworkEvaluator(
                network_of(BOARDS[kind], 0), BOARDS[kind], most, max_under_way, precision="float32"
            ),
            lambda arrays: tuple(array.shape for array in arrays.values()),
            max_requests,
            max_under_way,
        )
        self.clients = [
            LaneEvaluator(
                [self.exchange.lane(actor, slot) for slot in range(2)], layouts[kind], kind
            )
            for actor, kind in [(0, 0), (1, 1)]
        ]

    def serve(self, version: int) -> None:
        """Answer all requests, with as many batches under way as there may be."""
        requests = self.exchange.open_requests()
        most = self.server.max_requests
        batches = []
        for kind in {request.kind for request in requests}:
            of_kind = [request for request in requests if request.kind == kind]
            batches += [of_kind[first : first + most] for first in range(0, len(of_kind), most)]
        under_way: list[list[Request]] = []
        for batch in batches:
            if len(under_way) == self.server.max_under_way:
                self.finish(under_way.pop(0), version)
            self.server.start(
                batch[0].kind,
                [request.num_rows for request in batch],
                [self.exchange.inputs(request.lane) for request in batch],
            )
            under_way.append(batch)
        for batch in under_way:
            self.finish(batch, version)

    def finish(self, batch: list[Request], version: int) -> None:
        # On a CPU nothing is left to be done.
        assert self.server.is_finished()
        self.server.finish([self.exchange.outputs(request.lane) for request in batch])
        for request in batch:
            self.exchange.answer(request, version)


@pytest.fixture(params=[(1, 1), (4, 1), (1, 2), (4, 2)])
def rank(request):
    rank = Rank(*request.param)
    yield rank
    del rank.clients
    rank.exchange.close()


def test_answers_are_those_of_the_network_alone_for_each_board(rank):
    rng = np.random.default_rng(1)
    for seed in (3, 4):
        arrays = weights(seed)
        rank.server.receive(arrays, seed)
        asked = {}
        for kind, client in enumerate(rank.clients):
            for slot in range(2):
                shape = (rng.integers(1, MAX_BATCH + 1), BOARDS[kind].observation_size_bytes)
                asked[kind, slot] = rng.integers(0, 256, shape, dtype=np.uint8)
                client.observations(slot)[: shape[0]] = asked[kind, slot]
                client.submit(slot, int(shape[0]))
        rank.serve(seed)
        for (kind, slot), observations in asked.items():
            evaluator = alone(BOARDS[kind], arrays, MAX_BATCH)
            evaluator.observations(0)[: len(observations)] = observations
            evaluator.submit(0, len(observations))
            for found, expected in zip(
                rank.clients[kind].collect(slot), evaluator.collect(0), strict=True
            ):
                assert found.dtype == np.float32 and found.flags.c_contiguous
                np.testing.assert_allclose(found, expected, atol=1e-5)
            assert rank.clients[kind].weights_version == seed


def test_weights_of_another_size_are_taken(rank):
    rank.server.receive(weights(1), 1)
    client = rank.clients[0]
    client.submit(0, 1)
    rank.serve(1)
    client.collect(0)
    larger = make_network(BOARDS[0], NetworkSettings(blocks=3, channels=16), ())
    arrays = {name: value.numpy() for name, value in larger.state_dict().items()}
    made = []
    rank.server._make = lambda kind, arrays, most: (
        made.append(kind)
        or NetworkEvaluator(
            larger, BOARDS[kind], most, rank.server.max_under_way, precision="float32"
        )
    )
    rank.server.receive(arrays, 2)
    client.submit(0, 1)
    rank.serve(2)
    client.collect(0)
    assert made == [0] and client.weights_version == 2


def test_a_client_wants_the_weights_that_it_was_told_of(rank):
    client = rank.clients[0]
    client.load_weights({}, 7)
    client.submit(0, 1)
    (request,) = rank.exchange.open_requests()
    assert request.wanted_version == 7
