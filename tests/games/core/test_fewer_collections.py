"""The collector of garbage, while numba compiles and afterwards."""

from __future__ import annotations

import gc

from numba import njit
from numba.core import event

import ddpzero.games.core.compiled  # noqa: F401  (installs it)


class Watching(event.Listener):
    def __init__(self):
        self.thresholds = []

    def on_start(self, event):
        self.thresholds.append(gc.get_threshold())

    def on_end(self, event):
        pass


def test_it_looks_less_often_while_numba_compiles():
    watching, usual = Watching(), gc.get_threshold()

    @njit
    def inner(number):
        return number + 1

    @njit
    def outer(number):
        return inner(number) + inner(number)

    event.register("numba:compile", watching)
    try:
        assert outer(1) == 4
    finally:
        event.unregister("numba:compile", watching)
    assert watching.thresholds == [(10_000, *usual[1:])] * 2
    assert gc.get_threshold() == usual


def test_a_collector_that_is_off_stays_off():
    usual = gc.get_threshold()
    watching = Watching()
    event.register("numba:compile", watching)
    gc.set_threshold(0)
    try:
        assert njit(lambda number: number + 1)(1) == 2
        assert gc.get_threshold()[0] == 0 and watching.thresholds[0][0] == 0
    finally:
        gc.set_threshold(*usual)
        event.unregister("numba:compile", watching)
