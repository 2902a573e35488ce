"""The platform's supervisor, on real processes: nothing is lost, nothing is left, refusals say why."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from governance.platform import libgomp
from governance.platform.environment import Surroundings
from governance.platform.home import PROJECT, CannotStart, Home
from governance.platform.probes import port
from governance.platform.processes import helpers, servers, setup

PLATFORM = [sys.executable, "-m", "governance.platform"]
OURS = ("COUNTERSIGN_HOME", "DATABASE_URL", "BROKER_URL", "VERBOSE", "DEMO_ONCE")
SAY_URL_AND_WAIT = (
    "import os, time; print(os.environ['DATABASE_URL'], os.environ['BROKER_URL'], flush=True); time.sleep(600)"
)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A data folder of its own, and proof that nobody is left working in it."""
    folder = tmp_path / "home"
    yield folder
    assert eventually(lambda: not mentioning(folder)), "processes were left behind"
    if (note := folder / "test" / "sockets").exists():
        shutil.rmtree(note.read_text())


def environment(home: Path, **more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if name not in OURS}
    return {**clean, "COUNTERSIGN_HOME": str(home), **more}


def execute(home: Path, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PLATFORM, "exec", "--", *command],
        cwd=PROJECT,
        env=environment(home, **more),
        capture_output=True,
        text=True,
        timeout=90,
    )


