"""How somebody tries to get a version approved that the required people did not sign."""

import secrets
import uuid

import psycopg

from governance import approvals
from governance.approvals import MEANINGS
from governance.demo.clients import Refused, ask, until
from governance.dossier import verify
from governance.models import Order, Signature
from registry import canonical
from tests.attacks import NotCaughtError, attack
from tests.attacks.dossier import archive, refusal, trusted
from tests.attacks.forging import enter
from tests.attacks.world import MODEL, OTHER, SOON, brief, denied

SIGN = """
INSERT INTO governance_signature (id, request_id, signer_id, role, outcome, meaning, reason, digest, signed_at)
SELECT gen_random_uuid(), q.id, u.id, %(role)s, 'approve', %(meaning)s, 'I read the evidence.', %(digest)s, now()
FROM governance_approvalrequest q, registry_user u WHERE q.id = %(request)s AND u.username = %(who)s
"""
ORDER = """
INSERT INTO governance_order (id, request_id, kind, reason, ordered_by_id, ordered_at)
SELECT gen_random_uuid(), q.id, 'promote', 'Go.', u.id, now()
FROM governance_approvalrequest q, registry_user u WHERE q.id = %(request)s AND u.username = %(who)s
"""
RUN = """
INSERT INTO monitoring_checkrun (id, version_id, check_name, policy_id, opened_at)
SELECT %(run)s, p.version_id, 'stress', p.policy_id, now()
FROM governance_approvalrequest q JOIN registry_package p ON p.id = q.package_id WHERE q.id = %(request)s
"""
RESULT = """
INSERT INTO monitoring_checkresult (run_id, verdict, reasons, measurements, evidence, digest, performed_at, seconds)
VALUES (%(run)s, 'fail', '["no"]', '[]', '{}', repeat('0', 64), now(), 1)
"""
GROUP = """
INSERT INTO registry_user_groups (user_id, group_id)
SELECT u.id, g.id FROM registry_user u, auth_group g WHERE u.username = %(who)s AND g.name = %(role)s
"""


def signature(world, who: str, role: str, model: str = MODEL, **changes):
    """Return what a signature of the open request would say."""
    asked = world.requests[model]
    given = {"request": asked["request"], "digest": asked["digest"], "meaning": MEANINGS["approve"]}
    return {**given, "who": who, "role": role, **changes}


def signing(world, who: str):
    """Sign the open request over HTTP, as a person does; return the answer."""
    sent = {"outcome": "approve", "meaning": MEANINGS["approve"], "reason": "I read it."}
    sent["password"] = world.platform.passwords[who]
    return world.person(who).post(f"/api/v1/requests/{world.requests[MODEL]['request']}/signatures", json=sent)


@attack
def approve_ones_own(world):
    """The author, given a signer's role, signs: over HTTP, and by raw SQL in the app's role"""
    with world.kept("registry_user_groups"), world.role("app") as session:
        session.execute(GROUP, {"who": "ada", "role": "risk-lead"})
        try:
            answer = signing(world, "ada")
            said = denied(session, SIGN, signature(world, "ada", "risk-lead"), words="author and the requester")
        finally:
            world.owner.execute(
                "DELETE FROM registry_user_groups m USING registry_user u, auth_group g WHERE u.id = m.user_id"
                " AND g.id = m.group_id AND u.username = 'ada' AND g.name = 'risk-lead'"
            )
    if answer.status_code < 400 or "four eyes" not in answer.text:
        raise NotCaughtError(answer.text)
    return f"HTTP {answer.status_code} “four eyes”; trigger: {said}"


@attack
def sign_what_one_may_not(world):
    """The app's role signs for people without the role, twice, or over another digest"""
    tries = (
        (signature(world, "grace", "risk-lead"), "does not hold the role"),
        (signature(world, "olivia", "operator"), "demands none of role"),
        (signature(world, "alan", "risk-lead", digest="0" * 64), "another digest"),
    )
    with world.role("app") as session:
        said = [denied(session, SIGN, given, words=words) for given, words in tries]
    return f"{len(said)} of {len(tries)} refused by the trigger: {said[-1]}"


@attack
def rise_above_the_roles(world):
    """The app's role makes somebody a superuser, or orders in the name of one who may not"""
    with world.role("app") as session:
        said = denied(session, "UPDATE registry_user SET is_superuser = true")
        ordered = denied(session, ORDER, signature(world, "grace", ""), words="order refused")
    owner = denied(world.owner, "UPDATE registry_user SET is_superuser = true", words="nobody_is_above_the_roles")
    return f"{said}; {ordered}; even a superuser: {brief(owner)[:60]}…"


