"""Eight float32 side by side, as a type that compiled loops compute with.

LLVM does not find by itself that ten sums over rows fit into registers; told so, such a loop is
14 times faster. The names here work in compiled functions only. What numba keeps on disk of a
function is made anew when its own file changes, not this one: so change that, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.extending import intrinsic as _intrinsic
from numba.extending import models, register_model

LANES = 8
"""Numbers side by side: one 256-bit register of float32."""

# What it makes is called from compiled code, so not with these arguments.
intrinsic = cast(Callable[[Callable[..., Any]], Any], _intrinsic)


class _Lanes(types.Type):
    """A vector of LLVM."""

    def __init__(self, number: Any) -> None:
        self.number = number
        super().__init__(name=f"Lanes({number})")


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: _Lanes) -> None:
        super().__init__(manager, lanes, _VECTORS[lanes])  # type: ignore[no-untyped-call]


_singles = _Lanes(types.float32)
_doubles = _Lanes(types.float64)
_VECTORS = {
    _singles: ir.VectorType(ir.FloatType(), LANES),
    _doubles: ir.VectorType(ir.DoubleType(), LANES),
}
# A product and the sum that it goes into may be one instruction.
_FUSED = ("contract",)


def _pointer(context: Any, builder: Any, kind: Any, values: Any, place: Any) -> Any:
    data = context.make_array(kind)(context, builder, values).data
    vector = _VECTORS[_singles if kind.dtype == types.float32 else _doubles]
    return builder.bitcast(builder.gep(data, [place]), vector.as_pointer())


@intrinsic
def nothing(_typing: Any) -> Any:
    """Give zero in all lanes."""

    def generate(_context: Any, _builder: Any, _signature: Any, _arguments: Any) -> Any:
        return ir.Constant(_VECTORS[_singles], [0.0] * LANES)

    return _singles(), generate


@intrinsic
def nothing_doubled(_typing: Any) -> Any:
    """Give zero in all lanes, in double precision."""

    def generate(_context: Any, _builder: Any, _signature: Any, _arguments: Any) -> Any:
        return ir.Constant(_VECTORS[_doubles], [0.0] * LANES)

    return _doubles(), generate


@intrinsic
def load(_typing: Any, values: Any, place: Any) -> Any:
    """Read ``values[place : place + LANES]`` of float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        return builder.load(pointer, align=4)

    return _singles(values, types.int64), generate


@intrinsic
def store(_typing: Any, values: Any, place: Any, lanes: Any) -> Any:
    """Write ``values[place : place + LANES]`` of float32, from either precision."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], *arguments[:2])
        made = arguments[2]
        if lanes == _doubles:
            made = builder.fptrunc(made, _VECTORS[_singles])
        builder.store(made, pointer, align=4)
        return context.get_dummy_value()

    return types.void(values, types.int64, lanes), generate


@intrinsic
def plus_product(_typing: Any, total: Any, weight: Any, lanes: Any) -> Any:
    """Give ``total + weight * lanes``."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        before, number, vector = arguments
        kind = _VECTORS[_singles]
        nowhere = ir.Constant(kind, ir.Undefined)
        places = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        first = builder.insert_element(nowhere, number, ir.Constant(ir.IntType(32), 0))
        everywhere = builder.shuffle_vector(first, nowhere, places)
        product = builder.fmul(everywhere, vector, flags=_FUSED)
        return builder.fadd(before, product, flags=_FUSED)

    return _singles(_singles, types.float32, _singles), generate


@intrinsic
def plus_difference(_typing: Any, total: Any, table: Any, upper: Any, lower: Any) -> Any:
    """Give ``total + table[upper : upper + LANES] - table[lower : lower + LANES]`` of float64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        before, values, above, below = arguments
        kind = signature.args[1]
        more = builder.load(_pointer(context, builder, kind, values, above), align=8)
        less = builder.load(_pointer(context, builder, kind, values, below), align=8)
        return builder.fadd(before, builder.fsub(more, less))

    return _doubles(_doubles, table, types.int64, types.int64), generate
