"""Dossiers: what each kind holds verifies offline, and whatever is changed, left out or made up is refused by name."""

import io
import json
import random
import subprocess
import sys
import time
import zipfile
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import override_settings

from governance import retraining
from governance.dossier import issue, period, subjects, verify
from governance.models import Dossier
from monitoring import alerts
from monitoring.models import Alert, MonitorRun
from registry import canonical, inventory, labels, ledger, mlmodel, proofs, prose, registrations, versions
from registry import people as registry_people
from registry.models import Checkpoint, LedgerEntry
from registry.refusals import Invalid, Unavailable, Unknown
from registry.tlog import notes
from registry.tlog.vkeys import COSIGNATURE, Signer
from scoring import deployments, serving
from scoring.models import Deployment
from tests import builders

pytestmark = pytest.mark.xdist_group("dossiers")  # the story is told once
KINDS = ("decision", "version", "model", "period", "period of the model")
WITNESSES = [Signer(f"w{n}.example", bytes([n] * 32), COSIGNATURE) for n in (1, 2, 3)]
SEEN = 1_790_000_000


# ---- the story: two versions, a refusal, two policies, alerts, a case; and a dossier of each kind about it


@pytest.fixture(scope="module")
def world(committing, tmp_path_factory):
    """Archives by kind, those that somebody with power over the platform forged, and what a regulator pinned."""
    policy = tmp_path_factory.mktemp("policy") / "log-policy"
    with committing() as people, override_settings(LOG_POLICY_FILE=policy):
        policy.write_bytes(trust())
        told = story(people)
        issued = issue_all(people, told)
        forged = {name: forge(people, told) for name, forge in FORGERIES.items()}
        builders.sequence()
        cosign(*WITNESSES[:2])
        made = SimpleNamespace(
            archives={name: issue.archive(dossier) for name, dossier in issued.items()},
            forged={name: issue.archive(dossier) for name, dossier in forged.items()},
            keys=[str(deployments.warrant_key())],
            policy=trust(),
            **told,
        )
    return made


def trust(quorum=2):
    logs = "".join(f"log {proofs.verifier(log)}\n" for log in ledger.LOGS)
    witnesses = "".join(f"witness {w.name} {w.verifier}\n" for w in WITNESSES)
    names = " ".join(w.name for w in WITNESSES)
    return f"{logs}{witnesses}group known {quorum} {names}\nquorum known\n".encode()


def story(people):
    hired(people)
    first = builders.a_champion(people)
    decision = builders.a_decision(people, attributes={"age_band": "26-40"})
    builders.an_outcome(people, decision, label=0, source="call centre", days=2)
    builders.sequence()
    time.sleep(0.01)
    begun = builders.now()
    builders.a_policy(people, retraining={"minimum_labels": 0, "answer_within_minutes": 0})
    second = builders.a_checked_version(people.ada, description="Second try.", tags={"team": "cards"})
    builders.sign(builders.a_request(people.ada, second), people.grace, "reject")
    builders.a_version(people.ada, "other", data=False)
    builders.a_champion(people, second)
    builders.an_outcome(people, decision, label=1, source='Zoë "Z" Müller')
    builders.a_decision(people, 1)
    prose.write(version=second, limits="Little history.", by=people.ada, now=builders.now())
    inventory.record(model=first.model, developer="Ada", by=people.ada, now=builders.now())
    labels.tag(model=first.model, registration=None, key="area", value="cards", by=people.ada, now=builders.now())
    asked_for(people, first)
    troubles(people)
    builders.sequence()
    cosign(*WITNESSES[:2])
    return {"first": first, "second": second, "decision": decision, "begun": begun, "until": builders.now()}


def asked_for(people, like):
    """Three numbers that were asked for: one is pinned by the intake, one refused, one waits."""
    now, model = builders.now(), like.model
    asked = {"model": model, "source": "runs:/0a/m", "description": "Third.", "tags": {"a": "b"}, "by": people.ada}
    pinned, refused, _ = (registrations.ask(**asked, now=now) for _ in range(3))
    described = mlmodel.Description("pyfunc", "", [], "it has no runtime", "", "")
    versions.pin(
        registration=pinned,
        described=described,
        artifact=like.artifact,
        lineage={"source": "runs:/0a/m"},
        metrics=None,
        data=None,
        actor=registrations.INTAKE,
        now=now,
    )
    registrations.refuse(registration=refused, kind=registrations.Kind.FAILED, reason="It holds a pickle.", now=now)


