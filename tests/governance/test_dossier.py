"""Dossiers: what each kind holds verifies offline, and whatever is changed, left out or made up is refused by name."""

import io
import json
import random
import subprocess
import sys
import zipfile

import pytest

from governance.dossier import issue, subjects, verify
from registry.refusals import Unavailable
from tests import builders


@pytest.fixture
def dossier(committed):
    builders.a_champion(committed)
    decision = builders.a_decision(committed, attributes={"age_band": "26-40"})
    builders.an_outcome(committed, decision, label=0, source="call centre", days=2)
    builders.an_outcome(committed, decision, label=1, source='Zoë "Z" Müller')
    issued = issue.for_decision(decision=decision, by=committed.clara, now=builders.now())
    builders.sequence()
    return issue.archive(issued)


def test_a_dossier_verifies_and_one_flipped_byte_anywhere_is_refused_and_named(dossier):
    summary = verify.verify(dossier)
    assert summary["entries"] > 10
    chance = random.Random(7)
    places = sorted(chance.sample(range(len(dossier)), 400))
    accepted = []
    for place in places:
        broken = bytearray(dossier)
        broken[place] ^= 1 << chance.randrange(8)
        try:
            verify.verify(bytes(broken))
        except verify.Bad as bad:
            assert str(bad)
        else:
            accepted.append(place)
    assert accepted == []


