"""Nodes and weights of Gauss–Legendre quadrature on [0, 1], correctly rounded, the same on every machine."""

import math
from decimal import Decimal, localcontext
from functools import cache

_DIGITS = 50


@cache
def rule(count: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return `count` nodes in (0, 1) and their weights, which add up to 1: exact up to degree 2·count − 1.

    Newton's method on the Legendre polynomial in decimals, since the eigenvalues that numpy takes differ with its BLAS.
    """
    with localcontext() as context:
        context.prec = _DIGITS
        found = [_node(count, place) for place in range(count)]
        return tuple(float((1 + x) / 2) for x, _ in found), tuple(float(weight / 2) for _, weight in found)


def _node(count: int, place: int) -> tuple[Decimal, Decimal]:
    x = Decimal(-math.cos(math.pi * (place + 0.75) / (count + 0.5)))
    for _ in range(8):  # from 3 right digits to 50 it takes 5
        value, slope = _legendre(count, x)
        x -= value / slope
    slope = _legendre(count, x)[1]
    return x, 2 / ((1 - x * x) * slope * slope)


def _legendre(degree: int, x: Decimal) -> tuple[Decimal, Decimal]:
    """Return the Legendre polynomial and its derivative."""
    before, value = Decimal(1), x
    for k in range(2, degree + 1):
        before, value = value, ((2 * k - 1) * x * value - (k - 1) * before) / k
    return value, degree * (x * value - before) / (x * x - 1)
