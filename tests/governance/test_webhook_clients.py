"""A stock MLflow client and our own API make webhooks on a running platform, whose worker tells a real receiver."""

import subprocess
import sys
import time
import uuid

import httpx
import mlflow
import pytest
from mlflow.entities.webhook import WebhookEvent
from mlflow.exceptions import MlflowException
from mlflow.webhooks import delivery

from tests import running
from tests.receiving import receiver

SECRET = "a secret that nobody reads"


@pytest.fixture(scope="module")
def token(platform):
    """Olivia's token, with all that an operator may."""
    done = subprocess.run(
        [sys.executable, "manage.py", "issue_token", "olivia", "--name", "hooks"],
        cwd=running.ROOT,
        env=next(told for told in platform.processes().values() if told["PROCESS"] == "web"),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def client(platform, token, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", token)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    return mlflow.MlflowClient(platform.url, platform.url)


@pytest.fixture
def ours(platform, token):
    with httpx.Client(base_url=platform.url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
        yield client


@pytest.fixture
def here():
    with receiver() as listening:
        yield listening


def until(found):
    end = time.monotonic() + 40
    while not (value := found()) and time.monotonic() < end:
        time.sleep(0.05)
    return value


def a_model(platform):
    name = f"hooked-{uuid.uuid4().hex[:8]}"
    headers = {"Authorization": f"Bearer {platform.tokens['ada']}"}
    assert httpx.post(f"{platform.url}/api/v1/models", json={"name": name}, headers=headers).status_code == 201
    return name


def test_a_stock_client_makes_reads_changes_tests_and_removes_a_webhook(platform, client, here):
    events = ["registered_model.created", "model_version_alias.created"]
    made = client.create_webhook("ci.hook-1", f"{here.url}/ci", events, description="For CI", secret=SECRET)
    assert (made.name, made.url, made.description, made.status) == ("ci.hook-1", f"{here.url}/ci", "For CI", "ACTIVE")
    assert made.events == [WebhookEvent.from_str(name) for name in events]
    assert made.secret is None

    result = client.test_webhook(made.webhook_id)
    assert (result.success, result.response_status, result.response_body) == (True, 200, "thank you")
    _, headers, body = here.got[-1]
    signed = [headers["X-MLflow-Delivery-Id"], headers["X-MLflow-Timestamp"], body.decode()]
    assert headers["X-MLflow-Signature"] == delivery._generate_hmac_signature(SECRET, *signed)
    assert b'"registered_model","action":"created"' in body.replace(b'"entity":', b"")
    here.statuses = [500]
    result = client.test_webhook(made.webhook_id, "model_version_alias.created")
    assert (result.success, result.response_status) == (False, 500)
    here.statuses = [200]
    result = client.test_webhook(made.webhook_id, "model_version_tag.set")  # of another event than it tells
    assert (result.success, b'"model_version_tag","action":"set"' in here.got[-1][2].replace(b'"entity":', b"")) == (
        True,
        True,
    )

    name = a_model(platform)
    assert until(lambda: [body for _, _, body in here.got if name.encode() in body])

    changed = client.update_webhook(made.webhook_id, name="renamed", status="DISABLED", events=events[1:])
    assert (changed.name, changed.status, changed.description) == ("renamed", "DISABLED", "For CI")
    assert client.get_webhook(made.webhook_id).events == [WebhookEvent.from_str(events[1])]
    assert changed.last_updated_timestamp > changed.creation_timestamp == made.creation_timestamp

    client.delete_webhook(made.webhook_id)
    with pytest.raises(MlflowException, match="not found") as gone:
        client.get_webhook(made.webhook_id)
    assert gone.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert made.webhook_id not in [hook.webhook_id for hook in client.list_webhooks()]


def test_a_stock_client_lists_by_pages(client, here):
    made = [client.create_webhook(f"hook-{n}", here.url, ["model_version.created"]).webhook_id for n in range(3)]
    found, token = [], None
    while True:
        page = client.list_webhooks(max_results=2, page_token=token)
        assert len(page) <= 2
        found, token = found + [hook.webhook_id for hook in page], page.token
        if not token:
            break
    assert found[:3] == made[::-1]
    for identifier in made:
        client.delete_webhook(identifier)


REFUSED = {
    "https://127.0.0.2/": "loopback",
    "http://localhost/": "unencrypted",
    "https://10.0.0.1/": "private",
    "https://169.254.169.254/": "link-local",
    "https://[::ffff:127.0.0.1]/": "loopback",
    "https://2130706433/": "no host",
    "ftp://hooks.example/": "begins with",
    "https://a:b@hooks.example/": "username or password",
}


@pytest.mark.parametrize("url", REFUSED)
def test_a_stock_client_is_told_at_once_why_a_target_is_refused(client, url):
    before = len(client.list_webhooks())
    with pytest.raises(MlflowException, match=REFUSED[url]) as refused:
        client.create_webhook("hook", url, ["model_version.created"])
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
    assert len(client.list_webhooks()) == before


def test_a_data_scientist_makes_webhooks_of_their_own_model_alone(platform, here, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", platform.tokens["ada"])
    with pytest.raises(MlflowException, match="Name a model of yours") as refused:
        mlflow.MlflowClient(platform.url, platform.url).create_webhook("hook", here.url, ["model_version.created"])
    assert refused.value.error_code == "PERMISSION_DENIED"
    name, own = a_model(platform), {"name": "own", "url": here.url, "events": ["countersign.version.registered"]}
    with httpx.Client(base_url=platform.url, headers={"Authorization": f"Bearer {platform.tokens['ada']}"}) as ada:
        assert ada.post("/api/v1/webhooks", json=own).status_code == 403
        made = ada.post("/api/v1/webhooks", json={**own, "model": name})
        assert (made.status_code, made.json()["model"]) == (201, name)
        assert [hook["id"] for hook in ada.get("/api/v1/webhooks").json()["webhooks"]] == [made.json()["id"]]
    with httpx.Client(
        base_url=platform.url, headers={"Authorization": f"Bearer {platform.tokens['engine']}"}
    ) as engine:
        assert engine.get("/api/v1/webhooks").json() == {"webhooks": []}  # may read, and owns nothing
        assert engine.get(f"/api/v1/webhooks/{made.json()['id']}/deliveries").status_code == 404


def test_the_log_of_deliveries_shows_each_attempt_and_one_is_repeated(platform, ours, here):
    here.statuses = [500, 200]
    told = {"name": "own", "url": here.url, "events": ["countersign.model.registered"], "secret": SECRET}
    made = ours.post("/api/v1/webhooks", json=told).json()
    assert made["has_secret"] is True
    assert SECRET not in ours.get(f"/api/v1/webhooks/{made['id']}").text
    name, path = a_model(platform), f"/api/v1/webhooks/{made['id']}/deliveries"
    mine = f'"model":"{name}"'.encode()
    assert until(lambda: len([body for _, _, body in here.got if mine in body]) == 2)

    row = until(lambda: next((row for row in ours.get(path).json()["deliveries"] if row["state"] == "arrived"), None))
    assert [(a["status"], a["answer"], a["next_at"] is None) for a in row["attempts"]] == [
        (500, "thank you", False),
        (200, "thank you", True),
    ]
    again = ours.post(f"{path}/{row['id']}/repeat")
    assert again.status_code == 202
    assert until(lambda: len([body for _, _, body in here.got if mine in body]) == 3)
    assert ours.patch(f"/api/v1/webhooks/{made['id']}", json={"secret": ""}).json()["has_secret"] is False
    assert ours.post(f"/api/v1/webhooks/{made['id']}/test").json()["success"] is True
    assert "X-MLflow-Signature" not in here.got[-1][1]
    assert ours.delete(f"/api/v1/webhooks/{made['id']}").status_code == 204
    assert ours.get(path).status_code == 404


def test_a_slow_receiver_holds_nobody_else_up(platform, ours, here):
    with receiver() as slow:
        slow.answer, slow.trickle = b"x" * 400, 0.1
        hooks = [
            ours.post("/api/v1/webhooks", json={"name": name, "url": url, "events": ["countersign.model.registered"]})
            for name, url in (("slow", slow.url), ("quick", here.url))
        ]
        name = a_model(platform)
        assert until(lambda: [body for _, _, body in here.got if name.encode() in body])
        path = f"/api/v1/webhooks/{hooks[0].json()['id']}"
        assert ours.get(f"{path}/deliveries").json()["deliveries"][0]["attempts"] == []  # still being read
        for hook in hooks:
            ours.delete(f"/api/v1/webhooks/{hook.json()['id']}")


def test_only_the_process_that_sends_holds_the_key(platform):
    told = {env["PROCESS"]: env.get("WEBHOOK_KEY_FILE") for env in platform.processes().values()}
    holding = {name for name, key in told.items() if key}
    assert holding == {"webhooks"}