def hired(people):
    """Those who sign were given their roles on record; gwen stands in for grace, and was not."""
    for name, role in (("grace", "risk-analyst"), ("alan", "risk-lead")):
        given = {"username": f"{name}-2", "name": name, "password": builders.PASSWORD, "roles": [role]}
        setattr(people, name, registry_people.add(**given, by="service:setup", now=builders.now()))


def troubles(people):
    """A server refuses a load, a monitor alarms; the first is answered, the second opens a case that ends."""
    now, deployment = builders.now(), Deployment.objects.latest("id")
    serving.record_refusal(deployment, "The artifact changed.", now)
    alerts.raise_for_refused_loads(now)
    alerts.answer(alert=Alert.objects.get(), text="Put back from the backup.", by=people.grace, now=now)
    run = MonitorRun.objects.create(
        deployment=deployment,
        monitor="drift",
        window_start=now,
        window_end=now,
        cursor_xid=1,
        cursor=deployment.order,
        decisions=500,
        verdict="fail",
        reasons=["largest_psi is 0.7, above the limit of 0.1"],
        measurements=[],
        evidence={},
        performed_at=now,
    )
    alerts.raise_for_run(run, now)
    retraining.open_cases(builders.now())
    retraining.retrain_next(builders.now())


def cosign(*witnesses):
    """Let these witnesses see every checkpoint, each a minute after the one before."""
    with builders.superuser("registry_checkpoint") as execute:
        for checkpoint in Checkpoint.objects.all():
            note = notes.Note.parse(checkpoint.note)
            seen = {line.name for line in note.signatures}
            added = [w for w in witnesses if w.name not in seen]
            lines = [str(notes.Signature.by(w, note.text, SEEN + 60 * n)) for n, w in enumerate(added)]
            said = checkpoint.note + "".join(lines)
            execute("UPDATE registry_checkpoint SET note = %s WHERE tree_id = %s", [said, checkpoint.pk])


def issue_all(people, told):
    by, span = {"by": people.clara, "now": builders.now()}, {"start": told["begun"], "until": told["until"]}
    return {
        "decision": issue.for_decision(decision=told["decision"], **by),
        "version": issue.for_version(version=told["first"], **by),
        "model": issue.for_model(model=told["first"].model, **by),
        "period": issue.for_period(**span, **by),
        "period of the model": issue.for_period(**span, model=told["first"].model, **by),
    }


# ---- what somebody can issue who has power over the platform, but not over the log


def forgery(change, about=lambda told: subjects.of_version(told["second"])):
    def forge(people, told):
        found = about(told)
        for path in [path for path, entry in found.entries.items() if entry.at >= told["until"]]:
            del found.entries[path], found.files[f"entries/{path}.json"]  # what forgeries before this one entered
        change(found)
        return issue._issue("version:1", found, people.clara, builders.now())

    return forge


def without(event, place=-1):
    """Leave out an entry of this event, and the record that only it names."""

    def change(found):
        path = [path for path, entry in found.entries.items() if entry.event == event][place]
        said = set(map(str, ledger.facts_of(found.entries.pop(path)).values())) - found.named()
        del found.files[f"entries/{path}.json"]
        for record in [path for path in found.files if path.startswith("records/")]:
            if record.split("/")[2].split(".")[0] in said:
                del found.files[record]

    return change


def entering(event, place=-1, **changed):
    """Enter the same once more, later, and show only that entry."""

    def change(found):
        path = [path for path, entry in found.entries.items() if entry.event == event][place]
        old = found.entries.pop(path)
        del found.files[f"entries/{path}.json"]
        facts = {**ledger.facts_of(old), **changed}
        with transaction.atomic():
            given = {"subject": old.subject, "actor": old.actor, "at": builders.now(), "facts": facts}
            found.enter([ledger.append(event, **given)])

    return change


def rewriting(prefix, old, new):
    def change(found):
        for path in [path for path in found.files if path.startswith(prefix)]:
            found.files[path] = found.files[path].replace(old, new)

    return change


def of_period(told):
    return period.of_period(start=told["begun"], until=told["until"], model=None, now=builders.now())


def wider(found):
    """The same entries under a title of a longer time."""
    said = json.loads(found.files["period/period.json"])
    early = said["from"].replace("2", "1", 1)
    found.title = found.title.replace(said["from"], early)
    found.files["period/period.json"] = canonical.dump({**said, "from": early})


