"""Whatever bytes arrive: either they are read as what they say, or they are refused in words; nothing else happens."""

import gzip
import json
import math
import zlib

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from registry.refusals import Invalid, TooLarge
from registry.schema import Column, Schema
from scoring.protocols import bodies, inference, invocations, rows, tensors
from scoring.protocols.bodies import Malformed
from scoring.protocols.tensors import Tensor

SCHEMA = Schema(
    (
        Column("amount", "number", nullable=True),
        Column("hour", "integer"),
        Column("known", "boolean"),
        Column("channel", "category", categories=("web", "shop")),
    )
)
WIDTHS = {
    **{f"INT{bits}": f"<i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": f"<u{bits // 8}" for bits in (8, 16, 32, 64)},
    **{"FP16": "<f2", "FP32": "<f4", "FP64": "<f8"},
}
CALM = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # machines may be slow
PLAIN = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=5),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def one(datatype, values, **more):
    said = {"name": "x", "shape": [len(values)], "datatype": datatype, "data": values, **more}
    return tensors.read(said, tensors.Tail(b"")).values


def binary(datatype, data, count):
    said = {"name": "x", "shape": [count], "datatype": datatype, "parameters": {"binary_data_size": len(data)}}
    tail = tensors.Tail(data)
    found = tensors.read(said, tail).values
    tail.end()
    return found


@pytest.mark.parametrize("datatype", WIDTHS)
@CALM
@given(some.data())
def test_numbers_are_the_same_as_json_and_as_bytes(datatype, data):
    code = np.dtype(WIDTHS[datatype])
    if code.kind == "f":
        element = some.floats(width=code.itemsize * 8, allow_nan=False, allow_infinity=False)
    else:
        element = some.integers(int(np.iinfo(code).min), int(np.iinfo(code).max))
    values = data.draw(some.lists(element, min_size=1, max_size=9))
    assert one(datatype, values) == binary(datatype, np.array(values, code).tobytes(), len(values)) == values


@CALM
@given(
    some.lists(some.text(some.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9), max_size=9)
)
def test_texts_are_the_same_as_json_and_as_bytes(values):
    assert one("BYTES", values) == binary("BYTES", tensors.packed("BYTES", values), len(values)) == values


def test_a_narrow_number_is_what_its_width_holds_whichever_way_it_comes():
    assert one("FP32", [0.1]) == binary("FP32", np.float32(0.1).tobytes(), 1) == [float(np.float32(0.1))]


def test_missing_numbers_come_as_null_as_nan_and_as_bytes():
    for value in (None, math.nan):
        assert rows.of_lists(["amount"], [one("FP64", [value])], SCHEMA) == [{"amount": None}]
    assert rows.of_lists(["amount"], [binary("FP64", np.float64(math.nan).tobytes(), 1)], SCHEMA) == [{"amount": None}]
    assert bodies.parsed(b'{"NaN": "a \\" NaN", "x": [NaN]}') == {"NaN": 'a " NaN', "x": [None]}


@CALM
@given(some.lists(some.integers(1, 4), min_size=1, max_size=4), some.data())
def test_nested_data_is_read_row_by_row_as_its_shape_says(shape, data):
    values = np.array(range(math.prod(shape))).reshape(shape)
    said = {"name": "x", "shape": shape, "datatype": "INT32", "data": values.tolist()}
    assert tensors.read(said, tensors.Tail(b"")).values == values.flatten().tolist()
    wrong = data.draw(some.permutations([*shape, 2]))
    with pytest.raises(Malformed):
        tensors.read({**said, "shape": wrong}, tensors.Tail(b""))


@CALM
@given(some.binary(max_size=40), some.sampled_from(tensors.DATATYPES), some.integers(0, 50), some.integers(0, 9))
def test_any_binary_tail_is_read_or_refused(data, datatype, size, count):
    said = {"name": "x", "shape": [count], "datatype": datatype, "parameters": {"binary_data_size": size}}
    try:
        found = tensors.read(said, tensors.Tail(data)).values
    except Malformed as refusal:
        assert refusal.detail
    else:
        assert len(found) == count
        assert all(isinstance(value, int | float | bool | str) for value in found)


@pytest.mark.parametrize(
    "data",
    [b"\1", b"\1\0\0\0", b"\xff\xff\xff\xffabc", b"\1\0\0\0\xff", b"\1\0\0\0\0", b"\2\0\0\0ab\1\0"],
)
def test_texts_of_bad_lengths_are_refused(data):
    with pytest.raises(Malformed):
        binary("BYTES", data, 1)


