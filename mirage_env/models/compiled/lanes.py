"""What kernels of networks compute with: vectors of ``LANES`` float32, and products of matrices held in registers.

numba's own loops leave vectors to the compiler, which gives up where many arrays are read and written at once. Here
``load`` and ``store`` move vectors, ``+ - * /`` and the functions below combine them, and each is one instruction.
Products may be contracted with sums (fused multiply-add); apart from that the order of operations is as written.

Memory is addressed by ``pointer`` and an offset in elements, and nothing is checked. (numba counts who holds an array
wherever one is passed on, which costs more than what is done with a vector.)
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

from mirage_env.geometry import Array
from mirage_env.kernels import kernel

WIDE = bool(llvmlite.binding.get_host_cpu_features().get("avx512f", False))
LANES, ROWS = (16, 8) if WIDE else (8, 4)
"""Numbers in a vector, and rows of a ``product``: with three vectors per row they fill the registers of
AVX-512, or of AVX2."""

_FLOAT, _INT, _LONG = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_VECTOR, _INTS = ir.VectorType(_FLOAT, LANES), ir.VectorType(_INT, LANES)
_ZERO = ir.Constant(_VECTOR, [0.0] * LANES)
_CONTRACT = ("contract",)


def instruction(function: Callable[..., Any]) -> Callable[..., Any]:
    """What a kernel can call, given as the code that it stands for: numba passes its own context as first argument."""
    return intrinsic(function)


def whole_vectors(shape: tuple[int, ...]) -> Array:
    """An empty array that begins where vectors do: those that cross lines of the cache take twice as long."""
    numbers = math.prod(shape)
    raw = np.empty(numbers + LANES, dtype=np.float32)
    skip = -(raw.ctypes.data // 4) % LANES
    return raw[skip : skip + numbers].reshape(shape)


class Lanes(types.Type):
    """numba's type of a vector."""

    def __init__(self) -> None:
        super().__init__(name=f"Lanes{LANES}")


_lanes = Lanes()


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, of: Any) -> None:
        super().__init__(manager, of, _VECTOR)


def _read(builder: Any, pointer: Any) -> Any:
    value = builder.load(builder.bitcast(pointer, _VECTOR.as_pointer()))
    value.align = 4
    return value


def _write(builder: Any, value: Any, pointer: Any) -> None:
    builder.store(value, builder.bitcast(pointer, _VECTOR.as_pointer())).align = 4


def _spread(builder: Any, number: Any) -> Any:
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(_INT, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(_INTS, [0] * LANES))


def _llvm(builder: Any, name: str, *values: Any) -> Any:
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * len(values))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32"), values)


@instruction
def pointer(typing: Any, array: Any) -> Any:
    """Where the numbers of a contiguous array begin; the caller keeps the array."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, args[0]).data

    return types.CPointer(array.dtype)(array), generate


@instruction
def scratch(typing: Any, array: Any) -> Any:
    """As ``pointer``, but to the array's first whole vector: it needs ``LANES`` numbers more than are used."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        begin = context.make_array(signature.args[0])(context, builder, args[0]).data
        size = LANES * 4
        number = builder.add(builder.ptrtoint(begin, _LONG), ir.Constant(_LONG, size - 1))
        return builder.inttoptr(builder.and_(number, ir.Constant(_LONG, -size)), begin.type)

    return types.CPointer(array.dtype)(array), generate


@instruction
def load(typing: Any, at: Any, offset: Any) -> Any:
    """The vector at ``at[offset : offset + LANES]``."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _read(builder, builder.gep(args[0], [args[1]]))

    return _lanes(at, types.intp), generate


@instruction
def store(typing: Any, at: Any, offset: Any, value: Any) -> Any:
    """``at[offset : offset + LANES] = value``."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _write(builder, args[2], builder.gep(args[0], [args[1]]))
        return context.get_dummy_value()

    return types.void(at, types.intp, value), generate


@instruction
def splat(typing: Any, number: Any) -> Any:
    """The vector that is ``number`` in every lane."""
    return _lanes(types.float32), lambda context, builder, signature, args: _spread(builder, args[0])


@instruction
def total(typing: Any, value: Any) -> Any:
    """The sum over the lanes, from first to last."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        found = builder.extract_element(args[0], ir.Constant(_INT, 0))
        for lane in range(1, LANES):
            found = builder.fadd(found, builder.extract_element(args[0], ir.Constant(_INT, lane)))
        return found

    return types.float32(value), generate


@instruction
def largest(typing: Any, value: Any, other: Any) -> Any:
    """The larger in each lane."""
    return _lanes(value, other), lambda context, builder, signature, args: _llvm(builder, "maxnum", *args)


@instruction
def nearest(typing: Any, value: Any) -> Any:
    """Rounded to whole numbers."""
    return _lanes(value), lambda context, builder, signature, args: _llvm(builder, "nearbyint", *args)


@instruction
def power_of_two(typing: Any, exponent: Any) -> Any:
    """2 to whole exponents from -126 to 127."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        biased = builder.add(builder.fptosi(args[0], _INTS), ir.Constant(_INTS, [127] * LANES))
        return builder.bitcast(builder.shl(biased, ir.Constant(_INTS, [23] * LANES)), _VECTOR)

    return _lanes(exponent), generate


