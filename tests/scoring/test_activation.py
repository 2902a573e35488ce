"""Whatever is activated is verified whole, each time; what does not verify leaves the last good package in place."""

import pytest

from governance import promotion
from monitoring import alerts
from monitoring.models import Alert
from registry.models import RegisteredModel
from registry.refusals import Unavailable
from scoring import serving
from scoring.models import Decision, Deployment, RefusedLoad
from tests import builders


def serves():
    """Return the version that answers in this process, half a second later."""
    if "fraud" in serving._slots:
        builders.stale()
    served = serving.champion("fraud", now=builders.now())
    return served.package.version if served.runtime else None


@pytest.fixture
def two(committed):
    """The first version served, the second serves; this process loaded both."""
    first = builders.a_champion(committed)
    assert serves() == first
    second = builders.a_champion(committed, a_second(committed))
    assert serves() == second
    return first, second


def a_second(people):
    return builders.a_checked_version(people.ada, files={**builders.model_files(), "note.txt": b"of the second alone"})


def roll_back(people, version):
    promotion.roll_back(version=version, reason="The second is worse.", by=people.olivia, now=builders.now())
    promotion.execute_waiting(builders.now())


def refused():
    """Return why deployments were refused, once the monitors raised their alerts."""
    alerts.raise_for_refused_loads(builders.now())
    reasons = list(RefusedLoad.objects.order_by("at").values_list("reason", flat=True))
    assert sorted(Alert.objects.filter(kind="refused load").values_list("detail", flat=True)) == sorted(reasons)
    return reasons


def rewrite(sql, *given, table="scoring_deployment"):
    with builders.superuser(table) as execute:
        execute(sql, given)


@pytest.mark.parametrize("path", sorted(builders.model_files()))
def test_every_file_is_verified_when_a_package_that_was_loaded_before_returns(committed, two, path):
    first, second = two
    file = builders.stored(first.artifact[path]["sha256"])
    with builders._written(file, file.read_bytes() + b" "):
        roll_back(committed, first)
        assert serves() == second
        assert ["changed after they were registered" in reason for reason in refused()] == [True]
    assert serves() == first


def test_the_warrant_is_verified_when_a_package_that_was_loaded_before_returns(committed, two):
    first, second = two
    roll_back(committed, first)
    rewrite(
        "UPDATE scoring_deployment SET warrant = (SELECT warrant FROM scoring_deployment ORDER BY id LIMIT 1) "
        "WHERE id = (SELECT max(id) FROM scoring_deployment)"
    )
    assert serves() == second
    assert "deployment, request" not in refused()[0]
    assert "deployment, order, issued_at differ" in refused()[0]


def test_a_file_that_was_taken_away_is_refused_too(committed, two):
    first, second = two
    file = builders.stored(first.artifact["MLmodel"]["sha256"])
    kept = file.read_bytes()
    file.unlink()
    try:
        roll_back(committed, first)
        assert serves() == second
        assert "not in the store" in refused()[0]
    finally:
        file.write_bytes(kept)


@pytest.mark.parametrize("column", ["package_id", "model_id", "request", "warrant", "made_by_id"])
def test_the_row_that_serves_repointed_in_place_leaves_the_last_good_package(committed, column):
    first = builders.a_champion(committed)
    other = builders.a_champion(committed, builders.a_checked_version(committed.ada, "other"))
    mine, theirs = (Deployment.objects.get(model=version.model) for version in (first, other))
    assert serves() == first
    value = committed.ada.pk if column == "made_by_id" else getattr(theirs, column)
    rewrite(f"UPDATE scoring_deployment SET {column} = %s WHERE id = %s", value, mine.pk)
    assert serves() == first
    assert builders.a_decision(committed).deployment == mine
    assert len(refused()) == 1
    rewrite(f"UPDATE scoring_deployment SET {column} = %s WHERE id = %s", getattr(mine, column), mine.pk)
    assert serves() == first
    assert len(refused()) == 1


def test_bands_changed_in_place_leave_the_last_good_package(committed):
    first = builders.a_champion(committed)
    assert serves() == first
    before = builders.a_decision(committed).band
    every = '[{"name": "free", "from": 0, "action": ""}]'
    rewrite("UPDATE registry_package SET bands = %s", every, table="registry_package")
    builders.stale()
    assert builders.a_decision(committed, request_id="2").band == before
    assert "contents of the package" in refused()[0]
    builders.forget_serving()
    with pytest.raises(Unavailable, match="does not verify"):
        builders.a_decision(committed)


def test_an_older_warrant_copied_into_the_newest_row_brings_no_older_model_back(committed, two):
    """The older package was signed for and served once: only the number in its warrant tells it is not its turn."""
    first, second = two
    old, new = Deployment.objects.order_by("id")
    rewrite('UPDATE scoring_deployment SET "order" = gen_random_uuid() WHERE id = %s', old.pk)
    rewrite(
        'UPDATE scoring_deployment SET (package_id, request, "order", warrant, made_by_id, made_at)'
        " = (%s, %s, %s, %s, %s, %s) WHERE id = %s",
        *(old.package_id, old.request, old.order, old.warrant, old.made_by_id, old.made_at, new.pk),
    )
    assert serves() == second
    assert refused() == [f"Deployment {new.pk} of fraud is not warranted: deployment differ."]
    builders.forget_serving()
    with pytest.raises(Unavailable, match="does not verify"):
        serves()


def test_a_newest_row_taken_away_brings_no_older_model_back(committed, two):
    first, second = two
    old, new = Deployment.objects.order_by("id")
    with builders.superuser("scoring_deployment") as execute:
        execute("DELETE FROM scoring_deployment WHERE id = %s", [new.pk])
    assert serves() == second
    assert refused() == [f"Deployment {new.pk} replaced it, and was taken away."]
    with builders.superuser("scoring_refusedload", "monitoring_alert", "scoring_deployment") as execute:
        execute("DELETE FROM monitoring_alert")
        execute("DELETE FROM scoring_refusedload")
        execute("DELETE FROM scoring_deployment")
    assert serves() == second


def test_a_row_that_was_given_to_another_model_serves_neither(committed):
    first = builders.a_champion(committed)
    other = builders.a_champion(committed, builders.a_checked_version(committed.ada, "other"))
    assert serves() == first
    rewrite("UPDATE scoring_deployment SET model_id = %s WHERE model_id = %s", other.model_id, first.model_id)
    assert serves() == first
    assert "Every deployment of fraud was taken away" in refused()[0]
    assert RegisteredModel.objects.get(pk=other.model_id).alerts.exists()


def test_nothing_authentic_answers_nothing(committed):
    builders.a_champion(committed)
    rewrite("UPDATE scoring_deployment SET warrant = '{}'")
    with pytest.raises(Unavailable, match="does not verify"):
        builders.a_decision(committed)
    assert not Decision.objects.exists()
    assert refused() == ["This is not a DSSE envelope."]
