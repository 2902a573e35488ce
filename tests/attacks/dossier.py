"""What somebody does to a dossier that was handed out, or to the record before it is."""

import io
import json
import random
from contextlib import suppress

from django.core.management import CommandError, call_command

from governance.demo.clients import ask, until
from governance.dossier import verify
from tests.attacks import NotCaughtError, attack
from tests.attacks.world import brief

OUTSIDE = ("checkpoints/", "proofs/", "manifest.json", "issued.json", "before.json", "after.json")


def archive(world, decision: str) -> bytes:
    """Return the dossier of a decision, as compliance fetches it."""
    clara = world.person("clara")
    issued = ask(clara, "POST", "/api/v1/dossiers", json={"decision": decision})
    path = f"/api/v1/dossiers/{issued['dossier']}/archive"
    return until("the dossier", lambda: (a := clara.get(path)).status_code == 200 and a.content, 30)


def trusted(world) -> dict:
    """Return what an examiner pinned: the governor's key, the logs and witnesses."""
    keys = world.home / "keys"
    return {"pinned": [(keys / "warrant.vkey").read_text().strip()], "policy": (keys / "log.policy").read_bytes()}


def repacked(files: dict[str, bytes]) -> bytes:
    """Pack files with a manifest that agrees with them."""
    manifest = json.loads(files["manifest.json"])
    manifest["files"] = {path: verify.sha256(files[path]) for path in files if not path.startswith(OUTSIDE)}
    return verify.pack({**files, "manifest.json": json.dumps(manifest).encode()})


def refusal(world, data: bytes, what: str) -> str:
    """Return why the verifier refuses a dossier."""
    try:
        verify.verify(data, **trusted(world))
    except verify.Bad as bad:
        return str(bad)
    raise NotCaughtError(what)


def genuine(world) -> dict[str, bytes]:
    """Return the files of a dossier that verifies."""
    data = archive(world, world.decision)
    verify.verify(data, **trusted(world))
    return verify.unpack(data)


@attack
def change_a_dossier(world):
    """One byte of each file of a dossier is flipped, also under a new manifest; each file is left out, one is added"""
    files, chance, tries = genuine(world), random.Random(3), []
    for path in files:
        broken = bytearray(files[path])
        broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
        changed = {**files, path: bytes(broken)}
        tries += [verify.pack(changed), *([repacked(changed)] if path != "manifest.json" else ())]
        tries.append(verify.pack({name: data for name, data in files.items() if name != path}))
    tries.append(verify.pack({**files, "records/extra.json": b"{}"}))
    said = [refusal(world, data, f"archive {number} of {len(tries)}") for number, data in enumerate(tries)]
    return f"verify.py: {len(said)} of {len(tries)} refused, the first bad record named"


@attack
def strip_the_witness(world):
    """The witness's lines are taken off the checkpoints, as those of a fork would lack them"""
    files = genuine(world)
    for path, data in files.items():
        if path.startswith(("checkpoints/", "proofs/")) and b"\n\n" in data:
            head, _, lines = data.decode().rpartition("\n\n")
            own = [line for line in lines.splitlines() if not line.startswith("— witness")]
            files[path] = f"{head}\n\n{''.join(line + chr(10) for line in own)}".encode()
    said = refusal(world, repacked(files), "no cosignature")
    return f"verify.py --policy: {brief(said)}"


@attack
def rewrite_a_decision(world):
    """A superuser rewrites the score of a recorded decision before its dossier is asked for"""
    with world.kept("scoring_decision"):
        with world.unguarded("scoring_decision") as execute:
            execute(
                "UPDATE scoring_decision SET answer = convert_to(regexp_replace(convert_from(answer, 'UTF8'),"
                " '\"score\":[0-9.e-]+', '\"score\":0.5'), 'UTF8') WHERE id = %s",
                [world.decision],
            )
        clara = world.person("clara")
        answer = clara.post("/api/v1/dossiers", json={"decision": world.decision})
        if answer.status_code >= 400:
            return f"no dossier: HTTP {answer.status_code}: {brief(answer.json()['detail'])}"
        path = f"/api/v1/dossiers/{answer.json()['dossier']}/archive"
        data = until("the dossier", lambda: (a := clara.get(path)).status_code == 200 and a.content, 30)
        return f"verify.py: {brief(refusal(world, data, 'a rewritten score'))}"


@attack
def take_a_decision_away(world):
    """A superuser deletes the row of a decision whose entry has its place"""
    with world.kept("scoring_decision"):
        with world.unguarded("scoring_decision") as execute:
            execute("DELETE FROM scoring_decision WHERE id = %s", [world.decision])
        said = io.StringIO()
        with suppress(CommandError):
            call_command("verify_records", stdout=said)
        found = [line for line in said.getvalue().splitlines() if line.startswith(f"decision {world.decision}: ")]
        if found:
            return f"verify_records “{found[0].partition(': ')[2]}”"
    raise NotCaughtError("the log shows that it was answered, and nothing compares")