def _arithmetic(symbol: Callable[..., Any], name: str) -> None:
    @instruction
    def both(typing: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(builder, name)(*args, flags=_CONTRACT)

        return _lanes(a, b), generate

    def vectors(a: Any, b: Any) -> Any:
        return both(a, b)

    def number_right(a: Any, b: Any) -> Any:
        return both(a, splat(b))

    def number_left(a: Any, b: Any) -> Any:
        return both(splat(a), b)

    @overload(symbol)
    def of(a: Any, b: Any) -> Any:
        if isinstance(a, Lanes):
            return vectors if isinstance(b, Lanes) else number_right
        return number_left if isinstance(b, Lanes) else None


for _symbol, _name in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _arithmetic(_symbol, _name)


@kernel
def exp(x: Any) -> Any:
    """e to the power of x, to about 1e-7 of it; x is held between -87 and 87."""
    x = splat(0.0) - largest(splat(0.0) - largest(x, splat(-87.0)), splat(-87.0))
    whole = nearest(x * 1.4426950408889634)
    rest = (x - whole * 0.693145751953125) - whole * 1.428606765330187e-06  # log 2 in two pieces, so as to be exact
    series = rest * (1 / 5040) + 1 / 720
    series = series * rest + 1 / 120
    series = series * rest + 1 / 24
    series = series * rest + 1 / 6
    series = series * rest + 0.5
    series = series * rest + 1.0
    return (series * rest + 1.0) * power_of_two(whole)


@kernel
def silu(x: Any) -> Any:
    """x times its sigmoid."""
    return x / (exp(splat(0.0) - x) + 1.0)


def _prefetch(builder: Any, at: Any) -> None:
    """Into the second level of the cache, where it may be read soon."""
    byte = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [byte, _INT, _INT, _INT])
    instruction = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    builder.call(instruction, [builder.bitcast(at, byte), *(ir.Constant(_INT, n) for n in (0, 2, 1))])


def _product(vectors: int) -> Callable[..., None]:
    @instruction
    def product(
        typing: Any, a: Any, rows: Any, taps: Any, count: Any, depth: Any, b: Any, next_b: Any, out: Any, o: Any,
        pitch: Any,
    ) -> Any:  # fmt: skip
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            a, rows, taps, count, depth, b, next_b, out, o, pitch = args
            sums = [[cgutils.alloca_once(builder, _VECTOR) for _ in range(vectors)] for _ in range(ROWS)]
            for row in sums:
                for place in row:
                    builder.store(_ZERO, place)
            right, ahead = cgutils.alloca_once(builder, b.type), cgutils.alloca_once(builder, b.type)
            builder.store(b, right)
            builder.store(next_b, ahead)
            starts = [builder.load(builder.gep(rows, [ir.Constant(_LONG, i)])) for i in range(ROWS)]
            starts = [builder.gep(a, [start]) for start in starts]
            with cgutils.for_range(builder, count) as tap:
                here = [builder.gep(start, [builder.load(builder.gep(taps, [tap.index]))]) for start in starts]
                with cgutils.for_range(builder, depth) as k:
                    at = builder.load(right)
                    columns = [_read(builder, builder.gep(at, [ir.Constant(_LONG, j * LANES)])) for j in range(vectors)]
                    builder.store(builder.gep(at, [ir.Constant(_LONG, vectors * LANES)]), right)
                    soon = builder.load(ahead)
                    _prefetch(builder, soon)
                    builder.store(builder.gep(soon, [ir.Constant(_LONG, LANES)]), ahead)
                    for left, row in zip(here, sums, strict=True):
                        number = _spread(builder, builder.load(builder.gep(left, [k.index])))
                        for column, place in zip(columns, row, strict=True):
                            builder.store(_llvm(builder, "fma", number, column, builder.load(place)), place)
            for i, row in enumerate(sums):
                start = builder.gep(out, [builder.add(o, builder.mul(pitch, ir.Constant(_LONG, i)))])
                for j, place in enumerate(row):
                    _write(builder, builder.load(place), builder.gep(start, [ir.Constant(_LONG, j * LANES)]))
            return context.get_dummy_value()

        n = types.intp
        return types.void(a, rows, taps, n, n, b, next_b, out, n, n), generate

    return product


_product1, _product2, _product3 = _product(1), _product(2), _product(3)


@instruction
def after(typing: Any, at: Any, offset: Any) -> Any:
    """The pointer to ``at[offset]``."""
    return at(at, types.intp), lambda context, builder, signature, args: builder.gep(args[0], [args[1]])


@kernel
def product(
    a: Any, rows: Any, taps: Any, count: int, depth: int, b: Any, vectors: int, next_b: Any, out: Any, o: int,
    pitch: int,
) -> None:  # fmt: skip
    """A matrix product of ``ROWS`` rows and ``vectors`` (1 to 3) vectors of columns.

    Row i of the left matrix is, for each of ``count`` taps, the ``depth`` numbers from ``a[rows[i] + tap]`` on: so it
    can be gathered from an image. The right one, (taps · depth, vectors · LANES), lies at ``b`` without gaps. Row i of
    the result goes to ``out[o + i * pitch]``. Meanwhile taps · depth vectors from ``next_b`` on come into the cache.
    """
    if vectors == 3:
        _product3(a, rows, taps, count, depth, b, next_b, out, o, pitch)
    elif vectors == 2:
        _product2(a, rows, taps, count, depth, b, next_b, out, o, pitch)
    else:
        _product1(a, rows, taps, count, depth, b, next_b, out, o, pitch)
