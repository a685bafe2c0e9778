"""Measures programs in turn, slice by slice on one core, so that whatever slows the core down slows down all alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ddpzero.bench.peers.conversation import Conversation, ProgramFailed
from ddpzero.bench.peers.programs.protocol import Slice

# At least six give an interval of 95 %.
NUM_ROUNDS = 10
# A peer compiles a program for each batch that it tries, which takes minutes in all.
_PREPARE_SECONDS = 1800.0
# A search that has begun is finished.
_GRACE_SECONDS = 120.0


@dataclass
class Measured:
    """What one program did in a workload. problem: why there is nothing more, or "".

    variants: conditions by the variant's name. slices: of each variant, one of each round.
    """

    versions: dict[str, str] = field(default_factory=dict)
    variants: dict[str, dict[str, Any]] = field(default_factory=dict)
    slices: dict[str, list[Slice]] = field(default_factory=dict)
    problem: str = ""


def measure_in_turn(
    commands: Mapping[str, Sequence[str]],
    request: Mapping[str, Any],
    seconds: float,
    on_step: Callable[[str], None],
    prepare_seconds: float = _PREPARE_SECONDS,
    grace_seconds: float = _GRACE_SECONDS,
) -> dict[str, Measured]:
    """Prepare all programs for a workload, one after the other; then measure them in turn, `seconds` each.

    commands: of each program. A program that fails, or takes longer than it should, is ended, and has no slices. Never
    do two work at the same time.
    """
    measured = {name: Measured() for name in commands}
    running: dict[str, Conversation] = {}

    def ask(name: str, question: Mapping[str, Any], limit: float) -> dict[str, Any] | None:
        try:
            return running[name].ask(question, limit)
        except ProgramFailed as failure:
            measured[name].problem, measured[name].slices = str(failure), {}
            running.pop(name).close()
            return None

    try:
        for name, command in commands.items():
            on_step(f"{request['workload']}: {name} prepares")
            running[name] = Conversation(command)
            if answer := ask(name, request, prepare_seconds):
                measured[name].versions = answer["versions"]
                measured[name].variants = answer["variants"]
                measured[name].slices = {variant: [] for variant in answer["variants"]}
        slice_seconds = seconds / NUM_ROUNDS
        on_step(f"{request['workload']}: {', '.join(running)}, in turn")
        for index in range(NUM_ROUNDS):
            # In turns, so that no program always follows the same one.
            for name in sorted(commands, reverse=index % 2 == 1):
                for variant in measured[name].variants:
                    question = {"measure": variant, "seconds": slice_seconds}
                    if name not in running:
                        break
                    if answer := ask(name, question, slice_seconds + grace_seconds):
                        measured[name].slices[variant].append(Slice(**answer))
    finally:
        for conversation in running.values():
            conversation.close()
    return measured
