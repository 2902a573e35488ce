"""Rows in, vectors out; every wrong feature is named at once."""

import math

import pytest

from registry.refusals import Invalid
from registry.schema import Column, Schema

SCHEMA = Schema(
    (
        Column("amount", "number"),
        Column("count", "integer"),
        Column("known", "boolean"),
        Column("channel", "category", categories=("app", "web")),
        Column("opened", "date"),
        Column("age", "number", nullable=True),
    )
)
ROW = {"amount": 12.5, "count": 3, "known": True, "channel": "web", "opened": "1970-01-11", "age": None}


def test_a_row_becomes_a_vector():
    vector = SCHEMA.vector(ROW)
    assert vector[:5].tolist() == [12.5, 3, 1, 1, 10]
    assert math.isnan(vector[5])


def test_a_nullable_feature_may_be_left_out():
    assert math.isnan(SCHEMA.vector({k: v for k, v in ROW.items() if k != "age"})[5])


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("amount", "12", "must be a finite number, not str"),
        ("amount", float("nan"), "NaN"),
        ("amount", float("inf"), "infinite"),
        ("amount", 10**400, "infinite"),
        ("amount", None, "must not be missing"),
        ("amount", True, "not bool"),
        ("count", 3.5, "whole number"),
        ("count", 2**60, "53 bits"),
        ("known", 1, "true or false"),
        ("channel", "post", "is not one of the 2 known categories (app, web)"),
        ("channel", 1, "must be a word"),
        ("opened", "11.1.1970", "a date such as"),
        ("opened", 5, "a date such as"),
    ],
)
def test_a_wrong_value_is_named(name, value, reason):
    with pytest.raises(Invalid) as refused:
        SCHEMA.vector({**ROW, name: value})
    assert refused.value.reasons == [{"pointer": f"#/features/{name}", "detail": refused.value.reasons[0]["detail"]}]
    assert reason in refused.value.reasons[0]["detail"]


def test_every_wrong_feature_is_named_at_once():
    with pytest.raises(Invalid, match="3 features do not fit") as refused:
        SCHEMA.vector({**{k: v for k, v in ROW.items() if k != "count"}, "amount": "x", "colour": "red"})
    assert [reason["pointer"] for reason in refused.value.reasons] == [
        "#/features/amount",
        "#/features/count",
        "#/features/colour",
    ]


def test_a_schema_survives_its_json_form():
    assert Schema.load(SCHEMA.dump()) == SCHEMA


@pytest.mark.parametrize(
    "value", [5, [{"name": "x"}], [{"name": "x", "kind": "colour"}], [], [{"name": "x", "kind": "category"}]]
)
def test_what_is_no_schema_is_refused(value):
    with pytest.raises(Invalid):
        Schema.load(value)
