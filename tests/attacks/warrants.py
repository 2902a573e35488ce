"""How somebody tries to have a server load what the governor never warranted."""

import json
import secrets

from governance.demo.clients import Refused, until
from registry import dsse
from registry.models import Package
from registry.tlog.vkeys import Signer
from scoring import deployments
from scoring.models import Deployment
from scoring.serving import RETRY
from tests.attacks import NotCaughtError, attack
from tests.attacks.world import MODEL, OTHER, SOON, denied

DEPLOY = """
INSERT INTO scoring_deployment (id, model_id, package_id, request, "order", warrant, made_by_id, made_at)
SELECT %(id)s, d.model_id, %(package)s, d.request, gen_random_uuid(), %(warrant)s, d.made_by_id, d.made_at
FROM scoring_deployment d WHERE d.id = %(like)s
"""


def newest(model: str) -> Deployment:
    """Return what serves a model."""
    return Deployment.objects.filter(model__name=model).select_related("package__version__model").latest("id")


def unapproved(world) -> Package:
    """Return the package whose signing is asked for."""
    return Package.objects.get(requests=world.requests[MODEL]["request"])


def alarm(world, words: str, before: dict, model: str = MODEL) -> str:
    """Wait for the alert about a refused load; meanwhile every answer is the same as before."""

    def look():
        answer = world.score(model).json()
        if (answer.get("score"), answer.get("version")) != (before["score"], before["version"]):
            raise NotCaughtError(f"another answer: {answer}")
        return next((text for text in world.alerts(model) if words in text), None)

    try:
        until("an alert", look, SOON)
    except Refused as refused:
        raise NotCaughtError(f"no alert says {words!r}") from refused
    return f"load refused, alert “{words}”; the warranted model goes on"


def scored(world, model: str = MODEL) -> dict:
    """Return an answer with a score, once there is one."""
    look = lambda: (said := world.answers(model)) and said.get("score") is not None and said  # noqa: E731
    return until("it scores", look, RETRY + SOON)


def deployed(world, warrant, package: Package, words: str) -> str:
    """Insert a newer deployment of a package, the triggers off, with a warrant made for its number."""
    before, like = scored(world), newest(MODEL)
    number = world.one("SELECT nextval(pg_get_serial_sequence('scoring_deployment', 'id'))")[0]
    given = {"id": number, "package": package.pk, "warrant": warrant(number), "like": like.pk}
    with world.unguarded("scoring_deployment") as execute:
        execute(DEPLOY, given)
    try:
        return alarm(world, words, before)
    finally:
        with world.unguarded("scoring_deployment", "scoring_refusedload", "monitoring_alert") as execute:
            execute("DELETE FROM scoring_deployment WHERE id = %s", [number])
            forget(execute, number)


def forget(execute, deployment: int) -> None:
    """Take away the refusals of a deployment and their alerts, so that the next attack has to earn its own."""
    execute("DELETE FROM scoring_refusedload WHERE deployment_id = %s", [deployment])
    execute("DELETE FROM monitoring_alert WHERE kind = 'refused load'")


def altered(world, table: str, change: str, given, words: str) -> str:
    """Change a row that serves, the triggers off; put it back."""
    before, number = scored(world), newest(MODEL).pk
    with world.kept(table):
        with world.unguarded(table) as execute:
            execute(change, given)
        said = alarm(world, words, before)
    with world.unguarded("scoring_refusedload", "monitoring_alert") as execute:
        forget(execute, number)
    return said


@attack
def deploy_as_a_server(world):
    """The app's, scoring's or sequencer's role inserts a deployment; so does the governor's, unsigned"""
    given = {"id": 999999, "package": unapproved(world).pk, "warrant": "{}", "like": newest(MODEL).pk}
    for role in ("app", "scoring", "sequencer"):
        with world.role(role) as session:
            denied(session, DEPLOY, given)
    with world.role("governor") as session:
        said = denied(session, DEPLOY, given, words="deployment refused")
    return f"“permission denied” 3 of 3; governor: {said}"


@attack
def forge_a_warrant(world):
    """A superuser deploys an unapproved package under a warrant by a key of one's own"""
    package, thief = unapproved(world), Signer("countersign.example/log/warrants", secrets.token_bytes(32))

    def warrant(number):
        said = dsse.unseal(newest(MODEL).warrant, deployments.warrant_key())["predicate"]
        said |= {"deployment": number, "version": package.version.digest}
        return dsse.seal(deployments.statement(package=package, predicate=said), thief)

    return deployed(world, warrant, package, "under the governor's key")


@attack
def replay_a_warrant(world):
    """A superuser deploys under the warrant of another model, then under an older one of the same model"""
    other = deployed(world, lambda number: newest(OTHER).warrant, unapproved(world), "not warranted")
    deployed(world, lambda number: newest(MODEL).warrant, newest(MODEL).package, "not warranted")
    return f"2 of 2: {other}"


@attack
def change_what_serves(world):
    """A superuser repoints the champion's row, moves a cut-off of its package, or asks for less in its policy"""
    package = newest(MODEL).package
    policy = package.policy
    bands = [{**band, "from": band["from"] * 0.5} for band in package.bands]
    rules = {**policy.rules, "signatures": policy.rules["signatures"][:1]}
    tries = (
        ("scoring_deployment", "package_id", unapproved(world).pk, newest(MODEL).pk, "not warranted"),
        ("registry_package", "bands", json.dumps(bands), package.pk, "contents of the package"),
        ("registry_policy", "rules", json.dumps(rules), policy.pk, "rules of the policy"),
    )
    said = [
        altered(world, table, f"UPDATE {table} SET {column} = %s WHERE id = %s", [value, row], words)
        for table, column, value, row, words in tries
    ]
    return f"{len(said)} of {len(tries)}: {said[-1]}"


@attack
def swap_the_artifact(world):
    """File system: the model's file is swapped, and scoring restarted"""
    scored(world)
    version = newest(MODEL).package.version
    digest = version.artifact[version.lineage["model_file"]]["sha256"]
    file = world.home / "artifacts" / digest[:2] / digest[2:4] / digest
    with world.written(file, file.read_bytes().replace(b"leaf_value=", b"leaf_value=9")):
        world.platform.kill("scoring")
        answer = until("scoring answers", world.answers)
        if answer.get("score") is not None or "fallback" not in answer:
            raise NotCaughtError(str(answer))
        look = lambda: world.answers() and any("changed after they" in text for text in world.alerts())  # noqa: E731
        until("an alert", look, SOON)
    world.platform.kill("scoring")
    scored(world)
    with world.unguarded("scoring_refusedload", "monitoring_alert") as execute:
        forget(execute, newest(MODEL).pk)
    return "load refused, alert “changed after they were registered”; the signed fallback answers"
