"""What does not work from a terminal says why, changes nothing, and ends with its own code."""

import os
import signal
import stat
import threading

import httpx
import pytest

from tests import cutting
from tests.cli.conftest import Terminal

WRONG = "csn_" + "x" * 43


def test_a_token_is_kept_for_its_owner_alone_and_for_one_server(platform, tmp_path):
    terminal = Terminal(tmp_path)
    said = terminal("login", platform.url, typed=platform.tokens["ada"] + "\n")
    assert said.code == 0, said.err
    assert "Ada" in said.out
    file = tmp_path / "config" / "countersign" / "credentials.json"
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    assert terminal("status").code == 0
    elsewhere = terminal("status", COUNTERSIGN_URL="http://127.0.0.1:9")
    assert elsewhere.code == 2
    assert "There is no token for http://127.0.0.1:9" in elsewhere.err


def test_a_wrong_token_is_not_kept(platform, tmp_path):
    terminal = Terminal(tmp_path)
    said = terminal("login", platform.url, typed=WRONG + "\n")
    assert said.code == 3
    assert "never issued here" in said.err
    assert not (tmp_path / "config").exists()


def test_a_token_from_the_environment_of_mlflow_will_do(platform, tmp_path):
    terminal = Terminal(tmp_path, COUNTERSIGN_URL=platform.url, MLFLOW_TRACKING_TOKEN=platform.tokens["ada"])
    said = terminal("login", "--check", "--json")
    assert said.json["username"] == "ada"
    assert said.json["file"] is None
    assert not (tmp_path / "config").exists()


@pytest.mark.parametrize(
    ("words", "told", "code", "reason"),
    [
        (["status"], {"COUNTERSIGN_TOKEN": WRONG}, 3, "never issued here"),
        (["login", "--check"], {"COUNTERSIGN_URL": "http://127.0.0.1:9"}, 4, "does not answer"),
        (["status"], {"COUNTERSIGN_URL": ""}, 2, "No server is known"),
        (["status"], {"COUNTERSIGN_TOKEN": "csn_ü"}, 2, "That is no token"),
        (["status"], {"COUNTERSIGN_TOKEN": "csn_a\nX: y"}, 2, "That is no token"),
        (["status"], {"COUNTERSIGN_URL": "ftp://x"}, 2, "not the address of a server"),
        (["status", "nobody"], {}, 3, "No model named nobody"),
        (["status", "nobody/1"], {}, 3, "No model named nobody"),
        (["check", "nobody/1", "--wait"], {}, 3, "No model named nobody"),
        (["check", "road"], {}, 2, "Write for example fraud/3"),
        (["check"], {}, 2, "Give either MODEL/VERSION, or --local PATH"),
        (["observe", "nobody"], {}, 3, "No model named nobody"),
        (["export", "nobody/1", "-o", "x.zip"], {}, 3, "governance.issue_dossier"),
        (["register", "."], {}, 2, "it holds no file MLmodel"),
        (["frobnicate"], {}, 2, "No such command"),
    ],
)
def test_each_failure_says_why_and_has_its_code(cli, words, told, code, reason):
    said = cli(*words, **told)
    assert said.code == code, said.err
    assert reason in " ".join(said.err.split())
    as_json = cli(*words, "--json", **told)
    assert as_json.code == code
    if words[0] != "frobnicate":
        assert reason in as_json.json["error"]["detail"]
        assert as_json.json["error"]["exit"] == code


def test_help_lists_the_exit_codes_and_needs_nothing(tmp_path):
    said = Terminal(tmp_path)("--help")
    assert said.code == 0
    assert "the gate is not passed" in said.out


def test_an_upload_that_was_cut_goes_on_where_it_was(platform, cli, work, tmp_path):
    folder = heavy(work, tmp_path)
    with cutting.line(platform.url) as line:
        line.left = 2_000_000
        cut = cli("register", folder, "--model", "cut", COUNTERSIGN_URL=line.url)
        assert cut.code == 4
        assert "does not answer" in cut.err
        assert versions(platform, "cut") == []
        line.left = None
        said = cli("register", folder, "--model", "cut", COUNTERSIGN_URL=line.url)
    assert said.code == 0, said.err
    assert "of 8 files" in said.err
    assert "Uploading 8 of 8" not in said.err
    assert [version["version"] for version in versions(platform, "cut")] == [1]


