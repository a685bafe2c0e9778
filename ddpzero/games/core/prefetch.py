"""Prefetching for compiled code: memory that will be needed soon is fetched while other work goes on."""

from __future__ import annotations

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.extending import intrinsic

CACHE_LINE_BYTES = 64


@intrinsic
def prefetch(typing_context, place):
    """Begin to fetch the cache line at which `place` begins: an array, or a record of a structured array.

    Only a hint to the processor: it changes no value, and an address that does not exist does no harm.
    """
    if not isinstance(place, types.Array | types.Record):
        return None

    def generate(context, builder, signature, arguments):
        address = arguments[0]
        if isinstance(place, types.Array):
            address = context.make_array(place)(context, builder, address).data
        byte_pointer, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        function_type = ir.FunctionType(ir.VoidType(), [byte_pointer, flag, flag, flag])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte_pointer], function_type)
        # To read, for all levels of caches, data.
        builder.call(function, [builder.bitcast(address, byte_pointer), flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(place), generate
