"""A case is opened once, learns from labelled decisions, and ends with a version at the front door or a reason."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import pytest
from django.db import connection

from governance import retraining
from governance.demo import payments
from governance.models import Case, CaseResult
from monitoring.models import Alert
from registry import datasets, policies
from registry.models import ModelVersion
from scoring import decisions, outcomes
from tests import builders


@pytest.fixture
def people(committed):
    """Monitors see only what was committed."""
    return committed


def few_labels_suffice(**retraining):
    """Put a policy in force under which a test need not wait for thousands of labels."""
    rules = policies.in_force(1).rules
    changed = {**rules["retraining"], "minimum_labels": 500, **retraining}
    policies.adopt(tier=1, rules={**rules, "retraining": changed}, by=None, now=builders.now())


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


def quiet(people, count):
    """Labelled traffic from the population that the model knows."""
    for place in np.random.default_rng(4).integers(0, 4000, count):
        decision = builders.a_decision(people, int(place), attributes={"age_band": "26-40", "sex": "female"})
        label = int(builders.stream().iloc[int(place)][payments.LABEL])
        told = {"decision": str(decision.id), "label": label, "source": "test"}
        outcomes.record(
            outcomes=[told | {"observed_at": builders.now().isoformat()}], by=people.engine, now=builders.now()
        )


def test_a_case_learns_from_the_labelled_decisions_and_registers_a_version(people):
    few_labels_suffice()
    parent = builders.a_champion(people)
    drifted_and_labelled(people)
    builders.watch()
    assert set(Alert.objects.values_list("kind", flat=True)) == {"drift", "performance"}
    assert [retraining.open_cases(builders.now()) for _ in range(2)] == [1, 0]  # one illness, one training
    assert retraining.retrain_next(builders.now()) == Case.objects.get()
    assert retraining.open_cases(builders.now()) == 0
    assert retraining.retrain_next(builders.now()) is None
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


def test_a_long_past_does_not_crowd_out_the_population_that_alarmed(people):
    few_labels_suffice()
    builders.a_champion(people)
    quiet(people, 500)  # one whole window
    builders.watch()
    assert not Alert.objects.exists()
    drifted_and_labelled(people)
    builders.watch()
    retraining.open_cases(builders.now())
    retraining.retrain_next(builders.now())
    result = CaseResult.objects.get()
    assert result.version is not None, result.detail
    for part, rows in (("reference", 364), ("holdout", 156)):
        held = datasets.read(getattr(result.version, part)).to_pandas()
        assert len(held) == rows
        assert (held["amount"] >= 50_000).all()
    assert datasets.read(result.version.training).num_rows > 500 + 364  # the past is learnt from all the same


def test_people_have_the_time_to_answer_that_the_policy_gives_them(people):
    few_labels_suffice(answer_within_minutes=30)
    builders.a_champion(people)
    drifted_and_labelled(people, 500, label=False)
    builders.watch()
    assert retraining.open_cases(builders.now()) == 0
    assert retraining.open_cases(builders.now() + timedelta(minutes=31)) == 1


def test_two_trainers_at_once_train_a_case_once(people):
    few_labels_suffice()
    builders.a_champion(people)
    drifted_and_labelled(people)
    builders.watch()
    retraining.open_cases(builders.now())

    def train(_):
        try:
            return retraining.retrain_next(builders.now())
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        trained = list(pool.map(train, range(2)))
    assert trained.count(None) == 1
    assert CaseResult.objects.count() == 1
    assert ModelVersion.objects.filter(lineage__source__startswith="case:").count() == 1


def test_an_alert_about_what_no_longer_serves_silences_nothing_and_opens_nothing(people):
    few_labels_suffice()
    builders.a_champion(people)
    drifted_and_labelled(people, 500, label=False)
    builders.watch()
    builders.a_champion(people, builders.a_checked_version(people.ada, description="The next one."))
    builders.forget_serving()
    assert retraining.open_cases(builders.now()) == 0
    drifted_and_labelled(people, 500, label=False)
    builders.watch()
    assert Alert.objects.filter(kind="drift", disposition=None).count() == 2
    assert retraining.open_cases(builders.now()) == 1
    assert Case.objects.get().alert.run.deployment.package.version.number == 2


def test_a_case_without_labels_waits_and_says_for_what(people):
    few_labels_suffice()
    builders.a_champion(people)
    drifted_and_labelled(people, 20)
    drifted_and_labelled(people, 490, label=False)
    builders.watch()
    retraining.open_cases(builders.now())
    assert retraining.labels(Case.objects.get()) == (20, 500)
    assert retraining.retrain_next(builders.now()) is None
