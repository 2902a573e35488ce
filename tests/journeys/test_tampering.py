"""What somebody with power over the machine can do to the record, and what catches it."""

import io
import json
import random
import subprocess
import sys
import time
import zipfile

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.utils import ProgrammingError

from governance import privileges
from governance.dossier import contents, issue, verify
from registry import anchor, canonical, ledger, proofs, sequencing
from registry.ledger import GOVERNANCE
from registry.models import Checkpoint, LedgerEntry, Tile, Tree
from registry.refusals import Mismatch, Unavailable
from registry.tlog import merkle, notes
from registry.tlog.notes import Signer
from scoring import serving
from scoring.models import Decision, RefusedLoad
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
    found = contents.of_decision(decision)
    found.title = found.title.replace(str(decision.id), str(other.id))
    issued = issue._issue("decision", f"decision:{other.id}", found, committed.clara, builders.now())
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
    honest = contents.of_decision(decision)
    path = f"decision/outcome/{decision.outcomes.get().id}.json"
    honest.files[path] = honest.files[path].replace(b'"label":1', b'"label":0')
    forged = issue._issue("decision", f"decision:{decision.id}", honest, committed.clara, builders.now())
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


@pytest.mark.parametrize("statement", ["UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
@pytest.mark.parametrize("table", ["registry_ledgerentry", "scoring_decision", "governance_signature"])
def test_append_only_tables_refuse_even_their_owner(people, statement, table):
    with (
        pytest.raises(IntegrityError, match="never changed"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement.format(table))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE registry_ledgerentry SET actor = 'user:1'",
        "DELETE FROM scoring_decision",
        "INSERT INTO registry_ledgerentry (uuid, log, event, subject, actor, at, bytes, xid) "
        "VALUES (gen_random_uuid(), 'governance', 'e', 's', 'a', now(), 'x', '3')",
        "INSERT INTO registry_tree (log, size, previous, root, at) VALUES ('governance', 9, 8, 'x', now())",
        "ALTER TABLE scoring_decision DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
    ],
)
@pytest.mark.parametrize("role", [privileges.APP, privileges.SCORING])
def test_runtime_roles_may_not(people, role, statement):
    with (
        pytest.raises(ProgrammingError, match="permission denied|must be owner"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"SET LOCAL ROLE {role}")
        cursor.execute(statement)


LOG = ("registry_ledgerentry", "registry_leaf", "registry_tile", "registry_tree", "registry_checkpoint")


@pytest.fixture
def logged(committed):
    """A log with complete tiles, over two heads, every entry in its place; returns the older published checkpoint."""
    builders.a_version(committed.ada, data=False)
    builders.sequence()
    older = anchor.path(GOVERNANCE).read_text()
    with transaction.atomic():
        for number in range(300):
            facts = {"number": number}
            ledger.append("test.done", subject="test:1", actor="test", at=builders.now(), facts=facts)
    builders.sequence()
    call_command("verify_ledger")
    return older


def forge(execute, *, columns=True):
    """Say that somebody else registered the version."""
    entry = LedgerEntry.objects.get(event="version.registered")
    said = json.loads(bytes(entry.bytes)) | {"actor": "user:999"}
    execute("UPDATE registry_ledgerentry SET bytes = %s WHERE id = %s", [json.dumps(said).encode(), entry.pk])
    if columns:
        execute("UPDATE registry_ledgerentry SET actor = 'user:999' WHERE id = %s", [entry.pk])


def forge_tree(execute):
    """Recompute every tile and head over the entries as they now are."""
    rows = LedgerEntry.objects.filter(leaf_row__log=GOVERNANCE).order_by("leaf_row__index")
    leaves = [merkle.leaf_hash(bytes(data)) for data in rows.values_list("bytes", flat=True)]
    for tile in Tile.objects.filter(log=GOVERNANCE, level=0):
        held = leaves[tile.number * 256 : tile.number * 256 + 256]
        execute(
            "UPDATE registry_tile SET hashes = %s, root = %s WHERE id = %s",
            [b"".join(held), merkle.root_of(held), tile.pk],
        )
    for head in Tree.objects.filter(log=GOVERNANCE):
        execute("UPDATE registry_tree SET root = %s WHERE id = %s", [merkle.root_of(leaves[: head.size]), head.pk])


def refuses(words, *, sequencer=True):
    """Say that verify_ledger refuses in these words, and that no sequencer signs on top of it."""
    published = anchor.path(GOVERNANCE).read_bytes() if anchor.path(GOVERNANCE).exists() else None
    signed = Checkpoint.objects.count()
    with pytest.raises(CommandError, match=words):
        call_command("verify_ledger")
    if sequencer:
        with pytest.raises(Mismatch):
            sequencing.Sequencer.open(GOVERNANCE).advance(builders.now())
        assert Checkpoint.objects.count() == signed
        assert published == (anchor.path(GOVERNANCE).read_bytes() if anchor.path(GOVERNANCE).exists() else None)


def test_verify_ledger_finds_an_entry_whose_bytes_were_rewritten(logged):
    with builders.superuser(*LOG) as execute:
        forge(execute, columns=False)
    refuses(r"Entry \d+ of the governance log: its columns do not repeat what its bytes say", sequencer=False)


def test_verify_ledger_finds_an_entry_rewritten_with_its_columns(logged):
    with builders.superuser(*LOG) as execute:
        forge(execute)
    refuses(r"its first \d+ entries do not hash to the head signed over them", sequencer=False)


def test_verify_ledger_finds_a_tree_recomputed_without_the_key(logged):
    with builders.superuser(*LOG) as execute:
        forge(execute)
        forge_tree(execute)
    refuses(r"The checkpoint of the governance log at \d+ speaks of another tree")


def test_a_recomputed_tree_is_not_signed_after_the_sequencers_restart_and_verify_ledger_finds_it(logged):
    with builders.superuser(*LOG) as execute:
        forge(execute)
        forge_tree(execute)
        execute("DELETE FROM registry_checkpoint")
    refuses("not those its anchor was signed over: they were rewritten afterwards")


def test_tiles_that_show_the_published_head_but_not_its_extension_are_not_signed(logged):
    """Only the root kept beside a tile is forged: the published head could still be recomputed from the rest."""
    anchor.path(GOVERNANCE).write_text(logged)
    with builders.superuser(*LOG) as execute:
        execute("DELETE FROM registry_checkpoint")
        execute("UPDATE registry_tile SET root = sha256('forged') WHERE log = 'governance'")
        tree = proofs.StoredTree(GOVERNANCE)
        head = Tree.objects.filter(log=GOVERNANCE).latest("size")
        forged = merkle.Peaks(head.size, [tree.subtree(*place) for place in merkle.peaks_at(head.size)]).root()
        execute("UPDATE registry_tree SET root = %s WHERE id = %s", [forged, head.pk])
    with pytest.raises(Mismatch, match="rewritten afterwards"):
        sequencing.Sequencer.open(GOVERNANCE)


def test_verify_ledger_finds_a_tail_cut_off_with_its_heads_and_checkpoints(logged):
    kept = Tree.objects.filter(log=GOVERNANCE).earliest("size").size
    with builders.superuser(*LOG) as execute:
        execute("DELETE FROM registry_checkpoint USING registry_tree t WHERE t.id = tree_id AND t.size > %s", [kept])
        execute("DELETE FROM registry_tree WHERE log = 'governance' AND size > %s", [kept])
        execute("DELETE FROM registry_tile WHERE log = 'governance'")
        execute("DELETE FROM registry_leaf WHERE log = 'governance' AND index >= %s", [kept])
        execute(
            "DELETE FROM registry_ledgerentry e WHERE NOT EXISTS (SELECT 1 FROM registry_leaf WHERE entry_id = e.id)"
        )
    refuses(rf"has \d+ entries, the database {kept}: its log was cut, or it was rolled back")


def test_verify_ledger_finds_places_taken_away(logged):
    with builders.superuser(*LOG) as execute:
        execute("DELETE FROM registry_leaf WHERE index = (SELECT max(index) FROM registry_leaf)")
    refuses(r"The governance log ends at entry \d+, but heads up to \d+ are on record")


def test_a_published_checkpoint_that_is_lost_older_or_foreign_stops_the_sequencer(logged):
    file = anchor.path(GOVERNANCE)
    genuine = file.read_text()
    file.unlink()
    refuses("there is no anchor .*/log-anchor/governance: nobody can tell")
    file.write_text(logged)
    refuses(r"has \d+ entries, but \d+ were signed: an older file was put in its place")
    stranger = Signer(proofs.origin(GOVERNANCE), bytes(32))
    file.write_text(notes.sign(genuine.partition("\n\n")[0] + "\n", stranger))
    refuses("was not written by its sequencer: The note carries no signature")
    file.write_text(genuine)
    call_command("verify_ledger")
    assert sequencing.Sequencer.open(GOVERNANCE).advance(builders.now()) == 0


def test_a_sequencer_whose_file_was_replaced_while_it_runs_publishes_nothing(logged, committed):
    running = sequencing.Sequencer.open(GOVERNANCE)
    anchor.path(GOVERNANCE).write_text(logged)
    builders.a_version(committed.ada, data=False)
    with pytest.raises(Mismatch, match="not the one this sequencer knows"):
        while running.advance(builders.now()) == 0:
            time.sleep(0.05)
    assert anchor.path(GOVERNANCE).read_text() == logged


def test_a_sequencer_killed_between_publishing_and_putting_on_record_goes_on(logged):
    published = anchor.path(GOVERNANCE).read_bytes()
    with builders.superuser("registry_checkpoint") as execute:
        execute("DELETE FROM registry_checkpoint WHERE tree_id = (SELECT max(tree_id) FROM registry_checkpoint)")
    sequencing.Sequencer.open(GOVERNANCE).advance(builders.now())
    assert anchor.path(GOVERNANCE).read_bytes() == published
    call_command("verify_ledger")


def test_a_swapped_artifact_file_never_scores_and_raises_no_silent_wrong_model(people):
    version = builders.a_champion(people)
    with builders.changed_on_disk(version), pytest.raises(Unavailable, match="does not verify"):
        builders.a_decision(people)
    assert not Decision.objects.exists()
    reason = RefusedLoad.objects.get().reason
    assert "changed after they were registered" in reason
    entry = LedgerEntry.objects.get(event="deployment.refused")
    assert ledger.facts_of(entry)["reason"] == canonical.digest(reason)


def test_a_warrant_of_another_model_is_refused(committed):
    builders.a_champion(committed)
    warrant = serving.champion("fraud", now=builders.now()).deployment.warrant
    other = builders.a_champion(committed, builders.a_checked_version(committed.ada, "other"))
    deployment = other.packages.get().deployments.get()
    deployment.warrant = warrant
    with pytest.raises(Mismatch, match="package, model, request, order differ"):
        serving.load(deployment)


def test_a_repointed_deployment_leaves_the_last_good_package_in_place(committed):
    version = builders.a_champion(committed)
    assert builders.a_decision(committed).deployment.package.version == version
    other = builders.a_champion(committed, builders.a_checked_version(committed.ada, "other"))
    with builders.superuser("scoring_deployment") as execute:
        execute(
            "UPDATE scoring_deployment SET model_id = %s WHERE package_id = %s",
            [version.model_id, other.packages.get().pk],
        )
    serving._slots["fraud"].asked = 0
    assert builders.a_decision(committed, 1).deployment.package.version == version
    assert "not warranted" in RefusedLoad.objects.get().reason
