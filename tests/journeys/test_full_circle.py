"""The whole road on a real platform: real PostgreSQL with each process in its own role, real broker, real workers.

The walk of `make demo` is the journey: train, register by a stock mlflow client, checks by workers, four eyes,
promotion by the governor, scores, drift, alert, case, retraining, dossier verified offline. It checks each step
itself and ends with 0 only if all of them held.
"""

import io
import json
import os
import subprocess
import sys
import zipfile

import httpx
import mlflow
import psycopg
import pytest

from governance import approvals
from governance.demo.clients import ask, browser, program
from governance.dossier import verify
from governance.policy_defaults import DEFAULTS
from tests import running

MODEL = "payment-fraud"


@pytest.fixture
def ada(platform):
    return program(platform.url, platform.tokens["ada"])


@pytest.fixture
def engine(platform):
    return program(platform.scoring_url, platform.tokens["engine"])


def test_the_whole_road_is_walked(walked):
    assert "VERIFIED  decision" in walked
    assert "REFUSED" in walked
    assert "the same model back" in walked


def test_the_alarm_came_from_the_drift_and_the_retrained_version_waits_for_people(walked):
    assert "pass  drift over 500 decisions" in walked
    assert "nothing promotes it but people" in walked


def test_the_dossier_verifies_here_too(walked, platform):
    data = (platform.home / f"dossier-{MODEL}.zip").read_bytes()
    summary = verify.verify(data)
    assert summary["deployments"] == 1
    assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None


def test_a_stock_client_loads_the_champion_by_its_alias(walked, platform, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", platform.tokens["ada"])
    client = mlflow.MlflowClient(tracking_uri=platform.url, registry_uri=platform.url)
    serving = client.get_model_version_by_alias(MODEL, "champion")
    assert serving.aliases == ["champion"]
    assert client.get_registered_model(MODEL).aliases == {"champion": serving.version}
    before = mlflow.get_registry_uri()
    mlflow.set_registry_uri(platform.url)
    try:
        loaded = mlflow.pyfunc.load_model(f"models:/{MODEL}@champion")
    finally:
        mlflow.set_registry_uri(before)
    assert loaded.metadata.run_id == serving.run_id
    for act in (client.set_registered_model_alias, lambda *a: client.delete_registered_model_alias(*a[:2])):
        with pytest.raises(mlflow.MlflowException, match="mirrors what is deployed") as refused:
            act(MODEL, "champion", "2")
        assert refused.value.error_code == "INVALID_STATE"
    assert client.get_model_version_by_alias(MODEL, "champion") == serving


def test_ada_cannot_sign_her_own_version(walked, platform):
    mine = browser(platform.url, "ada", platform.passwords["ada"])
    case = ask(mine, "GET", f"/api/v1/models/{MODEL}/cases")[0]
    stage = ask(mine, "GET", f"/api/v1/models/{MODEL}/versions/1/stage")
    sent = {"outcome": "approve", "reason": "-", "password": platform.passwords["ada"]}
    sent["meaning"] = approvals.MEANINGS["approve"]
    answer = mine.post(f"/api/v1/requests/{stage['request']}/signatures", json=sent)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert case["ended"]


def test_nobody_else_may_read_what_the_platform_keeps(walked, platform):
    kept = [path for path in platform.home.rglob("*") if path.is_file() and "static" not in path.parts]
    open_to_all = [str(path) for path in kept if path.stat().st_mode & 0o007]
    assert len(kept) > 50
    assert not open_to_all


def test_each_process_connects_as_its_own_role(walked, platform):
    for path in (platform.home / "secrets").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path.name
    told = environments(platform)
    roles = {
        name: env["DATABASE_URL"].split("//")[1].split(":")[0] for name, env in told.items() if "DATABASE_URL" in env
    }
    assert {roles[name] for name in ("web", "worker", "checks", "drift", "monitors", "train")} == {"countersign_app"}
    assert [roles[name] for name in ("scoring", "governor", "sequencer")] == [
        "countersign_scoring",
        "countersign_governor",
        "countersign_sequencer",
    ]
    assert {name for name, env in told.items() if "LOG_KEY_FILE" in env} == {"sequencer"}
    assert {name for name, env in told.items() if "WARRANT_KEY_FILE" in env} == {"governor"}


def environments(platform) -> dict[str, dict[str, str]]:
    return {told["PROCESS"]: told for told in platform.processes().values()}


def test_the_web_role_cannot_write_a_deployment_by_raw_sql(walked, platform):
    with psycopg.connect(environments(platform)["web"]["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("countersign_app",)
        for statement in (
            "INSERT INTO scoring_deployment SELECT * FROM scoring_deployment",
            "UPDATE governance_signature SET outcome = 'approve'",
            "INSERT INTO registry_leaf (log, index, entry_id) VALUES ('governance', 999999, 1)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(statement)


def test_bad_requests_answer_problems_and_leave_nothing(walked, platform, engine):
    score = f"/api/v1/models/{MODEL}/score"
    for body in (b"{", b"[]", b'{"features": {"amount": "x"}}'):
        answer = engine.post(score, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
    assert httpx.post(f"{platform.scoring_url}{score}", json={}).status_code == 401
    assert engine.post("/api/v1/models/none/score", json={"features": {}}).status_code == 404


def command(home, *words):
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=running.ROOT,
        env={**kept, "COUNTERSIGN_HOME": str(home)},
        input="a long enough phrase\n",
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_operator_works_on_the_running_platform_with_plain_commands(walked, platform, tmp_path):
    done = command(platform.home, "verify_ledger")
    assert done.returncode == 0, done.stderr
    assert "governance: " in done.stdout
    assert "entries verified" in done.stdout
    file = tmp_path / "accounts.csv"
    file.write_text("age,sex,bad\n" + "".join(f"{20 + n % 50},{'fm'[n % 2]},{int(n % 7 == 0)}\n" for n in range(300)))
    done = command(platform.home, "import_dataset", str(file), "--label", "bad", "--protected", "sex")
    assert done.returncode == 0, done.stderr
    assert "300 rows, 1 features" in done.stdout
    assert command(platform.home, "add_person", "heidi", "--role", "risk-analyst").returncode == 0
    browser(platform.url, "heidi", "a long enough phrase")
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps(DEFAULTS[3] | {"retention_days": 1}))
    done = command(platform.home, "adopt_policy", "3", str(rules))  # as the migrator: no server's role may
    assert done.returncode == 0, done.stderr


def test_a_command_without_a_platform_says_how_to_start_one(tmp_path):
    done = command(tmp_path / "nobody", "verify_ledger")
    assert done.returncode == 1
    assert "Start one with `make run`" in done.stderr
