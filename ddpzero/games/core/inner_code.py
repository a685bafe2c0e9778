"""Compiles functions that only compiled code calls as far as the calling code needs: without machine code of their own.

Numba optimizes each function and generates its machine code before it puts the function into a caller, where both
happens again: for functions that are inlined over several levels that was a third of all compile time. Here a
function's code is left as it is until the function that Python calls is optimized as a whole; that one is as fast.
"""

from __future__ import annotations

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder


class InnerCompiler(CompilerBase):
    """Numba's compiler, with an InnerLibrary for the code. See numba's "Customizing the compiler"."""

    def define_pipelines(self) -> list[Any]:
        codegen = self.state.targetctx.codegen()
        self.state.library = InnerLibrary(codegen, "inner function")
        return [DefaultPassBuilder.define_nopython_pipeline(self.state)]


class InnerLibrary(JITCodeLibrary):
    """Code that other libraries link. It is neither optimized nor given to the machine."""

    @property
    def codegen(self) -> Any:
        return _WithoutEnvironments(self._codegen)

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalized = True


class _WithoutEnvironments:
    """Numba's code generator, but for the environment of a function, which only machine code has."""

    def __init__(self, codegen: Any) -> None:
        self._codegen = codegen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codegen, name)

    def set_env(self, *_: object) -> None:
        pass
