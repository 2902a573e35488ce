"""What an intruder does to a running platform's files and rows: never a wrong model, and an alert within seconds."""

import httpx
import psycopg
import pytest

from governance.demo.clients import ask, browser, program, until
from governance.platform.postgres import SUPERUSER
from scoring.serving import RETRY

MODEL = "payment-fraud"
SOON = 20  # seconds: a refusal is noticed at the next request, its alert raised at the next beat
FEATURES = """
SELECT convert_from(d.inputs, 'UTF8')::jsonb -> 'features' FROM scoring_decision d
JOIN registry_registeredmodel m ON m.id = d.model_id WHERE m.name = %s ORDER BY d.id LIMIT 1
"""
FILE = """
SELECT v.artifact -> (v.lineage ->> 'model_file') ->> 'sha256' FROM registry_modelversion v
JOIN registry_registeredmodel m ON m.id = v.model_id WHERE m.name = %s AND v.number = %s
"""
# A package around the other version, which nobody approved.
FORGED = """
INSERT INTO registry_package
  (id, version_id, policy_id, bands, reasons, fallback, digest, assembled_by_id, assembled_at)
SELECT gen_random_uuid(), w.id, p.policy_id, p.bands, p.reasons, p.fallback, 'forged', p.assembled_by_id, p.assembled_at
FROM registry_package p JOIN registry_modelversion v ON v.id = p.version_id
JOIN registry_modelversion w ON w.model_id = v.model_id AND w.number = 3 - v.number
JOIN registry_registeredmodel m ON m.id = v.model_id WHERE m.name = %s AND v.number = %s LIMIT 1 RETURNING id
"""
NEWEST = """
SELECT d.id, d.package_id FROM scoring_deployment d JOIN registry_registeredmodel m ON m.id = d.model_id
WHERE m.name = %s ORDER BY d.id DESC LIMIT 1
"""


@pytest.fixture
def owner(walked, platform):
    """A connection of the database's owner, who can do everything."""
    with psycopg.connect(platform.database(SUPERUSER), autocommit=True) as connection:
        yield connection


@pytest.fixture
def score(owner, platform):
    """Ask for a decision about the same payment, or for the problem; None while nobody answers."""
    engine = program(platform.scoring_url, platform.tokens["engine"])
    features = owner.execute(FEATURES, [MODEL]).fetchone()[0]

    def answer():
        try:
            return engine.post(f"/api/v1/models/{MODEL}/score", json={"features": features}).json()
        except httpx.TransportError:
            return None

    return answer


def refusals(platform):
    """Return what the alerts of the model say about loads that were refused."""
    client = program(platform.url, platform.tokens["engine"])
    found = ask(client, "GET", f"/api/v1/models/{MODEL}/alerts")
    return [alert["detail"] for alert in found if alert["kind"] == "refused load"]


def test_a_file_swapped_on_disk_before_a_restart_gives_fallbacks_and_an_alert(owner, platform, score):
    before = scores(score)
    digest = owner.execute(FILE, [MODEL, before["version"]]).fetchone()[0]
    file = platform.home / "artifacts" / digest[:2] / digest[2:4] / digest
    true = file.read_bytes()
    file.write_bytes(true.replace(b"leaf_value=", b"leaf_value=9"))
    try:
        assert platform.kill("scoring") >= 2
        during = until("scoring answers again", score)
        assert "could not be verified and loaded" in during["fallback"]
        assert (during["score"], during["version"], during["reasons"]) == (None, before["version"], [])
        until("an alert", lambda: any("changed after they" in said for said in refusals(platform)), SOON)
        assert score()["score"] is None
        clara = browser(platform.url, "clara", platform.passwords["clara"])
        assert "Refused load" in clara.get(f"/models/{MODEL}").text
        assert "No score was given" in clara.get(f"/decisions/{during['decision_id']}").text
    finally:
        file.write_bytes(true)
    after = scores(score)
    assert (after["score"], after["fallback"]) == (before["score"], None)


def repoint(owner, package):
    """Point the row that serves to another package, its trigger off; return where it pointed."""
    row, was = owner.execute(NEWEST, [MODEL]).fetchone()
    with owner.transaction():
        owner.execute("ALTER TABLE scoring_deployment DISABLE TRIGGER append_only")
        owner.execute("UPDATE scoring_deployment SET package_id = %s WHERE id = %s", [package, row])
        owner.execute("SET CONSTRAINTS ALL IMMEDIATE")
        owner.execute("ALTER TABLE scoring_deployment ENABLE ALWAYS TRIGGER append_only")
    return was


def scores(score):
    """Return an answer with a score, once there is one."""
    return until("it scores", lambda: (said := score()) and said.get("score") is not None and said, RETRY + SOON)


def test_a_row_repointed_by_the_databases_owner_leaves_the_running_model_and_raises_an_alert(owner, platform, score):
    before = scores(score)
    true = repoint(owner, owner.execute(FORGED, [MODEL, before["version"]]).fetchone()[0])
    try:
        until("an alert", lambda: score() and any("not warranted" in said for said in refusals(platform)), SOON)
        for _ in range(20):
            after = score()
            assert (after["score"], after["version"], after["fallback"]) == (before["score"], before["version"], None)
        assert platform.kill("scoring") >= 2
        refused = until("scoring answers again", score)
        assert refused.get("status") == 503 or (refused["score"], bool(refused["fallback"])) == (None, True)
    finally:
        repoint(owner, true)
    assert scores(score)["score"] == before["score"]
