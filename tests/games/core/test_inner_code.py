"""Facts about inner functions: what they are compiled to, and that their callers compute what Python would."""

from __future__ import annotations

import numpy as np

from ddpzero.games.core.compiled import compiled, compiled_apart
from ddpzero.games.core.inner_code import InnerLibrary


@compiled
def add_one(numbers, index):
    numbers[index] += 1
    return numbers[index]


@compiled_apart
def add_two(numbers, index):
    return add_one(numbers, index) + add_one(numbers, index)


@compiled(cache=False)
def add_to_all(numbers):
    total = 0
    for index in range(numbers.shape[0]):
        total += add_two(numbers, index) * add_one(numbers, index)
    return total


def test_only_what_python_calls_gets_machine_code():
    numbers = np.array([1, 5])
    # 1: (2 + 3) * 4; 5: (6 + 7) * 8
    assert add_to_all(numbers) == 20 + 104 and numbers.tolist() == [4, 8]

    (kernel,) = add_to_all.overloads.values()
    (inlined,) = add_one._dispatcher.overloads.values()
    (apart,) = add_two._dispatcher.overloads.values()
    assert isinstance(inlined.library, InnerLibrary) and isinstance(apart.library, InnerLibrary)
    is_machine_code = kernel.library.codegen._engine.is_symbol_defined
    assert is_machine_code(kernel.fndesc.llvm_func_name)
    assert not is_machine_code(inlined.fndesc.llvm_func_name)
