"""What the intake worker makes of a registration: pinned bytes, or the reason why there are none."""

import os
import tracemalloc
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as django_settings

from registry import artifacts, datasets, pinning, registrations, versions
from registry.intake import folders, sources
from registry.models import IntakeAttempt, IntakeFile, ModelVersion
from registry.refusals import Invalid
from registry.schema import Schema
from scoring import trials
from tests import builders
from tests.hammer import killing

KILLS = int(os.environ.get("KILLS", "4"))


@pytest.fixture
def allowed(tmp_path, settings):
    """A folder that `file:` sources may name, with a model in it."""
    settings.INTAKE_ROOTS = [str(tmp_path)]
    write(tmp_path / "model")
    return tmp_path


def write(folder: Path) -> Path:
    for path, data in builders.model_files().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def ask(people, source, **given):
    model = builders.a_model(people.ada)
    return registrations.ask(model=model, source=source, by=people.ada, now=builders.now(), **given)


def bring_to_an_end(registration, now=None):
    pinning.perform(registration, now=now or builders.now(), trial=trials.examine)
    found = versions.registration_of("fraud", registration.number)
    return found, registrations.standing(found)


def test_a_folder_is_pinned_as_the_files_at_hand_would_be(people, allowed):
    at_hand = builders.a_version(people.ada, data=False)
    found, standing = bring_to_an_end(ask(people, f"file://{allowed}/model", description="second"))
    assert standing.status == "READY"
    assert found.version.artifact == at_hand.artifact
    assert (found.version.schema, found.version.registered_by) == (at_hand.schema, people.ada)
    assert (found.version.pk, found.version.description) == (found.pk, "second")
    assert pinning.waiting(builders.now()) == []
    (allowed / "model" / "MLmodel").write_text("overwritten")
    assert artifacts.files(found.version.artifact) == builders.model_files()


def test_what_has_ended_is_left_alone(people, allowed):
    registration = ask(people, f"file://{allowed}/model")
    bring_to_an_end(registration)
    bring_to_an_end(registration)
    assert (ModelVersion.objects.count(), IntakeAttempt.objects.count()) == (1, 1)


def test_the_files_of_an_interrupted_intake_are_not_fetched_again(people, allowed, monkeypatch):
    registration, read = ask(people, f"file://{allowed}/model"), []
    whole = folders._read

    def stops(path):
        read.append(path.name)
        if len(read) == 4:
            raise MemoryError
        return whole(path)

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(folders, "_read", stops)
        pinning.perform(registration, now=builders.now(), trial=trials.examine)
    assert (ModelVersion.objects.count(), IntakeFile.objects.count()) == (0, 3)
    assert pinning.waiting(builders.now()) == [registration]

    changed, again = read[0], []
    (allowed / "model" / changed).write_bytes((allowed / "model" / changed).read_bytes())  # it was touched since
    with monkeypatch.context() as patch:
        patch.setattr(folders, "_read", lambda path: again.append(path.name) or whole(path))
        found, _ = bring_to_an_end(registration)
    assert set(again) == {changed, *(set(map(os.path.basename, builders.model_files())) - set(read[:3]))}
    assert artifacts.files(found.version.artifact) == builders.model_files()


def _link(folder):
    (folder / "model" / "weights").symlink_to("/etc/passwd")


def _linked_folder(folder):
    (folder / "model").rename(folder / "real")
    (folder / "model").symlink_to(folder / "real")


def _pipe(folder):
    os.mkfifo(folder / "model" / "pipe")


def _deep(folder):
    deep = folder / "model" / "/".join("d" * 1 for _ in range(25))
    deep.mkdir(parents=True)
    (deep / "x").write_text("x")


def _many(folder):
    for number in range(2001):
        (folder / "model" / f"{number}").touch()


def _large(folder):
    with (folder / "model" / "large").open("wb") as file:
        file.truncate(django_settings.UPLOAD_LIMIT + 1)


def _odd(folder):
    (folder / "model" / "a\nb").write_text("x")


def _no_model(folder):
    (folder / "model" / "MLmodel").unlink()


def _large_document(folder):
    (folder / "model" / "MLmodel").write_bytes(b"#" * (pinning.LARGEST_DOCUMENT + 1))


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (_link, "symbolic link"),
        (_linked_folder, "symbolic link"),
        (_pipe, "no plain file"),
        (_deep, "20 deep"),
        (_many, "more than 2000 files"),
        (_large, "536870912 bytes"),
        (_odd, "is not accepted"),
        (_no_model, "no readable MLmodel"),
        (_large_document, "4,194,304 bytes"),
    ],
)
def test_files_that_are_not_accepted_fail_with_the_reason(people, allowed, made, why):
    made(allowed)
    found, standing = bring_to_an_end(ask(people, f"file://{allowed}/model"))
    assert (standing.status, why in standing.message) == ("FAILED_REGISTRATION", True), standing.message
    assert ModelVersion.objects.count() == 0