@pytest.mark.parametrize("part", ["manifest.json", "issued.json", "decision/answer.json", "checkpoints/decisions"])
def test_a_file_changed_inside_a_repacked_dossier_is_named(dossier, part):
    files = verify.unpack(dossier)
    changed = bytearray(files[part])
    changed[len(changed) // 2] ^= 1
    with pytest.raises(verify.Bad, match=part.split("/")[0].removesuffix(".json")):
        verify.verify(verify.pack({**files, part: bytes(changed)}))


def test_every_file_of_a_dossier_is_accounted_for(dossier):
    files = verify.unpack(dossier)
    for path in files:
        without = {name: data for name, data in files.items() if name != path}
        with pytest.raises(verify.Bad):
            verify.verify(verify.pack(without))
    with pytest.raises(verify.Bad, match="extra.txt"):
        verify.verify(verify.pack({**files, "extra.txt": b"x"}))


def repacked(files, **changed):
    """Pack a dossier whose manifest agrees with what was changed, as somebody would who has no key."""
    files = {**files, **{path.replace("__", "/"): data for path, data in changed.items()}}
    manifest = json.loads(files["manifest.json"])
    inside = [path for path in files if path in manifest["files"] or path.startswith(("entries/", "keys/", "records/"))]
    manifest["files"] = {path: verify.sha256(files[path]) for path in inside}
    return verify.pack({**files, "manifest.json": json.dumps(manifest).encode()})


def test_malformed_records_are_named_whatever_their_form(dossier):
    files = verify.unpack(dossier)
    entry = min(path for path in files if path.startswith("entries/"))
    broken = {
        "manifest.json": [b"[" * 100_000, b"[]", b"1" * 5000, b'{"format": "countersign-dossier/1", "files": [[1]]}'],
        entry: [b"[" * 100_000, b"[]", b"5"],
    }
    for path, forms in broken.items():
        for data in forms:
            changed = {**files, path: data}
            packed = verify.pack(changed) if path == "manifest.json" else repacked(changed)
            with pytest.raises(verify.Bad, match=path.split("/")[-1].split(".")[0]):
                verify.verify(packed)
    for path in ("entries/x", "entries/a/b/c.json", "keys/x.vkey"):
        with pytest.raises(verify.Bad, match=path):
            verify.verify(repacked({**files, path: files[entry]}))


def test_an_archive_that_would_unpack_to_more_than_it_holds_is_refused_unread(dossier, tmp_path):
    bomb, crowd = tmp_path / "bomb.zip", io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("zeros", "w") as file:
        for _ in range(300):
            file.write(bytes(1_000_000))
    with pytest.raises(verify.Bad, match="more than it holds"):
        verify.verify(bomb.read_bytes())
    with zipfile.ZipFile(crowd, "w") as archive:
        for number in range(66_000):
            archive.writestr(str(number), b"")
    with pytest.raises(verify.Bad, match="more than it holds"):
        verify.verify(crowd.getvalue())
    said = subprocess.run([sys.executable, verify.__file__, str(bomb)], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout.startswith("REFUSED  archive:"), said.stderr) == (1, True, "")


def test_a_name_in_an_archive_writes_no_line_of_its_own(dossier, tmp_path):
    path = tmp_path / "dossier.zip"
    path.write_bytes(verify.pack({**verify.unpack(dossier), "a\nVERIFIED  all": b""}))
    said = subprocess.run([sys.executable, verify.__file__, str(path)], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (1, "")
    assert said.stdout == "REFUSED  a\\nVERIFIED  all: not in the manifest\n"


def test_a_dossier_under_the_name_of_another_decision_is_refused(committed):
    builders.a_champion(committed)
    decision, other = builders.a_decision(committed), builders.a_decision(committed, 1)
    found = subjects.of_decision(decision)
    found.title = found.title.replace(str(decision.id), str(other.id))
    issued = issue._issue(f"decision:{other.id}", found, committed.clara, builders.now())
    builders.sequence()
    with pytest.raises(verify.Bad, match=f"title is not what it holds, which is decision {decision.id}"):
        verify.verify(issue.archive(issued))


def test_a_dossier_shows_each_outcome_and_the_log_shows_none(dossier):
    files = verify.unpack(dossier)
    told = sorted(files[path].decode() for path in files if path.startswith("decision/outcome/"))
    assert [json.loads(text)["label"] for text in told] == [0, 1]
    entries = b"".join(data for path, data in files.items() if path.startswith("entries/decisions/"))
    assert b"call centre" not in entries
    assert "Müller".encode() not in entries
    assert b"label" not in entries


def test_an_outcome_changed_before_the_dossier_was_issued_is_named(committed):
    """Whoever runs the platform can issue a dossier over anything; the entry made when the label came cannot follow."""
    builders.a_champion(committed)
    decision = builders.a_decision(committed)
    builders.an_outcome(committed, decision)
    honest = subjects.of_decision(decision)
    path = f"decision/outcome/{decision.outcomes.get().id}.json"
    honest.files[path] = honest.files[path].replace(b'"label":1', b'"label":0')
    forged = issue._issue(f"decision:{decision.id}", honest, committed.clara, builders.now())
    with builders.superuser("scoring_outcome") as execute:
        execute("UPDATE scoring_outcome SET label = 0")
    without = issue.for_decision(decision=decision, by=committed.clara, now=builders.now())
    builders.sequence()
    with pytest.raises(verify.Bad, match=f"{path}: not what was committed to when it was recorded"):
        verify.verify(issue.archive(forged))
    with pytest.raises(verify.Bad, match="entries/decisions/.*: the outcome it commits to is not in the dossier"):
        verify.verify(issue.archive(without))


def test_a_data_set_whose_protected_columns_were_forgotten_is_named(committed):
    version = builders.a_version(committed.ada, description="Second try.", tags={"team": "cards"})
    honest = issue.for_version(version=version, by=committed.clara, now=builders.now())
    with builders.superuser("registry_dataset") as execute:
        execute("UPDATE registry_dataset SET columns = replace(columns::text, 'protected', 'other')::jsonb")
    version.refresh_from_db()
    forged = issue.for_version(version=version, by=committed.clara, now=builders.now())
    builders.sequence()
    files = verify.unpack(issue.archive(honest))
    verify.verify(issue.archive(honest))
    assert any(b'"protected"' in data for path, data in files.items() if path.startswith("records/dataset/"))
    kept = [data for path, data in files.items() if path.startswith(("records/description/", "records/tag/"))]
    assert sorted(kept) == [b'"Second try."', b'{"key":"team","value":"cards"}']
    with pytest.raises(verify.Bad, match="records/dataset/.*: no proven entry names it"):
        verify.verify(issue.archive(forged))


def test_other_keys_than_the_pinned_ones_are_refused(dossier):
    with pytest.raises(verify.Bad, match="not a key you pinned"):
        verify.verify(dossier, ["countersign.example/log/governance+00000000+AAAA"])


def test_a_dossier_waits_until_its_entries_are_logged(committed):
    version = builders.a_version(committed.ada)
    issued = issue.for_version(version=version, by=committed.clara, now=builders.now())
    with pytest.raises(Unavailable, match="sequencer"):
        issue.archive(issued)
    builders.sequence()
    assert verify.verify(issue.archive(issued))["dossier"] == "fraud v1"
