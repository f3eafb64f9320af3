"""Vectors of ``WIDTH`` numbers as values inside Numba kernels: each operation is one or two machine instructions.

A compiler finds vector instructions in a plain loop only if it can show that its arrays do not overlap; here they are
written down instead. ``a * x + y`` works as for numbers, also with numbers among the vectors.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba import njit
from numba.core import types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

WIDTH = 8


class Lanes(types.Type):
    """The type of a vector of floating-point numbers."""

    def __init__(self, dtype: types.Float):
        self.dtype = dtype
        super().__init__(name=f"Lanes({dtype})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, lanes):
        super().__init__(manager, lanes, ir.VectorType(manager.lookup(lanes.dtype).get_value_type(), WIDTH))


def _spread(context, builder, value, kind, lanes):
    """The same number in all lanes; a vector as it is."""
    if isinstance(kind, Lanes):
        return value
    vector = ir.VectorType(context.get_value_type(lanes.dtype), WIDTH)
    value = context.cast(builder, value, kind, lanes.dtype)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), mask)


def _declare(op, instruction: str) -> None:
    @infer_global(op)
    class _Typing(AbstractTemplate):
        def generic(self, args, kws):
            lanes = [a for a in args if isinstance(a, Lanes)]
            if len(args) == 2 and lanes and all(isinstance(a, Lanes | types.Number) for a in args):
                return signature(lanes[0], *args)
            return None

    def lower(context, builder, sig, args):
        a, b = (_spread(context, builder, x, kind, sig.return_type) for x, kind in zip(args, sig.args))
        return getattr(builder, instruction)(a, b, flags=("fast",))

    for kinds in ((Lanes, Lanes), (Lanes, types.Number), (types.Number, Lanes)):
        lower_builtin(op, *kinds)(lower)


for _op, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _declare(_op, _instruction)
    if _op is not operator.truediv:
        _declare({"fadd": operator.iadd, "fsub": operator.isub, "fmul": operator.imul}[_instruction], _instruction)


def _pointer(context, builder, kind, array, lanes):
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(data, context.get_value_type(lanes).as_pointer())


@intrinsic
def load(typing, array):
    """The first ``WIDTH`` numbers of a contiguous array."""
    lanes = Lanes(array.dtype)

    def code(context, builder, sig, args):
        return builder.load(_pointer(context, builder, array, args[0], lanes), align=array.dtype.bitwidth // 8)

    return lanes(array), code


@intrinsic
def store(typing, array, value):
    """Write a vector, or one number into all places, to the first ``WIDTH`` of a contiguous array."""
    lanes = Lanes(array.dtype)

    def code(context, builder, sig, args):
        value = _spread(context, builder, args[1], sig.args[1], lanes)
        builder.store(value, _pointer(context, builder, array, args[0], lanes), align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, value), code


@intrinsic
def spread(typing, value, like):
    """A number in all lanes, of the type of an array's vectors."""
    lanes = Lanes(like.dtype)

    def code(context, builder, sig, args):
        return _spread(context, builder, args[0], sig.args[0], lanes)

    return lanes(value, like), code


@intrinsic
def total(typing, value):
    """The sum over lanes."""

    def code(context, builder, sig, args):
        number, vector = context.get_value_type(value.dtype), context.get_value_type(value)
        name = f"llvm.vector.reduce.fadd.v{WIDTH}f{value.dtype.bitwidth}"
        function = builder.module.declare_intrinsic(name, (), ir.FunctionType(number, [number, vector]))
        return builder.call(function, [ir.Constant(number, 0.0), args[0]], fastmath=("fast",))

    return value.dtype(value), code


@njit(cache=True, fastmath=True)
def sine_series(t):
    """``sin(t)`` for ``|t| <= pi / 2``, of numbers and of vectors."""
    u = t * t
    s = 1.0 / 51090942171709440000.0
    s = s * u - 1.0 / 121645100408832000.0
    s = s * u + 1.0 / 355687428096000.0
    s = s * u - 1.0 / 1307674368000.0
    s = s * u + 1.0 / 6227020800.0
    s = s * u - 1.0 / 39916800.0
    s = s * u + 1.0 / 362880.0
    s = s * u - 1.0 / 5040.0
    s = s * u + 1.0 / 120.0
    s = s * u - 1.0 / 6.0
    return t + t * u * s


@njit(cache=True, fastmath=True)
def cosine_series(t):
    """``cos(t)`` for ``|t| <= pi / 2``, of numbers and of vectors."""
    u = t * t
    s = 1.0 / 2432902008176640000.0
    s = s * u - 1.0 / 6402373705728000.0
    s = s * u + 1.0 / 20922789888000.0
    s = s * u - 1.0 / 87178291200.0
    s = s * u + 1.0 / 479001600.0
    s = s * u - 1.0 / 3628800.0
    s = s * u + 1.0 / 40320.0
    s = s * u - 1.0 / 720.0
    s = s * u + 1.0 / 24.0
    s = s * u - 0.5
    return 1.0 + u * s
