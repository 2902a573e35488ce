"""What is said of models later on, and where aliases pointed when, told by MLflow's API and by ours."""

from datetime import timedelta
from urllib.parse import quote

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from registry import labels, ledger
from registry.ledger import Event
from registry.models import Alias, Description, LedgerEntry
from registry.refusals import Conflict, NotAllowed
from tests import builders

MLFLOW = "/api/2.0/mlflow"


@pytest.fixture
def version(ada):
    return builders.a_version(ada, data=False)


@pytest.fixture
def ask(client, issue_token):
    """Return a function that asks as somebody, with all their rights, and returns status and answer."""

    def asked(person, method, path, body=None, scopes=None):
        scopes = scopes or sorted(person.get_all_permissions())
        headers = {"Authorization": f"Bearer {issue_token(person, *scopes)}"}
        answer = getattr(client, method)(
            path, body, headers=headers, **({} if method == "get" else {"content_type": "application/json"})
        )
        return answer.status_code, answer.json()

    return asked


def test_a_description_is_written_anew_and_every_one_stays_on_record(ada, version, ask):
    status, answer = ask(ada, "patch", f"{MLFLOW}/registered-models/update", {"name": "fraud", "description": "Cards."})
    assert (status, answer["registered_model"]["description"]) == (200, "Cards.")
    assert answer["registered_model"]["last_updated_timestamp"] > answer["registered_model"]["creation_timestamp"]
    told = {"name": "fraud", "version": "1", "description": "Zoë's first."}
    status, answer = ask(ada, "patch", f"{MLFLOW}/model-versions/update", told)
    assert (status, answer["model_version"]["description"]) == (200, "Zoë's first.")
    ask(ada, "patch", f"{MLFLOW}/model-versions/update", {**told, "description": ""})
    status, answer = ask(ada, "get", f"{MLFLOW}/model-versions/get", {"name": "fraud", "version": "1"})
    assert answer["model_version"]["description"] == ""
    assert labels.description_of(version.model) == "Cards."
    assert [row.text for row in Description.objects.order_by("set_at")] == ["Cards.", "Zoë's first.", ""]
    entries = LedgerEntry.objects.filter(event=Event.MODEL_DESCRIBED)
    assert [entry.subject for entry in entries.order_by("id")] == [
        f"model:{version.model_id}",
        *[f"version:{version.pk}"] * 2,
    ]
    assert not any("Zoë" in bytes(entry.bytes).decode() for entry in entries)
    for change in ("update(text='x')", "delete()"):
        with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
            eval(f"Description.objects.all().{change}", {"Description": Description})  # noqa: S307


def test_an_update_says_what_to_write(ada, version, ask):
    status, answer = ask(ada, "patch", f"{MLFLOW}/registered-models/update", {"name": "fraud"})
    assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "'description'" in answer["message"]
    assert not Description.objects.exists()


def test_an_alias_tells_where_it_pointed_at_any_time_and_why(ada, version, ask):
    path = "/api/v1/models/fraud/aliases/candidate"
    assert ask(ada, "get", path)[0] == 404
    second, begun = builders.a_version(ada, data=False), timezone.now()
    body = {"name": "fraud", "alias": "candidate", "version": "1"}
    assert ask(ada, "post", f"{MLFLOW}/registered-models/alias", body) == (200, {})
    between = timezone.now()
    model = ask(ada, "get", f"{MLFLOW}/registered-models/get", {"name": "fraud"})[1]["registered_model"]
    assert model["aliases"] == [{"alias": "candidate", "version": "1"}]
    status, answer = ask(ada, "put", path, {"version": 2, "reason": "It finds more."})
    assert (status, answer["version"], answer["set_by"], answer["reason"]) == (200, 2, "ada", "It finds more.")
    assert ask(ada, "get", path, {"at": begun.isoformat()})[0] == 404
    assert ask(ada, "get", path, {"at": between.isoformat()})[1]["version"] == 1
    assert ask(ada, "get", f"{path}?at={between.isoformat()}")[1]["version"] == 1  # its plus is a space by then
    assert ask(ada, "get", f"{path}?at={quote((between + timedelta(days=1)).isoformat())}")[1]["version"] == 2
    assert ask(ada, "get", path, {"at": "yesterday"})[0] == 422
    ask(ada, "delete", f"{MLFLOW}/registered-models/alias", {"name": "fraud", "alias": "candidate"})
    now = ask(ada, "get", path)[1]
    assert [(move["version"], move["reason"]) for move in now["history"]] == [
        (None, ""),
        (2, "It finds more."),
        (1, ""),
    ]
    assert labels.alias_at(version.model, "candidate", timezone.now()).registration is None
    entry = LedgerEntry.objects.filter(event=Event.MODEL_ALIASED).order_by("id")[1]
    assert ledger.facts_of(entry)["version"] == str(second.pk)


@pytest.mark.parametrize(
    "body", [{}, {"version": 1}, {"version": "1", "reason": "x"}, {"version": 1, "reason": " "}, [1]]
)
def test_an_alias_is_moved_for_a_reason(ada, version, ask, body):
    status, answer = ask(ada, "put", "/api/v1/models/fraud/aliases/candidate", body)
    assert status == 422, answer
    assert not Alias.objects.exists()


def test_aliases_are_moved_by_the_owner_or_an_operator_and_nobody_else(people, version, ask):
    body = {"name": "fraud", "alias": "candidate", "version": "1"}
    path = f"{MLFLOW}/registered-models/alias"
    for stranger, why in ((people.trainer, "registry.move_alias"), (people.grace, "registry.move_alias")):
        status, answer = ask(stranger, "post", path, body)
        assert (status, answer["error_code"]) == (403, "PERMISSION_DENIED")
        assert why in answer["message"]
    assert ask(people.ada, "post", path, body, ["registry.read"])[0] == 403
    with pytest.raises(NotAllowed, match="its owner, ada"):
        labels.alias(
            model=version.model,
            name="candidate",
            registration=version.registration,
            by=people.trainer,
            now=timezone.now(),
        )
    assert not Alias.objects.exists()
    assert ask(people.olivia, "post", path, body) == (200, {})
    assert ask(people.ada, "post", path, {**body, "alias": "next"}) == (200, {})


@pytest.mark.parametrize("name", labels.SERVING_ALIASES)
def test_serving_aliases_are_nobodys_to_move(ada, version, name):
    with pytest.raises(Conflict, match="mirrors what is deployed"):
        labels.alias(model=version.model, name=name, registration=None, by=ada, now=timezone.now())


def test_champion_is_the_version_that_serves(people, ask):
    version = builders.a_champion(people)
    builders.a_version(people.ada, data=False)
    asked = {"name": "fraud", "alias": "champion"}
    status, answer = ask(people.ada, "get", f"{MLFLOW}/registered-models/alias", asked)
    assert (status, answer["model_version"]["version"]) == (200, str(version.number))
    assert answer["model_version"]["aliases"] == ["champion"]
    model = ask(people.ada, "get", f"{MLFLOW}/registered-models/get", {"name": "fraud"})[1]["registered_model"]
    assert model["aliases"] == [{"alias": "champion", "version": "1"}]
    assert model["latest_versions"][0]["aliases"] == []
    status, answer = ask(people.ada, "get", f"{MLFLOW}/registered-models/alias", {**asked, "alias": "canary"})
    assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
