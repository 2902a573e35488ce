"""What somebody with power over the machine can do to the record, and what catches it."""

import time

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.utils import ProgrammingError

from governance import privileges
from registry import anchor, canonical, ledger, proofs, sequencing
from registry.ledger import GOVERNANCE
from registry.models import Checkpoint, LedgerEntry, Tree
from registry.refusals import Mismatch
from registry.tlog import merkle, notes
from registry.tlog.notes import Signer
from scoring import serving
from scoring.models import Decision, RefusedLoad
from tests import builders
from tests.attacks.forging import forge, forge_tree


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
    with builders.changed_on_disk(version):
        assert builders.a_decision(people).is_fallback
    assert not Decision.objects.filter(score__isnull=False).exists()
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
    with pytest.raises(Mismatch, match="statement, deployment, model, version, request, order, issued_at differ"):
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
