"""The tools of an auditor, as programs on a machine where nothing is prepared: one line of JSON, exit 0, 1 or 2."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from registry.tlog import strict
from registry.tlog.witnessing import Request
from tests.logs import NOON, Log, witness_key
from tests.registry.test_notes import GO, GO_HEADS
from tests.running import ROOT

LOG, WITNESS = Log.of(300), witness_key()
HEAD = {"origin": LOG.origin, "size": 300, "root": strict.encode(LOG.root(300))}


def run(*words, given=None):
    """Run manage.py without any environment, as an auditor does who has only the program."""
    command = [sys.executable, str(ROOT / "manage.py"), *map(str, words)]
    env = {"PATH": os.environ["PATH"]}
    return subprocess.run(command, input=given, cwd="/", env=env, capture_output=True, timeout=120)


def tool(*words, given=None):
    """Return exit code and JSON of a tool; it says one line, whatever it is given."""
    done = run("log_tools", *words, given=given)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 1
    return done.returncode, json.loads(lines[0])


def all_at_once(cases):
    """Run tools side by side: starting Python is what takes their time."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda words: tool(*words), cases))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audit")
    LOG.publish(folder / "log", WITNESS)
    contents = {
        "policy": LOG.policy(WITNESS),
        "strict": LOG.policy(WITNESS, witness_key("w2", 8)),
        "note": LOG.note(300, WITNESS).encode(),
        "old": LOG.note(200, WITNESS).encode(),
        "bare": LOG.note(300).encode(),
        "proof": LOG.proof_file(7, WITNESS).encode(),
        "entry": LOG.entries[7],
        "other": LOG.entries[8],
        "hashes": strict.encoded(LOG.consistency(200, 300)).encode(),
        "request": LOG.request(200, 300).partition("\n\n")[0].encode(),
        "wrong": str(Request(199, LOG.consistency(200, 300), "")).encode().strip(),
        "none": b"",
        "binary": bytes(range(256)) * 100,
        "huge": b"x" * 3_000_000,
        "go-policy": f"log {GO}\nquorum none\n".encode(),
        "go-head": GO_HEADS[1].encode(),
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return folder


def test_what_is_good_is_said_to_be_good(files):
    checks = [
        ("verify-checkpoint", "--policy", files / "policy", files / "note"),
        ("verify-checkpoint", "--policy", files / "go-policy", files / "go-head"),
        ("verify-inclusion", "--proof", files / "proof", "--policy", files / "policy", "--entry", files / "entry"),
        ("verify-dir", "--policy", files / "policy", files / "log"),
    ]
    (a, checkpoint), (b, go), (c, inclusion), (d, whole) = all_at_once(checks)
    assert (a, b, c, d) == (0, 0, 0, 0)
    assert checkpoint == {"ok": True, **HEAD, "cosigners": {"w1": NOON}}
    assert go["size"] == 65_209_736
    assert inclusion == {
        **checkpoint,
        "index": 7,
        "leaf": strict.encode(LOG.hashes[7]),
    }
    assert whole == {**checkpoint, "acknowledged_gaps": [], "acknowledged_faults": []}


def test_consistency_is_shown_with_and_without_a_policy_and_in_both_forms(files):
    sides = ("verify-consistency", "--old", files / "old", "--new", files / "note", "--proof")
    checks = [
        (*sides, files / "hashes", "--policy", files / "policy"),
        (*sides, files / "hashes"),
        (*sides, files / "request"),
        (*sides, files / "wrong"),
        (*sides, files / "none"),
        ("verify-consistency", "--old", files / "note", "--new", files / "note", "--proof", files / "none"),
    ]
    verified, unsigned, request, wrong, none, same = all_at_once(checks)
    assert (verified[0], verified[1]["signatures"]) == (0, "verified")
    assert (unsigned[0], unsigned[1]["signatures"]) == (0, "not verified")
    assert (request[0], request[1]["new"]) == (0, HEAD)
    assert (wrong[0], wrong[1]["error"]) == (1, "The proof does not begin at the size of the old checkpoint, 200.")
    assert (none[0], none[1]["ok"]) == (1, False)
    assert same[0] == 0


def test_what_is_not_good_is_said_to_be_not_good(files):
    checks = [
        ("verify-checkpoint", "--policy", files / "policy", files / "bare"),
        ("verify-checkpoint", "--policy", files / "strict", files / "note"),
        ("verify-checkpoint", "--policy", files / "go-policy", files / "note"),
        ("verify-inclusion", "--proof", files / "proof", "--policy", files / "policy", "--entry", files / "other"),
        ("verify-inclusion", "--proof", files / "proof", "--policy", files / "strict", "--entry", files / "entry"),
        ("verify-dir", "--policy", files / "strict", files / "log"),
    ]
    for code, said in all_at_once(checks):
        assert code == 1
        assert said["ok"] is False
        assert said["error"]


@pytest.mark.parametrize("name", ["binary", "huge", "none", "missing", "log", "x" * 300])
def test_malformed_input_of_any_kind_is_told_in_one_line(files, name):
    good = {"policy": files / "policy", "proof": files / "proof", "entry": files / "entry"}
    checks = [
        ("verify-checkpoint", "--policy", files / name, files / "note"),
        ("verify-checkpoint", "--policy", files / "policy", files / name),
        ("verify-dir", "--policy", files / "policy", files / name / "missing"),
        ("verify-consistency", "--old", files / name, "--new", files / "note", "--proof", files / "hashes"),
        ("verify-consistency", "--old", files / "old", "--new", files / "note", "--proof", files / name),
    ]
    for place in good:
        options = good | {place: files / name}
        checks.append(("verify-inclusion", *(word for key in options for word in (f"--{key}", options[key]))))
    for words, (code, said) in zip(checks, all_at_once(checks), strict=True):
        assert (code, said["ok"]) == (1, False), words


def test_standard_input_takes_the_place_of_one_file(files):
    code, said = tool("verify-checkpoint", "--policy", files / "policy", "-", given=(files / "note").read_bytes())
    assert (code, said["size"]) == (0, 300)
    code, said = tool("verify-checkpoint", "--policy", "-", files / "note", given=(files / "policy").read_bytes())
    assert (code, said["size"]) == (0, 300)


def test_a_wrong_call_is_exit_2_and_a_line_of_json_too(files):
    calls = [
        (),
        ("verify",),
        ("verify-checkpoint", files / "note"),
        ("verify-inclusion", "--policy", files / "policy"),
        ("verify-checkpoint", "--policy", "-", "-"),
        ("verify-dir", "--policy", files / "policy", files / "log", "more"),
    ]
    for words in calls:
        code, said = tool(*words)
        assert (code, said["ok"]) == (2, False)
        assert said["error"]


def test_people_are_told_what_was_verified(files):
    done = run("verify_log", "--policy", files / "policy", files / "log")
    assert done.returncode == 0
    said = done.stdout.decode()
    assert f"VERIFIED  example.com/log: 300 entries, root {LOG.root(300).hex()}" in said
    assert "cosigned by 'w1' at 2023-11-14 22:13:20+00:00" in said
    assert "entries/s" in said
    done = run("verify_log", "--policy", files / "strict", files / "log")
    assert (done.returncode, done.stdout) == (1, b"")
    assert "NOT VERIFIED  The quorum 'ours' is not reached" in done.stderr.decode()
    assert run("verify_log", files / "log").returncode == 2