def counting(found):
    said = json.loads(found.files["period/period.json"])
    said["decisions"]["events"]["decision.answered"] += 1
    found.files["period/period.json"] = canonical.dump(said)


def serving_another(found):
    said = json.loads(found.files["period/period.json"])
    said["serving_at_start"] = {}
    found.files["period/period.json"] = canonical.dump(said)


def a_later_policy(found):
    """A policy that the log says was adopted before the request, though the platform judged by the one before."""
    adopted = [e for e in found.entries.values() if e.event == "policy.adopted" and ledger.facts_of(e)["tier"] == 1]
    kept = sorted(adopted, key=lambda e: ledger.facts_of(e)["number"])
    for entry in kept[1:]:
        path = f"{entry.log}/{entry.uuid}"
        del found.entries[path], found.files[f"entries/{path}.json"]
    with transaction.atomic():
        facts = {**ledger.facts_of(kept[1]), "number": 2}
        given = {"subject": kept[1].subject, "actor": kept[1].actor, "at": builders.now(), "facts": facts}
        found.enter([ledger.append("policy.adopted", **given)])


def of_the_model(told):
    return subjects.of_model(told["first"].model)


FORGERIES = {
    "a signature too few": forgery(without("approval.signed")),
    "a signature after the order": forgery(entering("approval.signed")),
    "an order after the deployment": forgery(entering("deployment.ordered")),
    "no order": forgery(without("deployment.ordered")),
    "a policy not in force": forgery(a_later_policy),
    "a policy left out": forgery(without("policy.adopted", 0)),
    "a check left out": forgery(without("check.performed")),
    "another envelope": forgery(entering("deployment.made", envelope="{}")),
    "a version left out": forgery(without("version.registered", 0), of_the_model),
    "an alert left out": forgery(without("alert.raised", 0), of_the_model),
    "an answer left out": forgery(lambda f: [f.files.pop(p) for p in list(f.files) if "/answer/" in p], of_the_model),
    "a period of a longer time": forgery(wider, of_period),
    "a decision more": forgery(counting, of_period),
    "nothing served": forgery(serving_another, of_period),
    "a record of a period left out": forgery(
        lambda f: [f.files.pop(p) for p in list(f.files) if p.startswith("records/version/")], of_period
    ),
}
REFUSED = {
    "a signature too few": "records/signature/.*|the signature it names is not in the dossier",
    "a signature after the order": "signatures are missing before the order: 1 x risk-lead",
    "an order after the deployment": "warrants/.*: nobody ordered it before it was made",
    "no order": "warrants/.*: nobody ordered it before it was made",
    "a policy not in force": "entries/governance/.*: its policy was not in force when approval was requested",
    "a policy left out": "records/policy: a policy of tier 1 is left out",
    "a check left out": "records/request/.*: its evidence is not that in the dossier",
    "another envelope": "warrants/.*: not the envelope that was entered",
    "a version left out": "records/version/.*: no proven entry names it",
    "an alert left out": "entries/governance/.*: the alert it speaks of is not in the dossier",
    "an answer left out": "entries/governance/.*: the answer it names is not in the dossier",
    "a period of a longer time": "period/governance.opening: the entry before it is not shown to be from before",
    "a decision more": "period/period.json: its counts are not the entries between the heads of decisions",
    "nothing served": "period/period.json: what served at its start is not what was deployed",
    "a record of a period left out": "the version it names is not in the dossier",
}


def verified(world, data, policy=None):
    return verify.verify(data, world.keys, world.policy if policy is None else policy)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_verifies_under_the_keys_and_witnesses_of_a_regulator(world, kind):
    began = time.process_time()
    said = "\n".join(verified(world, world.archives[kind])["lines"])
    assert time.process_time() - began < 10
    assert "key warrants" in said
    assert "from the dossier" not in said
    assert "log of governance: " in said
    assert "cosigned by w1.example at 2026-09-21 14:13:20 UTC" in said
    assert "a quorum had seen it at 2026-09-21 14:14:20 UTC" in said
    assert "This does not prove:" in said
    assert "colluded" in said
    assert "agrees with itself" not in said


