"""Stored bytes that nobody loads are hashed again: what was lost or changed is found, entered and counted."""

import io

import pytest
from django.core.management import CommandError, call_command

from registry import artifacts, scrubbing
from registry.models import ArtifactCheck, LedgerEntry
from tests import builders

pytestmark = pytest.mark.usefixtures("kept_in")


@pytest.fixture
def kept_in(tmp_path, settings):
    local = settings.STORAGES["artifacts"] | {"OPTIONS": {"location": str(tmp_path / "artifacts")}}
    settings.STORAGES = settings.STORAGES | {"artifacts": local}


def scrub(**options):
    said = io.StringIO()
    try:
        call_command("scrub_artifacts", stdout=said, **options)
    except CommandError as error:
        return said.getvalue(), str(error)
    return said.getvalue(), ""


def entered():
    return list(
        LedgerEntry.objects.filter(event__startswith="artifact.").order_by("id").values_list("event", "subject")
    )


def test_every_file_of_versions_and_data_sets_is_looked_at_and_found_sound(people):
    version = builders.a_version(people.ada)
    said, failed = scrub()
    assert (said, failed) == ("Every artifact looked at is as it was stored.\n", "")
    looked_at = set(ArtifactCheck.objects.values_list("digest", flat=True))
    assert {file["sha256"] for file in version.artifact.values()} | {version.holdout.digest} <= looked_at
    assert (scrubbing.damaged(), entered()) == ([], [])


@pytest.mark.parametrize("verdict", ["changed", "missing"])
def test_a_damaged_file_is_named_entered_once_and_counted_until_it_is_restored(
    people, client, issue_token, settings, verdict
):
    version = builders.a_version(people.ada, data=False)
    digest = version.artifact["model.lgb"]["sha256"]
    path = builders.stored(digest)
    whole = path.read_bytes()
    path.unlink() if verdict == "missing" else path.write_bytes(whole[:-1] + b"?")

    for _ in range(2):
        said, failed = scrub()
        assert said == f"{verdict}  {digest}\n"
        assert "1 artifacts are not as they were stored" in failed
    assert entered() == [("artifact.damaged", f"artifact:{digest}")]
    settings.ROOT_URLCONF = "scoring.urls"
    reads = {"Authorization": f"Bearer {issue_token(people.ada, 'registry.read')}"}
    metrics = lambda: client.get("/metrics", headers=reads).content.decode()  # noqa: E731
    assert "\ncountersign_artifacts_damaged 1\n" in metrics()

    assert artifacts.put(whole) == digest
    assert scrub()[1] == ""
    assert entered()[1:] == [("artifact.restored", f"artifact:{digest}")]
    assert "\ncountersign_artifacts_damaged 0\n" in metrics()


def test_a_turn_is_bounded_and_goes_on_where_it_stopped(people):
    builders.a_version(people.ada, data=False)
    total = len(scrubbing._named())
    turns = 0
    while ArtifactCheck.objects.values("digest").distinct().count() < total:
        assert scrubbing.turn(builders.now(), most=1) == []
        turns += 1
        assert turns <= total
    assert turns > 1


def test_what_no_row_names_is_told_and_no_alarm(people):
    digest = artifacts.put(b"an intake that came to nothing")
    assert scrub() == (f"orphaned  {digest}\nEvery artifact looked at is as it was stored.\n", "")
