"""What an operator does on the command line: people, tokens, policies. All of it is entered."""

import io
import json

import pytest
from django.core.management import CommandError, call_command

from governance import demo_people
from governance.policy_defaults import DEFAULTS
from registry import people as registry_people
from registry import policies
from registry.models import LedgerEntry, Policy, ServiceToken, User
from tests import builders


def run(name, *arguments, typed=""):
    told = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO(typed))
        call_command(name, *arguments, stdout=told, stderr=io.StringIO())
    return told.getvalue().strip()


def test_an_operator_adds_somebody_who_can_then_sign_in(people, client):
    run("add_person", "heidi", "--name", "Heidi", "--role", "risk-analyst", typed="a long enough phrase\n")
    assert client.login(username="heidi", password="a long enough phrase")
    assert LedgerEntry.objects.filter(event="person.added", actor="service:command-line").count() == 1


@pytest.mark.parametrize(
    ("arguments", "typed", "reason"),
    [
        (["grace", "--role", "compliance"], "a long enough phrase\n", "known as grace already"),
        (["heidi", "--role", "king"], "a long enough phrase\n", "invalid choice: 'king'"),
        (["heidi", "--role", "compliance"], "short\n", "too short"),
    ],
)
def test_who_cannot_be_added_is_not(people, arguments, typed, reason):
    before = User.objects.count()
    with pytest.raises(CommandError, match=reason):
        run("add_person", *arguments, typed=typed)
    assert User.objects.count() == before


def test_a_program_gets_a_token_until_it_is_revoked(people, client):
    run("add_person", "batch", "--role", "decision-engine", "--service")
    secret = run("issue_token", "batch", "--name", "night run", "--days", "1")
    bearer = {"Authorization": f"Bearer {secret}"}
    assert client.get("/api/v1/models", headers=bearer).status_code == 200
    run("revoke_token", str(ServiceToken.objects.get(owner__username="batch").pk))
    assert client.get("/api/v1/models", headers=bearer).status_code == 401
    with pytest.raises(CommandError, match="may not do governance.sign"):
        run("issue_token", "batch", "--name", "too much", "--scope", "governance.sign")
    with pytest.raises(CommandError, match="Nobody is known as nobody"):
        run("issue_token", "nobody", "--name", "-")
    assert secret not in str(list(LedgerEntry.objects.values_list("bytes", flat=True)))


def test_a_policy_is_adopted_from_a_file(people, tmp_path):
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({**DEFAULTS[2], "review_budget": 0.02}))
    run("adopt_policy", "2", str(file))
    assert policies.in_force(2).rules["review_budget"] == 0.02
    before = Policy.objects.count()
    for wrong, reason in (("[]", "A policy holds"), ("{", "holds no rules"), ('{"checks": {}}', "A policy holds")):
        file.write_text(wrong)
        with pytest.raises(CommandError, match=reason):
            run("adopt_policy", "2", str(file))
    assert Policy.objects.count() == before


def test_the_demo_goes_on_after_its_tokens_have_ended_and_says_what_is_lost(db, settings, tmp_path, people):
    settings.HOME = tmp_path
    now = builders.now()
    file = demo_people.credentials_file()
    file.parent.mkdir()
    file.write_text(json.dumps({"passwords": dict.fromkeys(demo_people.PEOPLE, "x"), "tokens": {}}))
    demo_people.add(now)
    first = json.loads(file.read_text())
    demo_people.add(now)
    assert json.loads(file.read_text()) == first
    demo_people.add(builders.later(91))
    renewed = json.loads(file.read_text())
    assert renewed["passwords"] == first["passwords"]
    assert (
        registry_people.reason_against(registry_people.token_of(renewed["tokens"]["ada"]), builders.later(92)) is None
    )
    file.unlink()
    with pytest.raises(demo_people.Unavailable, match="passwords of the demo's ada, alan"):
        demo_people.add(now)