def test_what_people_wrote_of_models_and_versions_is_among_the_records(world):
    found = verify.unpack(world.archives["model"])
    assert b"Little history." in b"".join(data for path, data in found.items() if path.startswith("records/prose/"))
    assert b'"developer":"Ada"' in b"".join(d for path, d in found.items() if path.startswith("records/inventory/"))


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_policy_and_keys_a_dossier_says_that_it_only_agrees_with_itself(world, kind):
    said = "\n".join(verify.verify(world.archives[kind])["lines"])
    assert "agrees with itself" in said
    assert "from the dossier: compare it" in said
    half = "\n".join(verify.verify(world.archives[kind], (), world.policy)["lines"])
    assert "agrees with itself" in half  # the governor's key is nobody's yet
    assert "a log of your policy" in half


@pytest.mark.parametrize("kind", KINDS)
def test_one_flipped_byte_in_each_file_is_refused_and_the_file_named(world, kind):
    files, chance = verify.unpack(world.archives[kind]), random.Random(kind)
    for path in files:
        broken = bytearray(files[path])
        broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
        with pytest.raises(verify.Bad) as refused:
            verified(world, verify.pack({**files, path: bytes(broken)}))
        assert path.split(".")[0] in str(refused.value) or path.startswith(("checkpoints/", "manifest")), path


