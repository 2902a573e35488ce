"""One model's promotion is nobody else's wait."""

import os
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.files.storage import storages
from django.db import connections

from registry import canonical
from registry.refusals import Unknown
from scoring import serving
from scoring.models import RefusedLoad
from tests import builders

NOTE = b"a file of this version alone"
PATIENCE = 60


@contextmanager
def slow_disk():
    """Let the file NOTE come from a disk that answers only when told to: yields the telling."""
    digest = canonical.sha256(NOTE)
    path = Path(storages["artifacts"].path(f"{digest[:2]}/{digest[2:4]}/{digest}"))
    told = threading.Event()
    path.unlink()
    os.mkfifo(path)

    def answer():
        with path.open("wb") as file:  # opens when somebody reads
            asked.set()
            told.wait(PATIENCE)
            file.write(NOTE)

    asked = threading.Event()
    disk = threading.Thread(target=answer)
    disk.start()
    try:
        yield asked, told
    finally:
        told.set()
        disk.join(PATIENCE)
        path.unlink()
        path.write_bytes(NOTE)


@contextmanager
def asking(name):
    """Ask for a champion in a thread of its own; yields where its answer will be."""
    answers = []

    def ask():
        try:
            answers.append(serving.champion(name, now=builders.now()).package.version)
        except Exception as error:  # noqa: BLE001 - told to the test
            answers.append(error)
        finally:
            connections["default"].close()

    thread = threading.Thread(target=ask)
    thread.start()
    yield answers
    thread.join(PATIENCE)


def a_version_with_the_note(people, name):
    return builders.a_checked_version(people.ada, name, files={**builders.model_files(), "note.txt": NOTE})


def stale(name):
    serving._slots[name].asked -= serving.FRESH


def test_a_model_being_loaded_keeps_no_other_waiting(committed):
    quick = builders.a_champion(committed)
    slow = builders.a_champion(committed, a_version_with_the_note(committed, "slow"))
    with slow_disk() as (asked, told), asking("slow") as answers:
        assert asked.wait(PATIENCE)
        with asking("fraud") as others:
            pass
        assert others == [quick]
        assert answers == []
        told.set()
    assert answers == [slow]


def test_a_promotion_being_loaded_leaves_the_last_package_answering(committed):
    first = builders.a_champion(committed)
    assert serving.champion("fraud", now=builders.now()).package.version == first
    second = builders.a_champion(committed, a_version_with_the_note(committed, "fraud"))
    stale("fraud")
    with slow_disk() as (asked, told), asking("fraud") as answers:
        assert asked.wait(PATIENCE)
        stale("fraud")
        assert serving.champion("fraud", now=builders.now()).package.version == first
        assert answers == []
        told.set()
    assert answers == [second]
    assert serving.champion("fraud", now=builders.now()).package.version == second
    assert not RefusedLoad.objects.exists()


def test_names_of_no_model_leave_nothing_behind(people):
    for number in range(3):
        with pytest.raises(Unknown, match="No model named"):
            serving.champion(f"nothing {number}", now=builders.now())
    assert serving._slots == {}
