"""What a reviewer found and must not come back: packages that cannot serve, policies that demand nobody, bad keys."""

import numpy as np
import pytest
from django.db import IntegrityError, transaction

from governance import approvals, promotion
from governance.dossier import verify
from governance.models import Order, OrderRefusal
from registry import canonical, packages, policies, versions
from registry.models import Policy, RegisteredModel
from registry.refusals import Invalid, Mismatch, Unavailable
from registry.tlog import notes
from scoring import deployments, outcomes, runtimes, serving
from scoring.models import Deployment
from tests import builders


@pytest.mark.parametrize("count", [0, -1, "2", None])
def test_a_policy_that_demands_nobody_is_not_adopted(people, count):
    rules = {**policies.in_force(1).rules, "signatures": [{"role": "risk-lead", "count": count}]}
    with pytest.raises(Invalid, match="count|at least one"):
        policies.adopt(tier=1, rules=rules, by=people.alan, now=builders.now())


def test_the_database_refuses_a_deployment_under_a_policy_that_demands_nobody(people):
    rules = {**policies.in_force(1).rules, "signatures": [{"role": "risk-lead", "count": 0}]}
    now = builders.now()
    Policy.objects.create(tier=1, number=9, rules=rules, digest="9" * 64, adopted_at=now)
    request = builders.a_request(people.ada)
    order = Order.objects.create(request=request, kind="promote", reason="-", ordered_by=people.olivia, ordered_at=now)
    deployment = Deployment(
        model=request.package.version.model,
        package=request.package,
        request=request.pk,
        order=order.pk,
        warrant="{}",
        made_by=people.olivia,
        made_at=now,
    )
    with pytest.raises(IntegrityError, match="demands nobody"), transaction.atomic():
        deployment.save(force_insert=True)


def test_an_order_for_a_voided_request_is_refused_and_stops_no_other(people):
    old = builders.a_request(people.ada)
    builders.sign(old, people.grace, "reject")
    version = builders.an_approved_version(people.ada, people.grace, people.alan, old.package.version)
    now = builders.now()
    Order.objects.create(request=old, kind="promote", reason="-", ordered_by=people.olivia, ordered_at=now)
    other = builders.an_approved_version(
        people.ada, people.grace, people.alan, builders.a_checked_version(people.ada, "other")
    )
    promotion.promote(version=other, reason="Go.", by=people.olivia, now=now)
    promotion.execute_waiting(builders.now())
    assert "voids the one that was ordered" in OrderRefusal.objects.get().reason
    assert Deployment.objects.get().package.version == other
    assert version != other


@pytest.mark.parametrize("number", [1e16, 1e20, 1e300, 2**60, -0.0, 5.0, 0.1])
def test_a_digest_survives_the_way_the_database_reads_numbers_back(people, number):
    version = builders.a_version(people.ada, metrics={"loss": number})
    version.refresh_from_db()
    assert canonical.digest(versions.manifest(version)) == version.digest


@pytest.mark.parametrize(
    "bands",
    [
        [{"name": "x" * 41, "from": 0}],
        [{"name": "a\0", "from": 0}],
        [{"name": "", "from": 0}],
        [{"name": "a", "from": 0, "action": "b\0"}],
        [{"name": "a", "from": 0.1}],
        [{"name": "a", "from": 0}, {"name": "a", "from": 0.5}],
        [{"name": "a", "from": 0}, {"name": "b", "from": float("nan")}],
        [],
        5,
    ],
)
def test_bands_that_could_not_be_answered_are_refused(people, bands):
    with pytest.raises(Invalid):
        packages.assemble(version=builders.a_version(people.ada), bands=bands, by=people.ada, now=builders.now())


def test_a_reason_map_cannot_put_words_into_an_answer(people):
    with pytest.raises(Invalid, match="nothing else"):
        packages.assemble(
            version=builders.a_version(people.ada),
            bands=builders.BANDS,
            reasons={"amount": {"contribution": "0"}},
            by=people.ada,
            now=builders.now(),
        )


def test_a_meaning_that_contradicts_the_outcome_is_refused(people):
    request = builders.a_request(people.ada)
    with pytest.raises(Invalid, match="meaning that belongs to it"):
        approvals.sign(
            request=request,
            outcome="approve",
            meaning=approvals.MEANINGS["reject"],
            reason="-",
            password=builders.PASSWORD,
            by=people.grace,
            now=builders.now(),
        )


def test_a_corrected_outcome_is_not_swallowed(people):
    builders.a_champion(people)
    told = {"decision": str(builders.a_decision(people).id), "label": 0, "source": "test"}
    told["observed_at"] = builders.now().isoformat()
    outcomes.record(outcomes=[told], by=people.engine, now=builders.now())
    with pytest.raises(Exception, match="send it with the moment it became known"):
        outcomes.record(outcomes=[told | {"label": 1}], by=people.engine, now=builders.now())


def test_a_refused_deployment_is_tried_again_when_the_fault_is_mended(people):
    builders.a_champion(people)
    slot = serving._Slot(
        RegisteredModel.objects.get(), refused=deployments.current(RegisteredModel.objects.get()), retry=1e18
    )
    serving._slots["fraud"] = slot
    with pytest.raises(Unavailable, match="does not verify"):
        serving.champion("fraud", now=builders.now())
    slot.retry = 0
    assert serving.champion("fraud", now=builders.now()).deployment == Deployment.objects.get()
    assert slot.refused is None


def test_a_score_that_does_not_follow_from_its_margin_is_refused(people):
    explained = runtimes.Explained(
        score=np.array([0.9]),
        margin=np.array([0.0]),
        base=0.0,
        attributions=np.zeros((1, 2)),
        link="logit",
    )
    with pytest.raises(Mismatch, match="not served"):
        runtimes.checked(explained, "lightgbm")


def test_the_key_of_one_role_is_not_taken_for_another():
    files = {f"keys/{name}.vkey": b"" for name in ("governance", "decisions", "warrants")}
    signer = notes.Signer("example/log/governance", bytes(32))
    for path in files:
        files[path] = f"{signer.verifier}\n".encode()
    with pytest.raises(verify.Bad, match="belongs to"):
        verify.read_keys(verify.World(files, [str(signer.verifier)], None))
