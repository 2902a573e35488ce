"""A log of 200,000 entries is read and grown as fast as a short one: by ranges of indexes, never as a whole."""

import json

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from registry import ledger, sequencing
from registry.ledger import GOVERNANCE, Event
from registry.tlog import merkle
from tests import builders

LENGTH = 200_000
FEW = 1500  # blocks of 8 KiB; the table has more than 5,000

FILL = """
INSERT INTO registry_ledgerentry (uuid, log, event, subject, actor, at, bytes, xid)
SELECT gen_random_uuid(), %(log)s,
       CASE WHEN n %% 50000 = 7 THEN 'rare.noted' WHEN n %% 3 = 0 THEN 'check.performed' ELSE 'monitor.performed' END,
       CASE WHEN n %% 2 = 0 THEN 'test:busy' ELSE 'test:' || n %% 1000 END,
       'service:test', now(), convert_to(repeat('x', 120) || n, 'UTF8'), (n / 3000 + 3)::text::xid8
FROM generate_series(1, %(length)s) n ORDER BY n
"""
PLACE = """
INSERT INTO registry_leaf (log, index, entry_id, writer)
SELECT log, row_number() OVER (ORDER BY xid, id) - 1, id, '' FROM registry_ledgerentry
WHERE event IN (%(a)s, %(b)s, %(c)s)
"""


@pytest.fixture
def long_log(people):
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"log": GOVERNANCE, "length": LENGTH})
        cursor.execute(PLACE, {"a": "rare.noted", "b": "check.performed", "c": "monitor.performed"})
        cursor.execute("ANALYZE registry_ledgerentry, registry_leaf")
    return people


def blocks_read(captured):
    """Explain each query on entries again, as it was asked; return the blocks it needs, by its text."""
    found = {}
    with connection.cursor() as cursor:
        for sql in {query["sql"] for query in captured if "registry_ledgerentry" in query["sql"]}:
            if not sql.lstrip().startswith("SELECT"):
                continue
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}")
            explained = cursor.fetchone()[0]
            plan = (json.loads(explained) if isinstance(explained, str) else explained)[0]["Plan"]
            found[sql] = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    assert found
    return found


PAGES = (
    "",
    "event=rare",
    "event=check.performed",
    "event=nothing",
    "subject=test:17",
    "subject=test:busy&event=rare",
    "before=100000",
    "before=100000&event=check",
)


def test_each_page_of_the_ledger_reads_a_range(long_log):
    browser = Client()
    browser.force_login(long_log.clara)
    for asked in PAGES:
        with CaptureQueriesContext(connection) as captured:
            assert browser.get(f"/ledger?{asked}").status_code == 200
        long = {sql: blocks for sql, blocks in blocks_read(captured).items() if blocks > FEW}
        assert (asked, long) == (asked, {})


def test_health_and_the_sequencer_read_a_range(long_log):
    ledger.append(Event.PERSON_ADDED, subject="user:1", actor="test", at=builders.now(), facts={})
    with CaptureQueriesContext(connection) as captured:
        assert ledger.waiting_seconds(GOVERNANCE) < 60
        cursor = sequencing._greatest(GOVERNANCE)
        sequencer = sequencing.Sequencer(GOVERNANCE, [], merkle.Peaks(), None, None, None, cursor, 1)
        assert sequencer._behind() == []
        sequencer._pending()
    assert {sql: blocks for sql, blocks in blocks_read(captured).items() if blocks > 2 * FEW} == {}
