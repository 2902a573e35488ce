"""Guessing at a password is slowed down and entered; it keeps nobody else from working."""

import pytest

from governance import approvals
from governance.models import Signature
from registry.models import LedgerEntry, WrongPassword
from registry.people import PAUSE
from registry.refusals import NotAllowed, TooMany
from tests import builders


def sign_in(client, username, password, address="203.0.113.7"):
    return client.post("/sign-in", {"username": username, "password": password}, REMOTE_ADDR=address)


def test_who_guesses_too_often_waits_even_with_the_right_password(people, client):
    for _ in range(5):
        answer = sign_in(client, "grace", "a guess").content.decode()
        assert "do not belong together" in answer
        assert "wrong passwords" not in answer
    assert (
        "5 wrong passwords were given within 15 minutes" in sign_in(client, "grace", builders.PASSWORD).content.decode()
    )
    assert "_auth_user_id" not in client.session
    assert WrongPassword.objects.count() == LedgerEntry.objects.filter(event="password.refused").count() == 5
    assert "203.0.113.7" not in str([bytes(entry.bytes) for entry in LedgerEntry.objects.all()])
    assert sign_in(client, "grace", builders.PASSWORD, "203.0.113.8").status_code == 302  # she herself, elsewhere


def test_a_stranger_to_us_is_told_no_more_than_anybody(people, client):
    assert "do not belong together" in sign_in(client, "nobody", "a guess").content.decode()
    assert not WrongPassword.objects.exists()


def test_a_session_in_foreign_hands_cannot_guess_the_password_that_signs(people):
    request = builders.a_request(people.ada)
    for _ in range(5):
        with pytest.raises(NotAllowed, match="password is not right"):
            builders.sign(request, people.grace, password="a guess")
    with pytest.raises(TooMany, match="Wait that long"):
        builders.sign(request, people.grace)
    assert not Signature.objects.exists()
    later = builders.now() + PAUSE
    approvals.sign(
        request=request,
        outcome="approve",
        meaning=approvals.MEANINGS["approve"],
        reason="I read the evidence.",
        password=builders.PASSWORD,
        by=people.grace,
        now=later,
    )
    assert Signature.objects.get().signer == people.grace