@pytest.mark.parametrize("source", ["nothing", "empty"])
def test_a_folder_without_files_is_unverified(people, allowed, source):
    (allowed / "empty").mkdir()
    found, standing = bring_to_an_end(ask(people, f"file://{allowed}/{source}"))
    assert (standing.status, found.refusal.kind) == ("READY", "unverified")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("/etc/passwd", "not yours"),
        ("file:///etc", "not yours"),
        ("file://elsewhere.example{root}/model", "not yours"),
        ("{root}/../etc", "'..' parts"),
        ("file://{root}/%2e%2e/etc", "'..' parts"),
        ("file://{root}/%252e%252e/etc", "'..' parts"),
        ("mlflow-artifacts:/0/../../etc", "'..' parts"),
        ("s3://bucket/..\\x", "'..' parts"),
        ("models:/m-0/../../runs/search", "'..' parts"),
        ("s3://bucket/a\x00b", "odd letters"),
        ("https://[::1", "no address"),
        ("https://ada:secret@models.example/m", "password or key"),
        ("s3://key:secret@bucket/m", "password or key"),
        ("wasbs://key:secret@account/m", "password or key"),
        ("https://account.blob.example/c/m?sv=1&sig=abc", "password or key"),
        ("path/to/model", "not yours"),
        ("", "not yours"),
    ],
)
def test_an_address_that_can_never_be_taken_is_refused_when_it_is_asked_for(allowed, source, why):
    with pytest.raises(Invalid, match=why):
        sources.admit(source.replace("{root}", str(allowed)))


def test_without_a_setting_no_folder_of_this_machine_is_read(people, allowed, settings):
    settings.INTAKE_ROOTS = []
    found, standing = bring_to_an_end(ask(people, f"file://{allowed}/model"))
    assert (found.refusal.kind, "not yours" in standing.message) == ("failed", True)


@pytest.mark.parametrize("source", ["abfss://container@account.dfs.core.windows.net/m", "runs:/0/m", "gs://b/m"])
def test_addresses_that_look_odd_but_are_none_are_admitted(source):
    sources.admit(source)


def test_a_server_that_is_away_is_asked_again_for_a_while(people, settings, tmp_path):
    settings.TRACKING_SOCKET = str(tmp_path / "nobody.sock")
    registration = ask(people, "runs:/0a/model")
    _, standing = bring_to_an_end(registration)
    assert standing.status == "PENDING_REGISTRATION"
    assert pinning.waiting(builders.now()) == [registration]
    found, standing = bring_to_an_end(registration, builders.now() + pinning.PATIENCE + timedelta(seconds=1))
    assert (found.refusal.kind, "does not answer" in standing.message) == ("unverified", True)


def test_a_registration_that_ends_no_attempt_is_given_up(people, allowed):
    registration = ask(people, f"file://{allowed}/model")
    hours_ago = builders.later(-0.1)
    for _ in range(pinning.ATTEMPTS):
        IntakeAttempt.objects.create(registration=registration, started_at=hours_ago)
    later = ask(people, f"file://{allowed}/model")
    found = pinning.waiting(builders.now())
    assert found == [later, registration], "one that kills its worker must not stand before the others"
    _, standing = bring_to_an_end(registration)
    assert f"interrupted {pinning.ATTEMPTS} times" in standing.message


def test_attempts_are_made_after_ever_longer_pauses(people, allowed):
    registration, began = ask(people, f"file://{allowed}/model"), builders.now()
    seconds = lambda number: began + timedelta(seconds=number)  # noqa: E731
    for _ in range(pinning.AT_ONCE):
        IntakeAttempt.objects.create(registration=registration, started_at=began)
        assert pinning.waiting(began) == [registration]
    for number in range(1, pinning.ATTEMPTS):
        IntakeAttempt.objects.create(registration=registration, started_at=began)
        pause = min(2**number, pinning.LONGEST_PAUSE)
        assert pinning.waiting(seconds(pause - 0.5)) == []
        assert pinning.waiting(seconds(pause)) == [registration]


def test_workers_that_are_killed_at_random_leave_nothing_half_pinned(committed, allowed):
    found = killing.strike(committed, allowed, kills=KILLS)
    assert (found["kills"], found["left"], found["half-pinned"]) == (KILLS, 0, 0)
    assert [row.number for row in ModelVersion.objects.order_by("number")] == list(range(1, found["pinned"] + 1))


def test_ranges_are_learned_from_the_reference_data(people, allowed):
    with_data = builders.a_version(people.ada)
    reference = with_data.reference
    rows = datasets.read(reference).to_pandas()
    found, standing = bring_to_an_end(
        ask(people, f"file://{allowed}/model", tags={"countersign.reference": reference.digest})
    )
    assert (standing.status, standing.message) == ("READY", "")
    schema = Schema.load(found.version.schema)
    for column in schema.columns:
        if column.kind in ("number", "integer"):
            assert (column.low, column.high) == (rows[column.name].min(), rows[column.name].max())
        if column.kind == "category":
            assert (column.low, column.high) == (None, None)
    assert [c.categories for c in schema.columns] == [c.categories for c in Schema.load(with_data.schema).columns]

    row = builders.features()
    name = next(c.name for c in schema.columns if c.kind == "number" and c.high is not None)
    assert schema.outside(row | {name: schema.columns[schema.names.index(name)].high}) == schema.outside(row)
    beyond = row | {name: schema.columns[schema.names.index(name)].high * 2 + 1}
    assert name in schema.outside(beyond)
    assert schema.vector(beyond)[schema.names.index(name)] == beyond[name], "it is told of, not refused"


def test_a_large_file_is_received_in_little_memory():
    piece = os.urandom(1024 * 1024)
    tracemalloc.start()
    digest, size = artifacts.receive(piece for _ in range(200))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (size, artifacts.rehash(digest)) == (200 * len(piece), digest)
    assert most < 40 * len(piece)
