"""A case is opened once, learns from labelled decisions, and ends with a version at the front door or a reason."""

import numpy as np

from governance import retraining
from governance.models import Case, CaseResult
from monitoring import watching
from monitoring.models import Alert
from registry import datasets, policies
from scoring import decisions, outcomes
from tests import builders

CHANCE = np.random.default_rng(4)


def drifted_and_labelled(people, count=520, label=True):
    for place in range(count):
        sent = builders.features(place)
        sent["amount"] = 50_000.0 + place
        sent["hour"] = 3
        decision = decisions.decide(
            name="fraud",
            features=sent,
            attributes={"age_band": "26-40", "sex": "female"},
            by=people.engine,
            now=builders.now(),
        )
        if not label:
            continue
        told = {"decision": str(decision.id), "label": int(place % 9 == 0), "source": "test"}
        outcomes.record(
            outcomes=[told | {"observed_at": builders.now().isoformat()}], by=people.engine, now=builders.now()
        )


def test_a_case_learns_from_the_labelled_decisions_and_registers_a_version(people):
    parent = builders.a_champion(people)
    drifted_and_labelled(people)
    watching.watch_all(builders.now())
    assert set(Alert.objects.values_list("kind", flat=True)) == {"drift", "performance"}
    assert [retraining.open_cases(builders.now()) for _ in range(2)] == [1, 0]  # one illness, one training
    assert retraining.retrain_waiting(builders.now()) == 1
    assert retraining.open_cases(builders.now()) == 0
    assert retraining.retrain_waiting(builders.now()) == 0
    result = CaseResult.objects.get()
    assert result.version is not None, result.detail
    assert result.version.lineage["parent"] == parent.digest
    taught = datasets.read(result.version.training).to_pandas()
    held_out = datasets.read(result.version.holdout).to_pandas()
    assert (taught["amount"] >= 50_000).sum() == 364  # the older seven tenths of 520
    reference = datasets.read(result.version.reference).to_pandas()
    assert len(reference) == 364  # later traffic is compared with the population that alarmed, not with the old one
    assert (held_out["amount"] >= 50_000).all()
    assert set(held_out["sex"]) == {"female"}
    builders.check(result.version)
    assert policies.in_force(1).rules["checks"].keys() == {run.check_name for run in result.version.check_runs.all()}


def test_an_alert_about_what_no_longer_serves_silences_nothing_and_opens_nothing(people):
    builders.a_champion(people)
    drifted_and_labelled(people, 500, label=False)
    watching.watch_all(builders.now())
    builders.a_champion(people, builders.a_checked_version(people.ada, description="The next one."))
    builders.forget_serving()
    assert retraining.open_cases(builders.now()) == 0
    drifted_and_labelled(people, 500, label=False)
    watching.watch_all(builders.now())
    assert Alert.objects.filter(kind="drift", disposition=None).count() == 2
    assert retraining.open_cases(builders.now()) == 1
    assert Case.objects.get().alert.run.deployment.package.version.number == 2


def test_a_case_without_labels_waits_and_says_for_what(people):
    builders.a_champion(people)
    drifted_and_labelled(people, 20)
    drifted_and_labelled(people, 490, label=False)
    watching.watch_all(builders.now())
    retraining.open_cases(builders.now())
    assert retraining.labels(Case.objects.get()) == (20, 500)
    assert retraining.retrain_waiting(builders.now()) == 0
