"""A witness as it is run: a real process over HTTP, killed, restarted, doubled, raced and stalled."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from registry.tlog import notes, vkeys, witnessing
from registry.tlog.trust import Policy
from tests.logs import Log
from tests.running import ROOT, free_port

LOGS = [Log.of(20, origin=f"example.com/log/{number}", seed=number) for number in range(1, 41)]
FORKS = [Log.of(20, "other", origin=log.origin, seed=number) for number, log in enumerate(LOGS, 1)]


@dataclass
class Running:
    url: str
    key: vkeys.Verifier
    process: subprocess.Popen

    def add(self, body):
        return httpx.post(f"{self.url}/add-checkpoint", content=body, timeout=30)

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


def environment():
    return {name: os.environ[name] for name in ("PATH", "COUNTERSIGN_HOME") if name in os.environ}


@contextmanager
def witness(folder: Path, *more, key=None):
    """Run a witness on the state and key in a folder; without options it watches all the logs of these tests."""
    port = free_port()
    options = more or [word for log in LOGS for word in ("--log", str(log.signer.verifier))]
    command = [sys.executable, "manage.py", "witness", "--listen", f"127.0.0.1:{port}"]
    command += ["--state", str(folder / "state"), "--key", str(folder / "key"), "--name", "witness.example/w1"]
    process = subprocess.Popen(
        [*command, *options], cwd=ROOT, env=environment(), stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        _wait(f"http://127.0.0.1:{port}/health", process)
        key = key or vkeys.Verifier.parse((folder / "key.vkey").read_text().strip())
        yield Running(f"http://127.0.0.1:{port}", key, process)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)
        process.stdout.close()


def _wait(url, process):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None, "the witness ended"
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the witness does not answer")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("witness")


@pytest.fixture(scope="module")
def running(folder):
    with witness(folder) as found:
        yield found


def shown(running, log):
    name = hashlib.sha256(log.origin.encode()).hexdigest()
    return httpx.get(f"{running.url}/{name}/checkpoint")


def test_a_log_grows_under_the_eyes_of_the_witness(running):
    log = LOGS[0]
    policy = Policy.parse(f"log {log.signer.verifier}\nwitness w {running.key}\nquorum w\n".encode())
    assert shown(running, log).status_code == 404
    for old, new in ((0, 3), (3, 3), (3, 20)):
        answer = running.add(log.request(old, new))
        assert answer.status_code == 200
        trusted = policy.verify(log.note(new) + answer.text)
        assert abs(trusted.cosigners["w"] - time.time()) < 60
        page = shown(running, log)
        assert page.headers["content-type"] == "text/plain; charset=utf-8"
        assert policy.verify(page.content).checkpoint == log.checkpoint(new)


def test_every_refusal_has_the_status_of_the_protocol_and_changes_nothing(running):
    log, fork = LOGS[1], FORKS[1]
    assert running.add(log.request(0, 5)).status_code == 200
    before = shown(running, log).content
    stranger = Log.of(5, origin="example.com/stranger", seed=99)
    forged = Log.of(9, origin=log.origin, seed=99)
    cases = [
        (400, "nonsense"),
        (400, log.request(5, 9).replace("old 5", "old 10")),
        (403, forged.request(5, 9)),
        (404, stranger.request(0, 5)),
        (409, log.request(4, 9)),
        (409, log.request(3, 3)),
        (413, "x" * (64 * 1024 + 1)),
        (422, f"old 5\n\n{log.note(9)}"),
        (422, fork.request(5, 5)),
        (422, fork.request(5, 9)),
    ]
    for status, body in cases:
        answer = running.add(body)
        assert answer.status_code == status, answer.text
        assert "— " not in answer.text
        if status == 409:
            assert (answer.headers["content-type"], answer.text) == (witnessing.SIZE, "5\n")
    assert httpx.get(f"{running.url}/add-checkpoint").status_code == 405
    assert httpx.put(f"{running.url}/health").status_code == 405
    for path in ("/", "/nothing", "/../state/checkpoint", f"/{'0' * 64}/checkpoint", f"/{'0' * 64}/lock"):
        assert httpx.get(running.url + path).status_code == 404
    assert shown(running, log).content == before


def test_a_body_in_chunks_is_limited_as_well(running):
    answer = running.add(iter([b"x" * 50_000] * 3))
    assert answer.status_code == 413
    request = LOGS[2].request(0, 5).encode()
    assert running.add(iter([request[:50], request[50:]])).status_code == 200


def test_of_two_trees_sent_at_once_one_is_cosigned(running):
    for number in range(3, 15):
        both = [LOGS[number].request(0, 5 + number), FORKS[number].request(0, 5 + number)] * 3
        with ThreadPoolExecutor(len(both)) as pool:
            answers = list(pool.map(running.add, both))
        for answer in answers:
            assert answer.status_code in (200, 409)
        won = {both[place] for place, answer in enumerate(answers) if answer.status_code == 200}
        assert len(won) == 1
        assert sum(answer.status_code == 200 for answer in answers) == 1


def test_two_servers_on_one_state_cosign_one_history(folder, running):
    with witness(folder) as second:
        assert second.key == running.key
        for number in range(15, 27):
            both = [(running, LOGS[number].request(0, 7)), (second, FORKS[number].request(0, 7))]
            with ThreadPoolExecutor(2) as pool:
                answers = list(pool.map(lambda item: item[0].add(item[1]), both))
            assert sorted(answer.status_code for answer in answers) == [200, 409]
            winner = (LOGS if answers[0].status_code == 200 else FORKS)[number]
            for server in (running, second):
                text = notes.Note.parse(shown(server, winner).content).text
                assert text == str(winner.checkpoint(7)).encode()
            assert second.add(winner.request(7, 12)).status_code == 200
            assert running.add(winner.request(7, 12)).status_code == 409


def test_a_killed_witness_remembers_what_it_cosigned(tmp_path):
    log, fork = LOGS[30], FORKS[30]
    key = None
    for size in (4, 9, 20):
        with witness(tmp_path) as running:
            known = running.add(log.request(19, 20)).text.strip() if key else "0"
            assert running.add(log.request(int(known), size)).status_code == 200
            assert running.add(fork.request(size, size)).status_code == 422
            assert key in (None, running.key)
            key = running.key
            running.kill()
        state = (tmp_path / "state" / hashlib.sha256(log.origin.encode()).hexdigest() / "checkpoint").read_bytes()
        assert len(notes.Note.parse(state).signed_by(key)) == 1
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_a_client_that_trickles_is_hung_up_on_and_blocks_nobody(running):
    host, port = running.url.removeprefix("http://").split(":")
    slow = [socket.create_connection((host, int(port)), timeout=60) for _ in range(8)]
    begun = time.monotonic()
    for connection in slow:
        connection.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 1000\r\n\r\nold 0\n")
    assert running.add(LOGS[31].request(0, 5)).status_code == 200
    while time.monotonic() - begun < 50:  # each byte in time, the whole never
        try:
            slow[0].sendall(b"x")
            time.sleep(0.5)
        except OSError:
            break
    assert 10 < time.monotonic() - begun < 40
    for connection in slow:
        connection.close()


def refused_to_start(folder, *options, home=None):
    command = [sys.executable, "manage.py", "witness", "--listen", f"127.0.0.1:{free_port()}"]
    command += ["--state", str(folder / "state"), "--key", str(folder / "key"), *options]
    env = {"PATH": os.environ["PATH"], "COUNTERSIGN_HOME": str(home or folder / "nowhere")}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, timeout=60)
    assert done.returncode == 1
    return done.stderr.decode()


def test_a_witness_with_damaged_files_does_not_start(tmp_path):
    assert "damaged" in refused_to_start(tmp_path, "--log", str(LOGS[0].signer.verifier)[:-1] + "A")
    (tmp_path / "policy").write_text("quibble\n")
    assert "Line 1 of the trust policy" in refused_to_start(tmp_path, "--policy", str(tmp_path / "policy"))
    (tmp_path / "key").write_text("nonsense\n")
    assert "not a signing key" in refused_to_start(tmp_path, "--log", str(LOGS[0].signer.verifier))
    (tmp_path / "key").unlink()
    (tmp_path / "key").mkdir()
    assert "cannot be used" in refused_to_start(tmp_path, "--log", str(LOGS[0].signer.verifier))


def test_the_logs_of_a_policy_or_of_the_state_folder_are_watched(tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    (state / "policy").write_bytes(LOGS[32].policy())
    with witness(tmp_path, "--log", str(LOGS[33].signer.verifier)) as running:
        assert running.add(LOGS[33].request(0, 5)).status_code == 200
        assert running.add(LOGS[32].request(0, 5)).status_code == 404
    with witness(tmp_path, "--policy", str(state / "policy")) as running:
        assert running.add(LOGS[32].request(0, 5)).status_code == 200
        assert running.add(LOGS[33].request(5, 9)).status_code == 404


def test_a_witness_without_a_log_answers_404_and_is_told_one_by_a_policy_in_its_state(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("COUNTERSIGN_HOME", str(tmp_path / "nowhere"))
    with witness(tmp_path, "--name", "witness.example/w1") as running:
        assert running.add(LOGS[34].request(0, 5)).status_code == 404
        assert shown(running, LOGS[34]).status_code == 404
    warned = capfd.readouterr().err
    assert "No log is watched" in warned
    assert str(tmp_path / "state" / "policy") in warned
    (tmp_path / "state" / "policy").write_bytes(LOGS[34].policy())
    with witness(tmp_path, "--name", "witness.example/w1") as running:
        assert running.add(LOGS[34].request(0, 5)).status_code == 200


def test_a_witness_starts_where_its_public_key_cannot_be_written_again(tmp_path):
    with witness(tmp_path) as running:
        key = running.key
    public = tmp_path / "key.vkey"
    public.unlink()
    public.mkdir()  # root may write into any folder, but nobody to this name
    log = ("--log", str(LOGS[35].signer.verifier))
    with witness(tmp_path, *log, key=key) as running:
        assert running.add(LOGS[35].request(0, 5)).status_code == 200
        running.kill()
        assert f"{key}\n" in running.process.stdout.read().decode()
