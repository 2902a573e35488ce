"""Breaches: kept whatever their writers are called, and answered in the log or not at all."""

import json
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.db.utils import IntegrityError

from governance.privileges import APP
from registry import breaches, canonical
from registry.models import Breach, BreachAnswer, LedgerEntry
from registry.refusals import Invalid
from registry.tlog.writers import Fault, Gap, Writers
from tests.builders import now

pytestmark = pytest.mark.django_db
FAULT = Fault("w1", 1, 2, "a number comes twice or late")


def kept(wrong=FAULT, log="decisions"):
    return breaches.of_writer(log=log, wrong=wrong, now=now())


def answered(breach):
    return breaches.answer(breach_id=breach.pk, reason="looked into", by="user:1", now=now())


@pytest.mark.parametrize("wrong", [FAULT, Gap("w1", 2, 9, 1)])
def test_the_answer_is_entered_as_verifiers_of_the_log_look_for_it(wrong):
    breach = kept(wrong)
    answered(breach)
    entry = LedgerEntry.objects.get(subject=f"breach:{breach.pk}")
    writers = Writers()
    numbers = [1, 10] if isinstance(wrong, Gap) else [1, 2, 1]
    for number in numbers:
        writers.feed(json.dumps({"writer": ["w1", number]}).encode())
    assert writers.gaps or writers.faults
    writers.feed(bytes(entry.bytes))
    assert (writers.gaps, writers.faults) == ([], [])
    assert not breaches.unanswered("decisions").exists()


@pytest.mark.parametrize("detail", ["字" * 3000, "x" * 1999 + "字", "a\0b", "\ud800"])
def test_a_breach_is_kept_once_whatever_its_detail(detail):
    made = [breaches.record(log="decisions", kind="refused", detail=detail, now=now()) for _ in range(2)]
    assert made[0] == made[1]
    assert len(made[0].detail.encode()) <= breaches.LONGEST


def test_details_that_differ_behind_the_cut_are_two():
    for end in "ab":
        breaches.record(log="decisions", kind="refused", detail="字" * 3000 + end, now=now())
    assert Breach.objects.count() == 2


def insert(breach, by="user:1", entry=None):
    """Answer a breach by raw SQL as the application's role, with an entry or without; say whether it was taken."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL ROLE {APP}")
            if entry:
                cursor.execute(
                    "INSERT INTO registry_ledgerentry (uuid, log, event, subject, actor, at, bytes) "
                    "VALUES (%(id)s, %(log)s, %(event)s, %(subject)s, %(actor)s, %(at)s, %(bytes)s)",
                    entry,
                )
            cursor.execute(
                "INSERT INTO registry_breachanswer (breach_id, reason, answered_by, answered_at) "
                "VALUES (%s, 'nothing', %s, now())",
                [breach.pk, by],
            )
    except IntegrityError as error:
        assert "is not acknowledged in its log" in str(error)
        assert not BreachAnswer.objects.filter(breach=breach).exists()
        return False
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET ROLE")
    return True


def entered(breach, **other):
    said = {
        "id": str(other.get("id", breach.pk)),
        "event": "breach.acknowledged",
        "subject": f"breach:{breach.pk}",
        "actor": "user:1",
    }
    said |= {"at": now().isoformat(), **{name: str(value) for name, value in other.items() if name in said}}
    text = json.dumps({**said, "v": 1, "facts": {}, "writer": ["w9", 1]}, sort_keys=True, separators=(",", ":"))
    return {**said, "log": other.get("log", "decisions"), "bytes": text.encode()}


def test_an_answer_without_its_entry_is_refused():
    breach = kept()
    assert not insert(breach)
    assert insert(breach, entry=entered(breach))


@pytest.mark.parametrize(
    "other",
    [
        {"log": "governance"},
        {"event": "gap.acknowledged"},
        {"actor": "user:2"},
        {"subject": "breach:x"},
        {"id": uuid4()},
    ],
)
def test_the_entry_must_be_the_one_of_the_answer(other):
    breach = kept()
    assert not insert(breach, entry=entered(breach, **other))


def test_a_breach_is_answered_once():
    breach = kept()
    answered(breach)
    with pytest.raises(Invalid, match="answered already"):
        answered(breach)
    assert LedgerEntry.objects.filter(subject=f"breach:{breach.pk}").count() == 1


def test_a_detail_that_was_cut_names_the_whole():
    detail = "字" * 3000
    breach = breaches.record(log="decisions", kind="refused", detail=detail, now=now())
    assert breach.detail.endswith(f"(SHA-256 {canonical.sha256(detail.encode())})")