@CALM
@given(some.fixed_dictionaries({}, optional=dict.fromkeys(("id", "parameters", "inputs", "outputs", "more"), PLAIN)))
def test_any_object_is_read_or_refused(said):
    for read in (lambda data: inference.read(data, None), lambda data: invocations.from_json(data, SCHEMA)):
        try:
            read(json.dumps(said).encode())
        except Invalid as refusal:
            assert refusal.detail


@CALM
@given(
    some.fixed_dictionaries(
        dict.fromkeys(("name", "shape", "datatype"), PLAIN), optional={"data": PLAIN, "parameters": PLAIN}
    )
)
def test_any_tensor_is_read_or_refused(said):
    try:
        read = inference.read(json.dumps({"inputs": [{**said, "name": "amount"}]}).encode(), None)
        rows.of_tensors(read.inputs, SCHEMA)
    except Invalid as refusal:
        assert refusal.detail


@CALM
@given(some.dictionaries(some.sampled_from(invocations._FORMS), PLAIN, min_size=1, max_size=1))
def test_any_invocation_is_read_or_refused(said):
    try:
        asked = invocations.from_json(json.dumps(said).encode(), SCHEMA)
    except Invalid as refusal:
        assert refusal.detail
    else:
        assert all(isinstance(row, dict) for row in asked.rows)


@CALM
@given(some.text(some.characters(exclude_categories=["Cs"]), max_size=60) | some.text('amount,hour\n"01.', max_size=60))
def test_any_csv_is_read_or_refused(text):
    try:
        invocations.from_csv(text.encode(), SCHEMA)
    except Invalid as refusal:
        assert refusal.detail


def test_csv_is_typed_by_the_features():
    text = b"amount,hour,known,channel\r\n1.5,3,True,web\r\n,4,0,shop\r\nnan,x,1,\r\n"
    assert invocations.from_csv(text, SCHEMA).rows == [
        {"amount": 1.5, "hour": 3, "known": True, "channel": "web"},
        {"amount": None, "hour": 4, "known": False, "channel": "shop"},
        {"amount": None, "hour": "x", "known": True, "channel": None},
    ]


@CALM
@given(some.binary(max_size=200), some.sampled_from(["gzip", "deflate"]))
def test_what_is_packed_is_unpacked_up_to_the_limit(data, coding):
    packed = {"gzip": gzip.compress, "deflate": zlib.compress}[coding](data)
    assert bodies.inflated(packed, coding, limit=len(data)) == data
    with pytest.raises(Malformed):
        bodies.inflated(packed[:-1], coding, limit=200)
    with pytest.raises(Malformed):
        bodies.inflated(packed + b"x", coding, limit=200)
    if data:
        with pytest.raises(TooLarge):
            bodies.inflated(packed, coding, limit=len(data) - 1)


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [("gzip", "gzip"), ("deflate, gzip", "deflate"), ("br, gzip;q=0.5", "gzip"), ("gzip;q=0", ""), ("*", ""), ("", "")],
)
def test_answers_are_packed_as_is_wished_and_only_when_it_pays(accepted, coding):
    long = b"x" * bodies.SMALL
    packed, found = bodies.deflated(long, accepted)
    assert found == coding
    assert bodies.inflated(packed, found, limit=len(long)) == long
    assert bodies.deflated(b"short", accepted) == (b"short", "")


def test_a_matrix_and_a_tensor_each_are_the_same_rows():
    numbers = Schema((Column("a", "number"), Column("b", "integer"), Column("c", "boolean")))
    matrix = Tensor("input", "FP64", (2, 3), [0.5, 3.0, 1.0, 1.5, 4.0, 0.0])
    each = [
        Tensor("c", "BOOL", (2, 1), [True, False]),
        Tensor("a", "FP32", (2,), [0.5, 1.5]),
        Tensor("b", "INT8", (2,), [3, 4]),
    ]
    assert rows.of_tensors([matrix], numbers) == rows.of_tensors(each, numbers)
    for wrong in ([], [*each, each[0]], [Tensor("a", "FP64", (2, 2), [1.0] * 4), *each[1:]], [each[0], matrix]):
        with pytest.raises(Invalid):
            rows.of_tensors(wrong, numbers)


def test_a_body_is_cut_where_its_header_says():
    assert bodies.cut(b"{}abc", "2") == (b"{}", b"abc")
    assert bodies.cut(b"{}", None) == (b"{}", b"")
    with pytest.raises(Malformed):
        bodies.cut(b"{}", "3")


def test_numbers_that_no_tensor_holds_are_refused():
    for said in (b"[1e400]", b"[" + b"9" * 400 + b"]"):
        with pytest.raises(Malformed):
            inference.read(
                b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": ' + said + b"}]}", None
            )
    assert orjson.loads(b"[1.0]") == one("FP64", [1])