@pytest.mark.parametrize("kind", KINDS)
def test_one_flipped_byte_is_refused_even_under_a_manifest_computed_anew(world, kind):
    files, chance = verify.unpack(world.archives[kind]), random.Random(kind)
    for path in sorted(set(files) - {"manifest.json"}):
        broken = bytearray(files[path])
        broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
        with pytest.raises(verify.Bad) as refused:
            verified(world, repacked({**files, path: bytes(broken)}))
        assert str(refused.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_taken_away_or_added_is_refused_and_named(world, kind):
    files = verify.unpack(world.archives[kind])
    for path in files:
        with pytest.raises(verify.Bad, match=path.split("/")[0].split(".")[0]):
            verified(world, verify.pack({name: data for name, data in files.items() if name != path}))
    for path in ("extra.txt", "proofs/extra", "checkpoints/extra", "manifestXjson"):
        with pytest.raises(verify.Bad, match=path):
            verified(world, verify.pack({**files, path: b"x"}))


@pytest.mark.parametrize("name", FORGERIES)
def test_what_does_not_follow_from_the_log_is_refused_by_name(world, name):
    with pytest.raises(verify.Bad, match=REFUSED[name]):
        verified(world, world.forged[name])


def test_a_quorum_that_was_not_met_is_refused_by_name(world):
    for kind in KINDS:
        with pytest.raises(verify.Bad, match="cosigned by w1.example, w2.example, which is not the quorum"):
            verified(world, world.archives[kind], trust(quorum=3))
    other = world.policy.replace(
        str(proofs.verifier("decisions")).encode(), str(Signer("x/decisions", bytes(32)).verifier).encode()
    )
    with pytest.raises(verify.Bad, match="keys/decisions.vkey: this is not a key you pinned"):
        verified(world, world.archives["version"], other)


def test_a_cosignature_of_another_checkpoint_is_refused_by_name(world):
    files = verify.unpack(world.archives["decision"])
    foreign = files["checkpoints/decisions"].splitlines(keepends=True)[-1]
    own = files["checkpoints/governance"].splitlines(keepends=True)[-1]
    swapped = {path: data.replace(own, foreign) for path, data in files.items()}
    with pytest.raises(verify.Bad, match="checkpoints/governance: the cosignature by w2.example is wrong"):
        verified(world, verify.pack(swapped))


def test_a_period_tells_who_served_what_was_entered_and_when_it_was_sealed(world):
    said = "\n".join(verified(world, world.archives["period"])["lines"])
    files = verify.unpack(world.archives["period"])
    told = json.loads(files["period/period.json"])
    assert list(told["serving_at_start"]) == ["fraud"]
    assert list(told["decisions_by_deployment"].values()) == [{"outcomes": 1}, {"decisions": 1}]
    assert told["decisions"]["events"] == {"decision.answered": 1, "outcome.recorded": 1}
    assert "the entries of the period were sealed between" in said
    lines = files["period/governance.jsonl"].splitlines()
    assert len(lines) == told["governance"]["closing"] - told["governance"]["opening"]
    events = [json.loads(line)["event"] for line in lines]
    assert {"policy.adopted", "approval.refused", "alert.answered", "case.ended", "deployment.made"} <= set(events)


def test_an_entry_left_out_of_a_period_is_refused_however_it_is_covered_up(world):
    files = verify.unpack(world.archives["period"])
    listed, said = "period/governance.jsonl", json.loads(files["period/period.json"])
    lines = files[listed].splitlines(keepends=True)
    for place in (0, len(lines) // 2, len(lines) - 1):
        without = {**files, listed: b"".join(lines[:place] + lines[place + 1 :])}
        with pytest.raises(verify.Bad, match=f"{listed}: not the {len(lines)} entries between its heads"):
            verified(world, repacked(without))
        fewer = {**said, "governance": {**said["governance"], "closing": said["governance"]["closing"] - 1}}
        with pytest.raises(verify.Bad, match=r"period/governance.closing: not the head that"):
            verified(world, repacked({**without, "period/period.json": canonical.dump(fewer)}))
        twice = {**files, listed: b"".join([*lines[:place], lines[place - 1], *lines[place + 1 :]])}
        with pytest.raises(verify.Bad, match=f"{listed}: an entry was left out, added or changed between the heads"):
            verified(world, repacked(twice))
    later = {**said, "governance": {**said["governance"], "opening": said["governance"]["opening"] + 1}}
    with pytest.raises(verify.Bad, match=r"period/governance.opening: not the head that"):
        verified(world, repacked({**files, listed: b"".join(lines[1:]), "period/period.json": canonical.dump(later)}))


def repacked(files):
    """Pack a dossier whose manifest agrees with what was changed, as somebody would who has no key."""
    manifest = json.loads(files["manifest.json"])
    outside = ("checkpoints/", "proofs/", "manifest.json", "issued.json", "before.json", "after.json")
    manifest["files"] = {path: verify.sha256(files[path]) for path in files if not path.startswith(outside)}
    return verify.pack({**files, "manifest.json": json.dumps(manifest).encode()})


@pytest.fixture
def dossier(world):
    return world.archives["decision"]


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


def test_a_role_that_was_given_behind_the_back_of_the_log_is_named(committed):
    """Whoever writes to the database can put somebody into a group; the entry of their adding cannot follow."""
    hired(committed)
    committed.grace.groups.set(Group.objects.filter(name="risk-lead"))
    version = builders.an_approved_version(committed.ada, committed.gwen, committed.grace)
    issued = issue.for_version(version=version, by=committed.clara, now=builders.now())
    builders.sequence()
    with pytest.raises(verify.Bad, match="records/signature/.*: its signer was not given the role risk-lead"):
        verify.verify(issue.archive(issued))


def test_roles_that_no_entry_gave_are_called_the_operators_word(committed):
    version = builders.an_approved_version(committed.ada, committed.grace, committed.alan)
    issued = issue.for_version(version=version, by=committed.clara, now=builders.now())
    builders.sequence()
    said = "\n".join(verify.verify(issue.archive(issued))["lines"])
    assert f"note: that {committed.alan.actor} is risk-lead is the operator's word" in said


def test_a_period_that_cannot_be_told_is_refused_and_nothing_is_issued(committed):
    first, by = builders.now(), committed.clara
    builders.a_version(committed.ada, data=False)
    until = builders.now()
    for start, end, refusal in (
        (until, first, Invalid),
        (first, builders.later(1), Invalid),
        (first, until, Unavailable),
    ):
        with pytest.raises(refusal, match="period"):
            issue.for_period(start=start, until=end, by=by, now=builders.now())
    builders.sequence()
    long_ago = builders.later(-900)
    with pytest.raises(Unknown, match="begins after this period"):
        issue.for_period(start=long_ago, until=builders.later(-800), by=by, now=builders.now())
    assert not Dossier.objects.exists()
    assert not LedgerEntry.objects.filter(event="dossier.issued").exists()


def test_a_period_with_more_entries_than_a_dossier_takes_is_refused_with_what_to_do(committed, monkeypatch):
    builders.a_version(committed.ada, data=False)
    builders.sequence()
    monkeypatch.setattr(period, "MOST_ENTRIES", 3)
    with pytest.raises(Invalid, match="a dossier takes 3. Nothing was issued. Choose shorter periods"):
        issue.for_period(start=builders.later(-1), until=builders.now(), by=committed.clara, now=builders.now())
    assert not Dossier.objects.exists()


def test_the_script_tells_wrong_usage_from_a_bad_dossier(world, tmp_path):
    paths = {name: tmp_path / name for name in ("dossier.zip", "policy", "broken", "bad.zip")}
    paths["dossier.zip"].write_bytes(world.archives["model"])
    paths["policy"].write_bytes(world.policy)
    paths["broken"].write_bytes(b"quorum nobody\n")
    paths["bad.zip"].write_bytes(b"PK")

    def run(*words):
        command = [sys.executable, "-I", "-S", verify.__file__, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    code, said = run(paths["dossier.zip"], "--policy", paths["policy"], "--key", world.keys[0])
    assert (code, said.splitlines()[0]) == (0, "VERIFIED  model fraud")
    assert run(paths["bad.zip"])[0] == 1
    for words, reason in (
        ((paths["dossier.zip"], "--policy", paths["broken"]), "nobody is called nobody"),
        ((paths["dossier.zip"], "--policy", tmp_path / "none"), "No such file"),
        ((paths["dossier.zip"], "--key", "nonsense"), "not a verifier key"),
        ((tmp_path / "none.zip",), "No such file"),
        ((), "usage:"),
    ):
        code, said = run(*words)
        assert code == 2, words
        assert reason in said


@pytest.fixture
def ask(client, issue_token):
    def ask(who, body, *scopes):
        secret = issue_token(who, *(scopes or ("governance.issue_dossier",)))
        headers = {"Authorization": f"Bearer {secret}"}
        return client.post("/api/v1/dossiers", body, content_type="application/json", headers=headers)

    return ask


def test_every_kind_is_issued_over_http(committed, ask):
    began = builders.now()
    builders.a_champion(committed)
    decision = builders.a_decision(committed)
    builders.sequence()
    now = builders.now().isoformat()
    for body, kind in (
        ({"decision": str(decision.pk)}, "decision"),
        ({"model": "fraud", "version": 1}, "version"),
        ({"model": "fraud"}, "model"),
        ({"from": began.isoformat(), "until": now}, "period"),
        ({"from": began.isoformat(), "until": now, "model": "fraud"}, "period"),
    ):
        answer = ask(committed.clara, body)
        assert (answer.status_code, answer.json().get("kind")) == (201, kind), answer.content
    builders.sequence()
    for made in Dossier.objects.all():
        assert verify.verify(issue.archive(made))["dossier"] == made.title
    issued = LedgerEntry.objects.filter(event="dossier.issued")
    assert sorted(entry.subject.partition(":")[0] for entry in issued) == [
        "decision",
        "model",
        "period",
        "period",
        "version",
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"decision": "x"}, 422),
        ({"model": "fraud", "version": "1"}, 422),
        ({"model": "nothing"}, 404),
        ({"until": "2026-01-31T12:00:00Z"}, 422),
        ({"from": "yesterday"}, 422),
        ({"from": "2026-01-31T12:00:00"}, 422),
        ({"from": "2026-01-31T12:00:00Z", "decision": "x"}, 422),
        ({"from": "2026-01-31T12:00:00Z", "version": 1}, 422),
    ],
)
def test_what_names_no_dossier_is_refused_over_http(people, ask, body, status):
    answer = ask(people.clara, body)
    assert (answer.status_code, Dossier.objects.exists()) == (status, False)
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_only_who_may_issue_a_dossier_issues_one(people, ask, client):
    assert ask(people.olivia, {"model": "fraud"}, "registry.read").status_code == 403
    client.force_login(people.olivia)
    builders.a_model(people.ada)
    for path in ("/models/fraud/dossier", "/dossiers/period"):
        assert client.post(path, {"start": "2026-01-01T00:00"}).status_code == 403
    assert "Issue dossier" not in client.get("/models/fraud").content.decode()
    assert not Dossier.objects.exists()


def test_the_pages_issue_the_dossier_of_a_model_and_of_periods(committed, client):
    builders.a_version(committed.ada, data=False)
    builders.sequence()
    client.force_login(committed.clara)
    page = client.get("/models/fraud").content.decode()
    assert "Issue dossier of this period" in page
    assert "Issue dossier of this period" in client.get("/dossiers").content.decode()
    span = {"start": builders.later(-1).strftime("%Y-%m-%dT%H:%M"), "until": ""}
    for path, given, title in (
        ("/models/fraud/dossier", {}, "model fraud"),
        ("/models/fraud/dossier", span, "period of fraud from"),
        ("/dossiers/period", span, "period of the whole platform from"),
    ):
        answer = client.post(path, given, follow=True)
        assert f"Dossier of {title}" in answer.content.decode()
        builders.sequence()
    assert client.post("/dossiers/period", {"start": "never"}).status_code == 422
    assert client.get("/models/fraud/dossier").url == "/models/fraud"
    assert client.get("/dossiers/period").url == "/dossiers"
    assert Dossier.objects.count() == 3