def test_one_that_was_interrupted_by_hand_does_too(platform, cli, work, tmp_path):
    folder = heavy(work, tmp_path)
    with cutting.line(platform.url) as line:
        line.left, line.hangs = 2_000_000, True
        process = cli.start("register", folder, "--model", "stopped", COUNTERSIGN_URL=line.url)
        killer = threading.Thread(target=lambda: (line.reached.wait(60), process.send_signal(signal.SIGINT)))
        killer.start()
        _, err = process.communicate(timeout=90)
        killer.join()
        assert process.returncode == 130
        assert "Traceback" not in err
        line.left = None
        said = cli("register", folder, "--model", "stopped", COUNTERSIGN_URL=line.url)
    assert said.code == 0, said.err
    assert "Uploading 8 of 8" not in said.err
    assert [version["version"] for version in versions(platform, "stopped")] == [1]


def test_what_cannot_be_measured_here_says_why(cli, work):
    given = ["--local", work / "model", "--tier", "1", "--model", "nobody", "--holdout", work / "holdout.parquet"]
    said = cli("check", *given, "--label", "nonsense")
    assert said.code == 2
    assert "has no column nonsense" in said.err
    untold = cli("check", "--local", work / "model", "--model", "nobody", *given[6:], "--label", "is_fraud")
    assert untold.code == 2
    assert "its tier is not known" in " ".join(untold.err.split())


@pytest.mark.parametrize(
    ("plan", "reason"),
    [("bands: [", "cannot be read"), ("- a", "must hold bands"), ("bands: []\nshare: 1", "must hold bands")],
)
def test_a_plan_that_is_none_is_not_sent(cli, plan, reason):
    (cli.home / "odd.yaml").write_text(plan)
    said = cli("submit", "road/1", "--plan", "odd.yaml", "--reason", "-")
    assert said.code == 2
    assert reason in said.err


def test_what_the_intake_refuses_is_told_with_its_reason(platform, cli, work, tmp_path):
    folder = heavy(work, tmp_path)
    (folder / "MLmodel").write_text("flavors: 3\n")
    said = cli("register", folder, "--model", "malformed")
    assert said.code == 3
    assert "malformed/1 was not accepted" in said.err
    assert "not of MLflow's form" in " ".join(said.err.split())
    shown = cli("status", "malformed/1")
    assert (shown.code, "FAILED_REGISTRATION" in shown.out) == (0, True)
    assert "not of MLflow's form" in " ".join(shown.out.split())
    assert "not pinned" in cli("status", "malformed").out
    assert cli("check", "malformed/1", "--wait").code == 3
    assert cli("register", folder, "--model", "malformed").code == 3
    assert [version["version"] for version in versions(platform, "malformed")] == [2, 1]


def test_what_the_intake_would_refuse_is_told_here_and_never_loaded(cli, work, tmp_path):
    folder, trace = heavy(work, tmp_path), tmp_path / "ran"
    (folder / "extra.pkl").write_bytes(b"cposix\nsystem\n(S'touch %s'\ntR." % str(trace).encode())
    given = ["--holdout", work / "holdout.parquet", "--label", "is_fraud", "--tier", "1"]
    here = cli("check", "--local", folder, "--model", "trojan", *given, "--json")
    assert here.code == 1, here.err
    assert "A pickle would run what no model needs: extra.pkl imports posix.system" in here.json["unservable"]
    assert here.json["checks"] == []
    there = cli("register", folder, "--model", "trojan", "--json")
    assert there.code == 3
    assert here.json["unservable"] in there.json["error"]["detail"]
    assert not trace.exists()


def test_what_could_not_be_verified_has_no_gate(platform, cli):
    headers = {"Authorization": f"Bearer {platform.tokens['ada']}"}
    for path, told in (
        ("registered-models/create", {"name": "elsewhere"}),
        ("model-versions/create", {"name": "elsewhere", "source": f"runs:/{'0' * 32}/model"}),
    ):
        httpx.post(f"{platform.url}/api/2.0/mlflow/{path}", json=told, headers=headers).raise_for_status()
    said = cli("check", "elsewhere/1", "--wait")
    assert said.code == 3
    assert "has no files here" in said.err
    assert "READY" in cli("status", "elsewhere/1").out


def test_a_link_is_not_followed(platform, cli, work, tmp_path):
    folder = heavy(work, tmp_path)
    (folder / "secret").symlink_to("/etc/hostname")
    said = cli("register", folder, "--model", "linked")
    assert said.code == 2
    assert "is a link" in said.err
    assert ask(platform, "/api/v1/models/linked").status_code == 404


def heavy(work, tmp_path):
    """A model folder with three files of a megabyte each, so that a connection can end among them."""
    folder = tmp_path / "model"
    folder.mkdir()
    for file in (work / "model").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    for place in range(3):
        (folder / f"z{place}.bin").write_bytes(os.urandom(1_000_000))
    return folder


def versions(platform, model):
    return ask(platform, f"/api/v1/models/{model}").json()["versions"]


def ask(platform, path):
    return httpx.get(platform.url + path, headers={"Authorization": f"Bearer {platform.tokens['ada']}"})
