"""There is one sequencer: a second one stands by, and says who keeps it waiting."""

import logging
import threading

import pytest
from django.db import connection

from governance import privileges
from registry import sequencing
from tests import builders


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(sequencing, "_STANDBY", 0.01)


def stopping_after(tries):
    counted = iter(range(tries))
    return lambda: next(counted, None) is None


def test_who_holds_the_lock_of_the_sequencer_is_told_once(committed, quick, caplog):
    with builders.another_session("impostor") as other, connection.cursor() as cursor:
        other.execute("SELECT pg_advisory_lock(%s)", [sequencing._LOCK])
        cursor.execute(f"SET ROLE {privileges.SEQUENCER}")  # it may not see what another role does, but who it is
        try:
            with caplog.at_level(logging.WARNING, "registry.sequencing"):
                assert not sequencing.stand_by(stopping_after(19))
                assert caplog.messages == []
                assert not sequencing.stand_by(stopping_after(90))
        finally:
            cursor.execute("RESET ROLE")
        (told,) = caplog.messages
        assert f"session {other.info.backend_pid} of role {other.info.user} (impostor)" in told
        assert f"pg_terminate_backend({other.info.backend_pid})" in told


def test_a_sequencer_begins_when_the_lock_is_free(committed, quick):
    with builders.another_session("first") as other:
        other.execute("SELECT pg_advisory_lock(%s)", [sequencing._LOCK])
        freeing = threading.Timer(0.2, other.execute, ["SELECT pg_advisory_unlock_all()"])
        freeing.start()
        try:
            assert sequencing.stand_by(stopping_after(3000))
        finally:
            freeing.join()
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [sequencing._LOCK])
