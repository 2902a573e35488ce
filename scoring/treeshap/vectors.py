"""The steps of the kernel on whole vectors of quadrature nodes, as the vector instructions that LLVM has for them.

Loops over the nodes would leave it to the optimiser whether they become vectors; it does not see that no array overlaps
another. The length of a vector is that of the tuple τ, so it is part of the type and the kernel is compiled for each.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

_F64, _I64, _I32 = ir.DoubleType(), ir.IntType(64), ir.IntType(32)


class _Emit:
    """Writes instructions on vectors of a length."""

    def __init__(self, context: Any, builder: Any, length: int) -> None:
        self.context, self.b, self.length = context, builder, length
        self.type = ir.VectorType(_F64, length)

    def data(self, kind: Any, array: Any) -> Any:
        return self.context.make_array(kind)(self.context, self.b, array).data

    def at(self, data: Any, place: Any) -> Any:
        first = self.b.gep(data, [self.b.mul(place, ir.Constant(_I64, self.length))])
        return self.b.bitcast(first, self.type.as_pointer())

    def load(self, data: Any, place: Any) -> Any:
        loaded = self.b.load(self.at(data, place))
        loaded.align = 8
        return loaded

    def store(self, value: Any, data: Any, place: Any) -> None:
        self.b.store(value, self.at(data, place)).align = 8

    def constant(self, value: float) -> Any:
        return ir.Constant(self.type, [value] * self.length)

    def all(self, value: Any) -> Any:
        """Return a vector that holds a number at every place."""
        undefined = ir.Constant(self.type, ir.Undefined)
        first = self.b.insert_element(undefined, value, ir.Constant(_I32, 0))
        return self.b.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_I32, self.length), [0] * self.length))

    def vector(self, values: Any) -> Any:
        """Return a tuple as a vector."""
        made = ir.Constant(self.type, ir.Undefined)
        for place in range(self.length):
            made = self.b.insert_element(made, self.b.extract_value(values, place), ir.Constant(_I32, place))
        return made


@intrinsic
def descend(typing: Any, tau: Any, product: Any, node: Any, hot: Any, cold: Any, e: Any, former: Any, q: Any) -> Any:
    """product[cold] = product[node]·e[former]; product[hot] = product[cold]·(1 + τq); e[node] = 1/(1 + τq)."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        emit = _Emit(context, builder, len(tau))
        products, quotients = emit.data(signature.args[1], given[1]), emit.data(signature.args[5], given[5])
        one = emit.constant(1.0)
        factor = builder.fadd(one, builder.fmul(emit.vector(given[0]), emit.all(given[7])))
        left = builder.fmul(emit.load(products, given[2]), emit.load(quotients, given[6]))
        emit.store(left, products, given[4])
        emit.store(builder.fmul(left, factor), products, given[3])
        emit.store(builder.fdiv(one, factor), quotients, given[2])
        return context.get_dummy_value()

    return types.void(tau, product, node, hot, cold, e, former, q), generate


@intrinsic
def settle(typing: Any, tau: Any, product: Any, leaf: Any, value: Any) -> Any:
    """product[leaf] = product[leaf]·value, for a number."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        emit = _Emit(context, builder, len(tau))
        products = emit.data(signature.args[1], given[1])
        emit.store(builder.fmul(emit.load(products, given[2]), emit.all(given[3])), products, given[2])
        return context.get_dummy_value()

    return types.void(tau, product, leaf, value), generate


@intrinsic
def ascend(
    typing: Any,
    tau: Any,
    total: Any,
    node: Any,
    hot: Any,
    cold: Any,
    e: Any,
    former: Any,
    weight: Any,
    former_weight: Any,
    found: Any,
    feature: Any,
) -> Any:
    """total[node] = total[hot] + total[cold], and what a split adds to its feature: see the package's docstring."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        emit = _Emit(context, builder, len(tau))
        totals, quotients, sums = (emit.data(signature.args[place], given[place]) for place in (1, 5, 9))
        hot_sum, cold_sum = emit.load(totals, given[3]), emit.load(totals, given[4])
        both = builder.fadd(hot_sum, cold_sum)
        emit.store(both, totals, given[2])
        gain = builder.fmul(emit.load(quotients, given[2]), emit.all(given[7]))
        loss = builder.fmul(emit.load(quotients, given[6]), emit.all(given[8]))
        added = builder.fsub(builder.fsub(builder.fmul(hot_sum, gain), cold_sum), builder.fmul(both, loss))
        emit.store(builder.fadd(emit.load(sums, given[10]), added), sums, given[10])
        return context.get_dummy_value()

    return types.void(tau, total, node, hot, cold, e, former, weight, former_weight, found, feature), generate