def background(home: Path, *argv: str, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        argv, cwd=PROJECT, env=environment(home, **more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def waiting(home: Path) -> tuple[subprocess.Popen[str], str]:
    """Start `exec` with a command that waits; return the supervisor and the superuser's URL."""
    supervisor = background(home, *PLATFORM, "exec", "--", sys.executable, "-c", SAY_URL_AND_WAIT)
    assert supervisor.stdout
    return supervisor, supervisor.stdout.readline().split()[0]


def mentioning(folder: Path) -> list[int]:
    """Return the living processes that were told of the folder, or work in it."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            told = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            if os.fsencode(folder) in told or (entry / "cwd").readlink().is_relative_to(folder):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def eventually(holds: Callable[[], bool], within: float = 20) -> bool:
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def stopped(supervisor: subprocess.Popen[str], number: signal.Signals) -> tuple[str, str]:
    supervisor.send_signal(number)
    return supervisor.communicate(timeout=40)


def postmaster(home: Path) -> int:
    return int((home / "test" / "postgres" / "postmaster.pid").read_text().split()[0])


# exec


def test_a_command_gets_servers_of_its_own_and_its_exit_code_is_kept(home: Path) -> None:
    script = """
        import os, psycopg
        from kombu import Connection
        with psycopg.connect(os.environ["DATABASE_URL"]) as db:
            print(db.execute("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'countersign%'").fetchone()[0])
            print(db.execute("SHOW listen_addresses").fetchone()[0] or "no network")
        with Connection(os.environ["BROKER_URL"]) as broker:
            queue = broker.SimpleQueue("letters")
            queue.put("dear broker")
            print(queue.get(timeout=5).payload)
        raise SystemExit(7)
    """
    result = execute(home, sys.executable, "-c", textwrap.dedent(script))
    assert result.stdout.split("\n") == ["6", "no network", "dear broker", ""], result.stderr
    assert result.returncode == 7


def test_a_password_is_needed_and_each_role_has_its_own(home: Path) -> None:
    script = """
        import os, psycopg
        from pathlib import Path
        url, secrets = os.environ["DATABASE_URL"], Path(os.environ["COUNTERSIGN_HOME"], "secrets")
        host = url.partition("host=")[2]
        def attempt(user, password):
            try:
                with psycopg.connect(host=host, user=user, password=password, dbname="countersign") as db:
                    db.execute("CREATE TABLE of_ones_own (id int)")
                    print(db.execute("SELECT tableowner FROM pg_tables WHERE tablename='of_ones_own'").fetchone()[0])
                    db.rollback()
            except psycopg.Error as error:
                print(str(error).strip().splitlines()[0].rpartition(": ")[2].strip())
        password = {role: (secrets / f"countersign_{role}").read_text() for role in ("app", "migrator")}
        attempt("countersign_app", "wrong")
        attempt("countersign_app", password["migrator"])
        attempt("countersign_app", password["app"])
        attempt("countersign_migrator", password["migrator"])
        attempt("countersign_owner", password["migrator"])
    """
    result = execute(home, sys.executable, "-c", textwrap.dedent(script))
    assert result.stdout.splitlines() == [
        'password authentication failed for user "countersign_app"',
        'password authentication failed for user "countersign_app"',
        "permission denied for schema public",
        "countersign_owner",
        'password authentication failed for user "countersign_owner"',
    ], result.stderr


def test_the_data_folder_is_private(home: Path) -> None:
    assert execute(home, "true").returncode == 0
    for path in (home, home / "test", home / "test" / "keys", home / "test" / "run", home / "test" / "secrets"):
        assert path.stat().st_mode & 0o777 == 0o700, path
    for path in (home / "test" / "secrets").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path


def test_a_path_too_long_for_sockets_still_works(home: Path) -> None:
    deep = home / ("d" * 100)
    result = execute(deep, sys.executable, "-c", "import os, psycopg; psycopg.connect(os.environ['DATABASE_URL'])")
    assert result.returncode == 0, result.stderr
    shutil.rmtree((deep / "test" / "sockets").read_text())


def test_a_second_supervisor_is_refused_while_the_first_lives(home: Path) -> None:
    first, _ = waiting(home)
    second = execute(home, "true")
    assert second.returncode == 1
    assert f"Another supervisor (process {first.pid}) uses the data folder {home / 'test'}" in second.stderr
    assert "COUNTERSIGN_HOME" in second.stderr
    stopped(first, signal.SIGTERM)
    assert execute(home, "true").returncode == 0


# Nothing is lost


def test_data_survive_a_killed_database_which_is_started_again(home: Path) -> None:
    supervisor, url = waiting(home)
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("CREATE TABLE promises (id serial)")
        db.execute("INSERT INTO promises DEFAULT VALUES")
        killed = postmaster(home)
        os.kill(killed, signal.SIGKILL)

    def kept() -> bool:
        try:
            with psycopg.connect(url) as db:
                return db.execute("SELECT count(*) FROM promises").fetchone() == (1,)
        except psycopg.OperationalError:
            return False

    assert eventually(kept)
    assert postmaster(home) != killed
    _, told = stopped(supervisor, signal.SIGTERM)
    assert "postgres ended with code 137; starting it again" in told


def test_a_stale_pid_of_a_stranger_does_not_stop_the_start(home: Path) -> None:
    assert execute(home, "true").returncode == 0
    (home / "test" / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{home / 'test' / 'postgres'}\n")
    assert execute(home, "true").returncode == 0


def test_a_cluster_half_made_is_made_anew(home: Path) -> None:
    (home / "test" / "postgres.draft" / "base").mkdir(parents=True)
    assert execute(home, "true").returncode == 0
    assert not (home / "test" / "postgres.draft").exists()


# Nothing is left


def test_a_killed_supervisor_leaves_no_process_and_a_clean_database(home: Path) -> None:
    supervisor, url = waiting(home)
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("CREATE TABLE promises (id serial)")
    supervisor.kill()
    supervisor.wait()
    assert eventually(lambda: not mentioning(home))
    log = (home / "test" / "log" / "postgres.log").read_text()
    started = execute(home, "true")
    assert started.returncode == 0, started.stderr
    assert "not properly shut down" not in (home / "test" / "log" / "postgres.log").read_text()[len(log) :]


def test_the_next_start_waits_for_a_killed_one_to_be_cleaned_up(home: Path) -> None:
    supervisor, _ = waiting(home)
    supervisor.kill()
    assert execute(home, "true").returncode == 0
    supervisor.wait()


def test_a_killed_make_leaves_no_process(home: Path, tmp_path: Path) -> None:
    rules = tmp_path / "Makefile"
    rules.write_text(f"all:\n\t@{' '.join(PLATFORM)} exec -- {sys.executable} -c '{SAY_URL_AND_WAIT}'\n")
    make = background(home, "make", "--file", str(rules))
    assert make.stdout
    make.stdout.readline()
    make.kill()
    make.wait()
    assert eventually(lambda: not mentioning(home))


def test_even_a_killed_guardian_leaves_no_process(home: Path) -> None:
    supervisor, _ = waiting(home)
    children = Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children").read_text().split()
    guardian = next(pid for pid in children if b"guardian.py" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(int(guardian), signal.SIGKILL)
    supervisor.kill()
    supervisor.wait()
    assert eventually(lambda: not mentioning(home))


DUMMIES = """
    import sys
    from pathlib import Path
    from governance.platform.environment import inherited
    from governance.platform.home import Home
    from governance.platform.process import Process
    from governance.platform.supervisor import Supervisor
    home = Home.open()
    def dummy(name, script, **more):
        return Process(name, ["sh", "-c", script], inherited() | {"COUNTERSIGN_HOME": str(home.path)}, **more)
    with Supervisor(home, home.lock()) as supervisor:
"""


def dummies(home: Path, body: str, **more: str) -> subprocess.Popen[str]:
    script = textwrap.dedent(DUMMIES) + textwrap.indent(textwrap.dedent(body), " " * 4)
    return background(home, sys.executable, "-c", script, **more)


def test_children_of_children_die_with_a_killed_supervisor_however_deaf(home: Path) -> None:
    supervisor = dummies(
        home,
        """
        supervisor.start(dummy("pool", "sleep 600 & sleep 601 & wait"),
                         dummy("deaf", "trap '' TERM; while :; do sleep 600; done"))
        print("up", flush=True)
        supervisor.wait()
        """,
    )
    assert supervisor.stdout
    assert supervisor.stdout.readline() == "up\n"
    assert eventually(lambda: len(mentioning(home)) >= 6)
    supervisor.kill()
    supervisor.wait()
    assert eventually(lambda: not mentioning(home))


def test_what_was_started_last_is_stopped_first(home: Path) -> None:
    supervisor = dummies(
        home,
        """
        script = "trap 'echo {} >> " + str(home.path / "order") + "; exit' TERM; while :; do sleep 0.05; done"
        for name in ("first", "second", "third"):
            supervisor.start(dummy(name, script.format(name)))
        print("up", flush=True)
        supervisor.wait()
        """,
    )
    assert supervisor.stdout
    supervisor.stdout.readline()
    time.sleep(0.3)
    stopped(supervisor, signal.SIGINT)
    assert supervisor.returncode == 0
    assert (home / "order").read_text().split() == ["third", "second", "first"]


def test_what_crashes_is_started_again_after_growing_pauses(home: Path) -> None:
    supervisor = dummies(home, 'supervisor.start(dummy("shaky", "echo here; exit 3")); supervisor.wait()')
    log = home / "log" / "shaky.log"
    assert eventually(lambda: log.exists() and log.read_text().count("shaky     | here\n") >= 3)
    _, told = stopped(supervisor, signal.SIGTERM)
    assert told.splitlines()[:2] == [
        "shaky ended with code 3; starting it again in 0.5 s",
        "shaky ended with code 3; starting it again in 1.0 s",
    ]


def test_what_ends_before_it_is_ready_is_named_with_its_last_words(home: Path) -> None:
    supervisor = dummies(
        home,
        """
        supervisor.start(dummy("fine", "sleep 600"))
        supervisor.start(dummy("broken", "echo no such table >&2; exit 4", ready=lambda: False))
        """,
    )
    _, told = supervisor.communicate(timeout=30)
    assert "CannotStart: broken ended with code 4 before it was ready" in told
    assert "broken    | no such table" in told


def test_output_is_shown_only_if_wanted(home: Path) -> None:
    body = 'supervisor.run(dummy("talker", "echo hello"))'
    assert "hello" not in dummies(home, body).communicate(timeout=30)[1]
    assert "talker    | hello" in dummies(home, body, VERBOSE="1").communicate(timeout=30)[1]


# Refusals


def test_a_taken_port_is_refused_before_anything_starts(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        result = subprocess.run(
            [*PLATFORM, "run"],
            cwd=PROJECT,
            env=environment(home, WEB_PORT=str(taken)),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert result.returncode == 1
    assert f"Port {taken} cannot be used: another program listens there." in result.stderr
    assert f"WEB_PORT={taken + 1000}" in result.stderr
    assert not (home / "postgres").exists()


def test_a_port_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCORING_PORT", "http")
    with pytest.raises(CannotStart, match="SCORING_PORT='http' is not a port"):
        port("SCORING_PORT", 8001)


def test_one_port_for_both_servers_is_refused(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = str(listener.getsockname()[1])
    supervisor = background(home, *PLATFORM, "run", WEB_PORT=free, SCORING_PORT=free)
    _, said = supervisor.communicate(timeout=60)
    assert (supervisor.returncode, f"WEB_PORT and SCORING_PORT are both {free}." in said) == (1, True)
    assert not (home / "postgres").exists()


def test_a_data_folder_that_is_none_is_refused_in_words(home: Path) -> None:
    home.write_text("a file")
    for place in (home, home / "below"):
        with pytest.raises(CannotStart, match="cannot be used: .* Set COUNTERSIGN_HOME"):
            Home.open(place)


def test_a_folder_of_another_layout_is_refused_untouched(home: Path) -> None:
    home.mkdir()
    (home / "version").write_text("99")
    result = execute(home, "true")
    assert result.returncode == 1
    assert f"The data folder {home} has layout 99; this code reads layout 1." in result.stderr
    assert [path.name for path in home.iterdir()] == ["version"]


def test_a_cluster_of_another_postgresql_is_refused_untouched(home: Path) -> None:
    assert execute(home, "true").returncode == 0
    mark = home / "test" / "postgres" / "PG_VERSION"
    mark.write_text("12\n")
    result = execute(home, "true")
    assert result.returncode == 1
    assert "was made by PostgreSQL 12" in result.stderr
    assert "COUNTERSIGN_PG_BIN" in result.stderr
    assert mark.read_text() == "12\n"


def test_a_lost_password_is_refused_with_the_remedy(home: Path) -> None:
    assert execute(home, "true").returncode == 0
    (home / "test" / "secrets" / "postgres").unlink()
    result = execute(home, "true")
    assert result.returncode == 1
    assert "refuses the password in secrets/postgres" in result.stderr


# What each process is told


@pytest.fixture
def told(home: Path) -> Surroundings:
    roles = ("migrator", "app", "scoring", "governor", "sequencer")
    return Surroundings(Home.open(home), {role: f"postgresql://{role}@/x" for role in roles}, "redis://", 1, 2, 3)


def test_each_process_gets_its_own_role_and_keys_and_nothing_of_the_operators(
    told: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the operator's own")
    monkeypatch.setenv("GOVERNOR_DATABASE_URL", "postgresql://governor:secret@/x")
    table = {process.name: process.env for process in [setup(told, people=False), *servers(told), *helpers(told)]}
    roles = {
        name: env["DATABASE_URL"].removeprefix("postgresql://").removesuffix("@/x")
        for name, env in table.items()
        if "DATABASE_URL" in env
    }
    assert roles == {
        "setup": "migrator",
        "web": "app",
        "scoring": "scoring",
        "sequencer": "sequencer",
        "governor": "governor",
        **dict.fromkeys(
            ("worker", "intake", "checks", "drift", "monitors", "explainer", "train", "webhooks", "beat"), "app"
        ),
    }
    assert {name for name, env in table.items() if "LOG_KEY_FILE" in env} == {"setup", "sequencer"}
    assert {name for name, env in table.items() if "WARRANT_KEY_FILE" in env} == {"setup", "governor"}
    assert "SECRET_KEY_FILE" not in table["tracking"]
    assert not any("secret" in value for env in table.values() for name, value in env.items() if "KEY" not in name)
    assert all(env["PROCESS"] == name for name, env in table.items() if name not in ("tracking", "witness"))
    assert not {"DATABASE_URL", "BROKER_URL", "LOG_KEY_FILE", "WARRANT_KEY_FILE"} & set(table["witness"])


def test_only_who_opens_a_bucket_gets_its_credentials(told: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the bucket")
    monkeypatch.setenv("ARTIFACTS", "s3://bucket/prefix")
    everybody = [setup(told, people=False), *servers(told), *helpers(told)]
    given = {process.name for process in everybody if "AWS_SECRET_ACCESS_KEY" in process.env}
    assert given == {"web", "scoring", "checks", "drift", "monitors", "explainer", "train"}


def test_libgomp_is_lent_where_the_system_has_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libgomp, "_LIBRARY", "libgomp.so.999")  # surely missing here
    path = libgomp.library_path(Home.open(home))
    assert path is not None
    assert (Path(path) / "libgomp.so.999").resolve().name.startswith("libgomp-")


def test_where_we_find_libraries_our_children_find_them(told: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/lent/by/another/supervisor")
    for process in [setup(told, people=False), *servers(told), *helpers(told)]:
        assert process.env["LD_LIBRARY_PATH"] == "/lent/by/another/supervisor", process.name
    monkeypatch.setattr(libgomp, "_LIBRARY", "libgomp.so.999")
    own = str(told.home.folder("lib"))
    assert told.of("scoring", "scoring")["LD_LIBRARY_PATH"] == f"{own}:/lent/by/another/supervisor"
