"""What surrounds a network on a CPU, in compiled code: planes from packed observations, outcomes from value logits.

After a forward pass the processor's caches hold neither the code nor the data of what follows, and each small operator
of torch then takes about 10 us: together with the page faults of their results, 2 % of the time of a 64x4 network.
Imports no torch.
"""

from __future__ import annotations

import math

import numpy as np

from ddpzero.evaluators.answers import DRAW, LOSS, WIN
from ddpzero.games import Game
from ddpzero.games.core.compiled import compiled


@compiled(cache=True)
def unpack_planes(packed, num_planes, one, global_values, bits, planes):
    """Write the planes of packed observations; networks/observations.py describes both formats.

    packed: `[B, bytes]` uint8. one: 1.0 as an integer of the type of `planes`. global_values: `[F, 256]` of that type,
    the value in the planes of each byte of a global. bits: `[8 * bytes]` uint8, scratch. planes: `[B, H * W, C + F]`,
    integers with the bits of the floats.
    """
    num_cells, num_globals = planes.shape[1], global_values.shape[0]
    num_bytes = packed.shape[1] - num_globals
    for row in range(packed.shape[0]):
        for index in range(num_bytes):
            byte = packed[row, index]
            for bit in range(8):
                bits[8 * index + bit] = (byte >> bit) & 1
        for cell in range(num_cells):
            for plane in range(num_planes):
                planes[row, cell, plane] = bits[plane * num_cells + cell] * one
        for number in range(num_globals):
            value = global_values[number, packed[row, num_bytes + number]]
            for cell in range(num_cells):
                planes[row, cell, num_planes + number] = value


@compiled(cache=True)
def write_outcomes(value_logits, outcomes):
    """Write the softmax of value logits `[n, 3]` float32 into the first columns of outcomes `[n, 4]` float32."""
    for row in range(value_logits.shape[0]):
        win, draw, loss = value_logits[row, WIN], value_logits[row, DRAW], value_logits[row, LOSS]
        largest = max(win, draw, loss)
        win, draw, loss = (
            math.exp(win - largest),
            math.exp(draw - largest),
            math.exp(loss - largest),
        )
        total = win + draw + loss
        outcomes[row, WIN] = win / total
        outcomes[row, DRAW] = draw / total
        outcomes[row, LOSS] = loss / total


def compile_cpu_kernels(game: Game) -> None:
    """Compile what the networks of a game need, unless numba's cache has it."""
    packed = np.zeros((1, game.observation_size_bytes), np.uint8)
    num_cells, num_globals = math.prod(game.board_shape), game.spec.num_globals
    for kind in (np.int16, np.int32):
        planes = np.empty((1, num_cells, game.num_planes + num_globals), kind)
        values = np.zeros((num_globals, 256), kind)
        bits = np.empty(8 * packed.size, np.uint8)
        unpack_planes(packed, game.num_planes, kind(1), values, bits, planes)
    write_outcomes(np.zeros((1, 3), np.float32), np.zeros((1, 4), np.float32))