@attack
def sign_for_the_author_with_the_trigger_off(world):
    """A superuser, the trigger off, lets author and lead sign; an operator orders it"""
    tables = ("governance_signature", "registry_user_groups")
    before = world.one("SELECT count(*) FROM scoring_deployment")
    with world.kept(*tables):
        with world.unguarded(*tables) as execute:
            execute(SIGN, signature(world, "ada", "risk-analyst"))
            execute(SIGN, signature(world, "alan", "risk-lead"))
        try:
            path = f"/api/v1/models/{MODEL}/versions/2/orders"
            answer = world.person("olivia").post(path, json={"kind": "promote", "reason": "Go."})
            if answer.status_code < 400:
                sql = "SELECT reason FROM governance_orderrefusal ORDER BY refused_at DESC LIMIT 1"
                said = "governor: " + until("the governor answers", lambda: world.one(sql), SOON)[0]
            else:
                said = f"HTTP {answer.status_code}: {answer.json()['detail']}"
        finally:
            with world.unguarded(*tables) as execute:
                execute("DELETE FROM governance_signature WHERE request_id = %s", [world.requests[MODEL]["request"]])
    if world.one("SELECT count(*) FROM scoring_deployment") != before:
        raise NotCaughtError("it was deployed")
    return brief(said)


@attack
def change_the_evidence_after_the_request(world):
    """The app's role adds a result after approval was asked for; then people sign, over HTTP and by SQL"""
    given = {"run": uuid.uuid4(), "request": world.requests[MODEL]["request"]}
    with world.role("app") as session:
        session.execute(RUN, given)
        session.execute(RESULT, given)
        try:
            answer = signing(world, "grace")
            said = denied(session, SIGN, signature(world, "grace", "risk-analyst"), words="the evidence changed since")
        finally:
            with world.unguarded("monitoring_checkresult", "monitoring_checkrun") as execute:
                execute("DELETE FROM monitoring_checkresult WHERE run_id = %s", [given["run"]])
                execute("DELETE FROM monitoring_checkrun WHERE id = %s", [given["run"]])
    if answer.status_code < 400 or "evidence changed" not in answer.text:
        raise NotCaughtError(answer.text)
    return f"HTTP {answer.status_code} “The evidence changed”; trigger: {said}"


@attack
def forge_signatures(world):
    """The app's role writes signatures and an order into their tables, but not into the log"""
    wrong = forged(world, OTHER) or served(world, OTHER)
    if wrong:
        return wrong
    answer = until("version 2 answers", lambda: (a := world.answers(OTHER)) and a.get("version") == 2 and a, SOON)
    data = archive(world, answer["decision_id"])
    return f"verify.py: {brief(refusal(world, data, 'signed by nobody'))}"


@attack
def sign_in_everybodys_name(world):
    """The app's role writes such signatures and the order, and enters each in the log too"""
    wrong = forged(world, MODEL, entered=True) or served(world, MODEL)
    if wrong:
        return wrong
    answer = until("version 2 answers", lambda: (a := world.answers(MODEL)) and a.get("version") == 2 and a, SOON)
    verify.verify(archive(world, answer["decision_id"]), **trusted(world))
    raise NotCaughtError("it serves, and its dossier verifies")


def forged(world, model: str, *, entered: bool = False) -> str:
    """Write two signatures and an order in other people's names; return the refusal, nothing when they were taken."""
    with world.role("app") as session:
        try:
            for who, role in (("grace", "risk-analyst"), ("alan", "risk-lead")):
                session.execute(SIGN, signature(world, who, role, model))
            if entered:
                enter_signatures(session, world.requests[model]["request"])
            session.execute(ORDER, signature(world, "olivia", "", model))
            if entered:
                enter_order(session, world.requests[model]["request"])
        except psycopg.Error as error:
            return brief(str(error))
    return ""


def served(world, model: str) -> str:
    """Wait until version 2 serves; return the governor's refusal otherwise."""
    path = f"/api/v1/models/{model}/versions/2/stage"
    try:
        until("it serves", lambda: ask(world.steps.ada, "GET", path)["stage"] == "champion", SOON)
    except Refused:
        return "the governor did not execute it"
    return ""


def enter_signatures(session, request: str) -> None:
    """Enter the signatures of a request, under a writer of one's own."""
    writer = secrets.token_hex(8)
    rows = Signature.objects.filter(request=request).select_related("request__package").order_by("signed_at")
    for number, row in enumerate(rows, 1):
        facts = {"request": request, "signature": canonical.digest(approvals.signature_record(row))}
        subject = f"version:{row.request.package.version_id}"
        given = {"event": "approval.signed", "actor": f"user:{row.signer_id}", "at": row.signed_at}
        enter(session, **given, subject=subject, facts=facts, writer=[writer, number])


def enter_order(session, request: str) -> None:
    """Enter the order of a request, under a writer of one's own."""
    row = Order.objects.select_related("request__package").filter(request=request).latest("ordered_at")
    facts = {"order": str(row.pk), "request": request, "kind": row.kind}
    given = {"event": "deployment.ordered", "actor": f"user:{row.ordered_by_id}", "at": row.ordered_at}
    enter(session, **given, subject=f"version:{row.request.package.version_id}", facts=facts)
