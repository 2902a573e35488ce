"""The model card: generated from the record, the author's words the only typed part, what is missing in plain sight."""

import json

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from governance import card, mlbom
from registry import artifacts, prose
from registry.models import LedgerEntry, Prose
from registry.refusals import Invalid, NotAllowed
from tests import builders

WORDS = {
    "intended_use": "Score card payments before they leave.",
    "limits": "Little history on new merchants.",
    "out_of_scope": "Deciding who gets credit.",
    "ethics": "Young customers are flagged more often.",
}


def write(version, by, **parts):
    return prose.write(version=version, by=by, now=builders.now(), **(parts or WORDS))


def bom(version) -> dict:
    now = builders.now()
    return mlbom.document(card.of(version, now.date()), now)


def assert_valid(document: dict) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is None


def test_the_author_writes_and_writes_anew_and_both_are_entered(ada):
    version = builders.a_version(ada, data=False)
    first, second = write(version, ada, limits="None."), write(version, ada)
    assert prose.of(version) == second
    assert prose.history(version) == [second, first]
    assert LedgerEntry.objects.filter(event="card.written", subject=f"version:{version.pk}").count() == 2


def test_who_neither_made_nor_owns_nor_keeps_it_writes_nothing(people):
    version = builders.a_version(people.ada, data=False)
    write(version, people.clara)
    for person in (people.grace, people.olivia, people.engine):
        with pytest.raises(NotAllowed, match="the author of the version"):
            write(version, person)
    assert Prose.objects.count() == 1


@pytest.mark.parametrize(
    "parts", [{"limits": " "}, {"limits": "x" * 8001}, {"limits": 3}, {"poem": "x"}, {"limits": "\0"}]
)
def test_what_is_no_prose_is_refused_and_nothing_is_recorded(ada, parts):
    version = builders.a_version(ada, data=False)
    with pytest.raises(Invalid):
        write(version, ada, **parts)
    assert not Prose.objects.exists()


def test_words_about_an_earlier_version_are_shown_as_such_until_new_ones_are_written(ada):
    first = builders.a_version(ada, data=False)
    write(first, ada)
    second = builders.a_version(ada, data=False)
    assert card.of(second, builders.now().date()).carried
    assert not card.of(first, builders.now().date()).carried
    write(second, ada, limits="None known.")
    assert not card.of(second, builders.now().date()).carried
    assert prose.of(first).intended_use == WORDS["intended_use"]


def test_the_page_shows_what_is_known_and_names_what_is_not_evidenced(people, browse):
    version = builders.a_champion(people)
    page = f"/models/fraud/versions/{version.number}/card"
    text = browse(people.clara).get(page).content.decode()
    assert version.digest in text
    assert version.training.digest in text
    assert "I read the evidence." in text
    assert "Not evidenced: intended use, limits, out-of-scope use, ethical considerations, run, code commit" in text
    assert browse(people.grace).post(page, WORDS).status_code == 403
    assert browse(people.ada).post(page, dict.fromkeys(WORDS, "")).status_code == 422
    assert not Prose.objects.exists()
    assert browse(people.ada).post(page, WORDS).status_code == 302
    text = browse(people.grace).get(page).content.decode()
    assert all(words in text for words in WORDS.values())
    assert "Not evidenced: run, code commit" in text


def test_programs_read_and_write_the_words(people, issue_token, client):
    version = builders.a_version(people.ada, data=False)
    address = f"/api/v1/models/fraud/versions/{version.number}/card"
    reads = {"HTTP_AUTHORIZATION": f"Bearer {issue_token(people.ada, 'registry.read')}"}
    writes = {"HTTP_AUTHORIZATION": f"Bearer {issue_token(people.ada, 'registry.read', 'registry.describe_model')}"}
    send = {"content_type": "application/json"}
    assert client.get(address, **reads).json() == {"prose": None, "history": []}
    assert client.post(address, WORDS, **send, **reads).status_code == 403
    assert client.post(address, {"by": "x"}, **send, **writes).status_code == 422
    assert not Prose.objects.exists()
    assert client.post(address, WORDS, **send, **writes).status_code == 201
    assert client.get(address, **reads).json()["prose"]["limits"] == WORDS["limits"]


def test_the_card_is_a_valid_ml_bom_with_every_file_data_set_and_requirement(people):
    version = builders.a_champion(people)
    write(version, people.ada)
    made = bom(version)
    assert_valid(made)
    model = made["metadata"]["component"]
    assert (model["type"], model["name"], model["version"]) == ("machine-learning-model", "fraud", "1")
    parts = {part["bom-ref"]: part for part in made["components"]}
    for path, file in version.artifact.items():
        assert parts[f"file:{path}"]["hashes"] == [{"alg": "SHA-256", "content": file["sha256"]}]
    for role in ("training", "holdout", "golden"):
        assert f"data:{getattr(version, role).digest}" in parts
    lock = artifacts.get(version.lineage["environment_digest"]).decode()
    pinned = [line for line in lock.splitlines() if "lightgbm==" in line]
    assert parts["pypi:lightgbm"]["purl"] == f"pkg:pypi/{pinned[0].replace('==', '@')}"
    depends = next(row["dependsOn"] for row in made["dependencies"] if row["ref"] == "model")
    assert set(depends) == set(parts)
    said = model["modelCard"]
    assert said["considerations"]["useCases"] == [WORDS["intended_use"]]
    assert any(
        row["slice"] == "performance" or row["slice"] == "Performance"
        for row in said["quantitativeAnalysis"]["performanceMetrics"]
    )
    assert said["considerations"]["fairnessAssessments"]
    missing = [row["value"] for row in said["properties"] if row["name"] == "countersign:not-evidenced"]
    assert "code commit" in missing
    assert "limits" not in missing


def test_a_version_of_which_little_is_known_is_a_valid_ml_bom_too_and_a_wrong_one_is_told(people, browse):
    builders.a_version(people.ada, data=False)
    answer = browse(people.clara).get("/api/v1/models/fraud/versions/1/card.cdx.json")
    assert answer["Content-Type"].startswith("application/vnd.cyclonedx+json")
    made = answer.json()
    assert_valid(made)
    made["metadata"]["component"]["modelCard"]["colour"] = "red"
    with pytest.raises(AssertionError):
        assert_valid(made)
