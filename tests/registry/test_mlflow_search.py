"""Searches of models and versions: MLflow's grammar, its order, its pages, and as many queries whatever the rows."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from mlflow.utils.search_utils import SearchModelUtils, SearchModelVersionUtils

from registry import labels, registrations, versions
from registry.api.mlflow import grammar
from registry.refusals import Invalid
from tests import builders

MODELS, VERSIONS = "/api/2.0/mlflow/registered-models/search", "/ajax-api/2.0/mlflow/model-versions/search"
NAMES = ("card-fraud", "Card-limits", "loans", "a_b", "it's")


@pytest.fixture
def shelf(ada):
    """Five models with tags, three versions each."""
    for place, name in enumerate(NAMES):
        model = versions.register_model(name=name, by=ada, now=builders.now(), description=name.upper())
        for key, value in (("team", "cards" if place < 2 else "loans"), ("x y", str(place))):
            labels.tag(model=model, registration=None, key=key, value=value, by=ada, now=builders.now())
        for number in (1, 2, 3):
            registrations.ask(
                model=model,
                source=f"s3://bucket/{name}/{number}",
                run_id=f"run{number}",
                tags={"try": str(number)},
                by=ada,
                now=builders.now(),
            )
    return {model.name: model for model in versions.RegisteredModel.objects.all()}


@pytest.fixture
def search(client, ada, issue_token, shelf):
    secret = issue_token(ada, "registry.read")

    def searched(path, text="", **more):
        answer = client.get(path, {"filter": text, **more}, headers={"Authorization": f"Bearer {secret}"})
        assert answer.status_code == 200, answer.content
        return answer.json()

    return searched


def names(answer):
    return [row["name"] for row in answer.get("registered_models", [])]


def numbered(answer):
    return [(row["name"], int(row["version"])) for row in answer["model_versions"]]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {*NAMES}),
        ("name = 'loans'", {"loans"}),
        ("name != 'loans'", {*NAMES} - {"loans"}),
        ("name LIKE 'Card%'", {"Card-limits"}),
        ("name ilike 'card%'", {"card-fraud", "Card-limits"}),
        ("name LIKE 'a_b'", {"a_b"}),
        ("name LIKE 'a\\_b'", set()),
        ('name = "it\'s"', {"it's"}),
        ("name IN ('loans', 'a_b', 'nobody')", {"loans", "a_b"}),
        ("name NOT IN ('loans', 'a_b')", {*NAMES} - {"loans", "a_b"}),
        ("tags.team = 'cards'", {"card-fraud", "Card-limits"}),
        ("tag.`x y` = '2'", {"loans"}),
        ("tags.\"x y\" != '2'", {*NAMES} - {"loans"}),
        ("tags.absent != 'x'", set()),
        ("tags.team = 'loans' AND name LIKE '%o%'", {"loans"}),
        ("tags.`mlflow.prompt.is_prompt` = 'false'", {*NAMES}),
        ("tags.`mlflow.prompt.is_prompt` != 'true'", {*NAMES}),
        ("tags.`mlflow.prompt.is_prompt` = 'true'", set()),
    ],
)
def test_models_are_found_as_mlflow_reads_the_filter(search, text, found):
    assert set(names(search(MODELS, text))) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("name = 'loans'", {("loans", 1), ("loans", 2), ("loans", 3)}),
        ("name ILIKE 'LOANS' and version_number > 1", {("loans", 2), ("loans", 3)}),
        ("name = 'loans' and version_number = '2'", {("loans", 2)}),
        ("version_number >= 3 and tags.try = '3' and name like 'a%'", {("a_b", 3)}),
        ("version_number > 99999999999999999999", set()),
        ("run_id = 'run2' and name = 'a_b'", {("a_b", 2)}),
        ("run_id IN ('run2', 'run3') and name = 'a_b'", {("a_b", 2), ("a_b", 3)}),
        ("run_id NOT IN ('run2', 'run3') and name = 'a_b'", {("a_b", 1)}),
        ("run_id != 'run2' and name = 'a_b'", {("a_b", 1), ("a_b", 3)}),
        ("run_id LIKE '%1' and name = 'a_b'", {("a_b", 1)}),
        ("source_path LIKE 's3://bucket/loans/%' and tags.try != '1'", {("loans", 2), ("loans", 3)}),
        ("name IN ('loans') and tags.team = 'loans'", set()),
    ],
)
def test_versions_are_found_as_mlflow_reads_the_filter(search, text, found):
    assert set(numbered(search(VERSIONS, text))) == found


def test_the_run_that_tracking_knew_is_found_too(search, ada):
    version = versions.register(
        model=builders.a_model(ada),
        files=builders.model_files(),
        by=ada,
        now=builders.now(),
        lineage={"source": "models:/m-1", "run_id": "known", "model_id": "m-1"},
    )
    assert numbered(search(VERSIONS, "run_id = 'known'")) == [("fraud", version.number)]
    assert search(VERSIONS, "run_id = 'known'")["model_versions"][0]["run_id"] == "known"


@pytest.mark.parametrize("path", [MODELS, VERSIONS])
@pytest.mark.parametrize(
    "text",
    [
        "name = 'a' OR 1 = 1",
        "name",
        "name = ",
        "name = 'a'; DROP TABLE x",
        "color = 'red'",
        "name > 'a'",
        "tags.team > 'a'",
        "tags.team IN ('a')",
        "name = 5",
        "name IN ()",
        "((((",
        "x" * 10_001,
    ],
)
def test_what_mlflow_does_not_understand_is_refused(client, ada, issue_token, path, text):
    secret = issue_token(ada, "registry.read")
    answer = client.get(path, {"filter": text}, headers={"Authorization": f"Bearer {secret}"})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize(
    "asked",
    [
        {"order_by": "color"},
        {"order_by": ["name", "name DESC"]},
        {"order_by": "tags.team"},
        {"max_results": "0"},
        {"max_results": "200001"},
        {"max_results": "-1"},
        {"page_token": "zzz"},
        {"page_token": grammar.token(1 << 40)},
    ],
)
def test_orders_and_pages_that_are_none_are_refused(client, ada, issue_token, asked):
    secret = issue_token(ada, "registry.read")
    answer = client.get(VERSIONS, asked, headers={"Authorization": f"Bearer {secret}"})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_order_and_pages(search, ada, shelf):
    assert names(search(MODELS)) == sorted(NAMES)
    assert names(search(MODELS, order_by="name DESC")) == sorted(NAMES, reverse=True)
    assert names(search(MODELS, order_by="creation_timestamp")) == list(NAMES)
    labels.describe(model=shelf["loans"], registration=None, text="new", by=ada, now=builders.now())
    assert names(search(MODELS, order_by="last_updated_timestamp DESC"))[0] == "loans"
    got, token = [], ""
    while True:
        answer = search(MODELS, max_results=2, page_token=token)
        got, token = got + names(answer), answer["next_page_token"]
        if not token:
            break
    assert got == sorted(NAMES)
    assert numbered(search(VERSIONS, "name = 'loans'", order_by="version_number ASC")) == [
        ("loans", n) for n in (1, 2, 3)
    ]
    assert numbered(search(VERSIONS, order_by=["name ASC", "version_number"]))[:2] == [
        ("Card-limits", 1),
        ("Card-limits", 2),
    ]
    assert numbered(search(VERSIONS, max_results=1)) == [("it's", 3)]
    first = shelf["a_b"].registrations.get(number=1)
    labels.describe(model=shelf["a_b"], registration=first, text="new", by=ada, now=builders.now())
    assert numbered(search(VERSIONS, order_by="last_updated_timestamp DESC", max_results=1)) == [("a_b", 1)]


@pytest.mark.parametrize(
    ("path", "few"), [(MODELS, "name = 'loans'"), (VERSIONS, "name = 'loans' AND version_number = 1")]
)
def test_the_number_of_queries_does_not_grow_with_the_rows(search, path, few):
    counts = []
    for text in (few, ""):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            search(path, text)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 8


def test_the_parser_is_mlflows_own():
    """The one that this process imported with all of mlflow, as the web's process does without."""
    assert grammar.SearchModelUtils is SearchModelUtils
    assert grammar.SearchModelVersionUtils is SearchModelVersionUtils
    with pytest.raises(Invalid, match="Invalid clause"):
        grammar.models("name = 'a' OR 1 = 1")
