"""How long decisions may go on without the database is policy: past the bound they are refused, and nothing is kept."""

import time
from pathlib import Path

import pytest

from registry import policies
from registry.refusals import Invalid, Unavailable
from scoring import admission, committing, contact, outages, recording, serving
from scoring.models import Decision
from tests import builders


class Cut:
    """A committer whose database is gone."""

    def put(self, records):
        committing.lost(records, begin=True)


@pytest.fixture(autouse=True)
def _watched():
    """A server in which a watcher met the database a moment ago, and a journal of its own."""
    contact.begin()
    contact.met(time.monotonic())
    yield
    contact.end()
    with outages.journal.locked():
        outages.journal.erase()
    outages.vanished.clear()


def decide(people, **given):
    with committing.through(Cut()):
        return builders.a_decision(people, **given)


def serve(people):
    """A champion, and what a watcher's round brings."""
    builders.a_champion(people)
    for name in serving.behind():
        serving.bring(name, now=builders.now())
    admission.ask()


def under(people, **limits):
    builders.a_policy(people, outage=limits)
    serve(people)


def test_within_the_bounds_answers_are_kept(people):
    under(people, minutes=1, megabytes=1)
    made = decide(people, request_id="r")
    assert outages.decided(made.model_id, "r").pk == made.pk
    assert decide(people, request_id="r").pk == made.pk
    assert contact.gone()
    assert not Decision.objects.exists()


def test_what_a_journal_keeps_is_what_was_decided_to_the_bit(people):
    under(people, minutes=1, megabytes=1)
    made = decide(people, request_id="r", entity="c-17")
    kept = outages.decided(made.model_id, "r")
    assert recording.values(kept) == recording.values(made)


@pytest.mark.parametrize(
    ("limits", "words"),
    [({"minutes": 1, "megabytes": 1}, "for more than 1 minutes"), ({"minutes": 60, "megabytes": 0}, "holds 0 MB")],
)
def test_past_the_bound_it_is_refused_and_nothing_is_kept(people, limits, words):
    under(people, **limits)
    contact.met(time.monotonic() - 100)
    with pytest.raises(Unavailable, match=words):
        decide(people)
    assert not outages.journal.waits
    assert not Decision.objects.exists()


def test_a_journal_that_is_full_takes_no_more_and_keeps_what_it_has(people):
    under(people, minutes=60, megabytes=1)
    made = decide(people, request_id="first")
    with Path(outages.journal.path).open("rb") as file:
        before = file.read()
    outages.MEGABYTE, kept = len(before) + 100, outages.MEGABYTE
    try:
        with pytest.raises(Unavailable, match="the journal of this host holds 1 MB"):
            decide(people, request_id="second")
    finally:
        outages.MEGABYTE = kept
    assert Path(outages.journal.path).read_bytes() == before
    assert decide(people, request_id="first").pk == made.pk


def test_a_policy_that_says_nothing_of_outages_allows_none(people):
    rules = {name: part for name, part in policies.in_force(1).rules.items() if name != "outage"}
    policies.adopt(tier=1, rules=rules, by=people.alan, now=builders.now())
    serve(people)
    with pytest.raises(Unavailable, match="for more than 0 minutes"):
        decide(people)
    assert not outages.journal.waits


def test_without_a_watcher_nothing_is_kept_that_nobody_would_drain(people):
    under(people, minutes=60, megabytes=1)
    contact.end()
    with pytest.raises(Unavailable, match="The database does not answer"):
        decide(people)
    assert not outages.journal.waits


@pytest.mark.parametrize(
    "limits", [{}, {"minutes": 1}, {"minutes": -1, "megabytes": 1}, {"minutes": 1.5, "megabytes": 1}, 7]
)
def test_a_policy_with_bounds_that_bound_nothing_is_refused(people, limits):
    with pytest.raises(Invalid, match="`outage` holds `minutes` and `megabytes`"):
        builders.a_policy(people, outage=limits)
