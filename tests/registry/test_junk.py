"""What is no entry of ours, put there by whoever owns the database, breaks neither pages nor dossiers nor recovery."""

import shutil
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from governance.dossier import period
from registry import ledger, publishing, recovery
from registry.ledger import GOVERNANCE
from registry.models import Leaf, LedgerEntry, Tree
from tests import builders

JUNK = (
    b"x",
    b"\xff\x00",
    b"[]",
    b'{"facts":[]}',
    b'{"a":' + b"[" * 1500 + b"]" * 1500 + b"}",
    b'{"event":"e\\u0000","actor":7,"at":"soon","id":"mine","subject":"' + b"s" * 300 + b'"}',
)
NAMES = ("version:x", "model:x", "decision:x/y", "user:x", "user:²", "user:" + "9" * 90, "", ":", "x")
LOG = ("leaf", "tile", "tree", "checkpoint", "cosignature", "ledgerentry")


def enter(data, name):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO registry_ledgerentry (uuid, log, event, subject, actor, at, bytes) "
            "VALUES (gen_random_uuid(), 'governance', 'test', %s, %s, now(), %s)",
            [name, name, data],
        )


@pytest.fixture
def littered(committed):
    """A log with entries of all these forms and names in their places; returns its people."""
    builders.a_model(committed.ada)
    for data in JUNK:
        enter(data, "test:1")
    for name in NAMES:
        enter(b'{"facts":{}}', name)
    builders.sequence()
    return committed


def test_pages_show_it_as_it_is(littered):
    client = Client(raise_request_exception=True)
    client.force_login(littered.clara)
    page = client.get("/ledger")
    assert page.status_code == 200
    assert "user:x" in page.content.decode()
    for index in Leaf.objects.filter(log=GOVERNANCE, entry__event="test").values_list("index", flat=True):
        assert client.get(reverse("ledger-entry", args=[GOVERNANCE, index])).status_code == 200


def test_a_period_with_it_has_a_dossier(littered):
    now = builders.now()
    held = period.of_period(start=now - timedelta(days=1), until=now, model=None, now=now)
    lines = held.files["period/governance.jsonl"].split(b"\n")
    assert set(JUNK) <= set(lines)
    assert len(lines) == Leaf.objects.filter(log=GOVERNANCE).count() + 1
    assert held.named() >= {"fraud"}


def test_facts_of_it_are_none(littered):
    entries = LedgerEntry.objects.filter(event="test")
    assert [ledger.facts_of(entry) for entry in entries] == [{}] * (len(JUNK) + len(NAMES))


def test_a_database_that_was_rolled_back_gets_it_back(committed, tmp_path):
    builders.sequence()
    before = Tree.objects.filter(log=GOVERNANCE).order_by("-size").first().size
    for data in (*JUNK, *JUNK):
        enter(data, "test:1")
    builders.sequence()
    head = Tree.objects.filter(log=GOVERNANCE).order_by("-size").first()
    copy = shutil.copytree(publishing.folder(GOVERNANCE), tmp_path / "copy")
    with builders.superuser(*(f"registry_{name}" for name in LOG)) as execute:
        execute("DELETE FROM registry_cosignature")
        execute("DELETE FROM registry_checkpoint WHERE tree_id = %s", [head.pk])
        execute("DELETE FROM registry_tree WHERE id = %s", [head.pk])
        execute("DELETE FROM registry_leaf WHERE log = 'governance' AND index >= %s", [before])
        execute("DELETE FROM registry_ledgerentry WHERE event = 'test'")
    got = recovery.recover(log=GOVERNANCE, published=copy, by="service:test", now=builders.now())
    assert got == (before, before + 2 * len(JUNK))
    assert bytes(Tree.objects.get(log=GOVERNANCE, size=head.size).root) == bytes(head.root)
    rows = Leaf.objects.filter(log=GOVERNANCE, index__gte=before).order_by("index")
    assert [bytes(row.entry.bytes) for row in rows] == [*JUNK, *JUNK]
