"""Monitors see every decision and every outcome once, say when they cannot judge, and do not stop each other."""

import threading
from collections import Counter

import pytest
from django.db import connections, transaction

from governance import promotion
from monitoring import alerts, watching
from monitoring.models import Alert, MonitorRun
from scoring import decisions, outcomes
from scoring.models import Decision
from tests import builders

LIMITS = {"drift": {"largest_psi": {"fail_above": 0.1, "minimum_n": 20}}, "performance": {"brier": {"fail_above": 1}}}


def watched(people, *monitors, window=20, **more):
    """Adopt a policy whose windows are small, and let a champion answer under it."""
    rules = {name: {"window": window, "limits": LIMITS[name]} for name in monitors}
    builders.a_policy(people, monitors=rules | more)
    return builders.a_champion(people)


def ask(people, rows, shift=0.0):
    made = []
    for place in rows:
        sent = builders.features(place)
        sent["amount"] = sent["amount"] * (1 + shift * 20)
        sent["hour"] = 3 if shift else sent["hour"]
        made.append(decisions.decide(name="fraud", features=sent, by=people.engine, now=builders.now()))
    return made


def report(people, about, when=None):
    told = [{"decision": str(row.id), "label": n % 2, "source": "t"} for n, row in enumerate(about)]
    observed = (when or builders.now()).isoformat()
    outcomes.record(outcomes=[item | {"observed_at": observed} for item in told], by=people.engine, now=builders.now())


class Late:
    """A transaction on a connection of its own: what it does is done now and committed when it is told to."""

    def __init__(self, work):
        self._done, self._commit = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, args=(work,))
        self._thread.start()
        assert self._done.wait(30)

    def _run(self, work):
        try:
            with transaction.atomic():
                work()
                self._done.set()
                self._commit.wait(60)
        finally:
            connections["default"].close()

    def commit(self):
        self._commit.set()
        self._thread.join()


def taken(monitor):
    """Return how many decisions the windows of a monitor are about."""
    return sum(MonitorRun.objects.filter(monitor=monitor).values_list("decisions", flat=True))


def test_a_decision_committed_late_is_in_exactly_one_window(committed):
    watched(committed, "drift")
    late = Late(lambda: ask(committed, range(1)))
    ask(committed, range(1, 25))
    assert watching.watch_all(builders.now()) == []  # it waits for what may still appear before these
    late.commit()
    first = builders.watch()
    early = Decision.objects.order_by("id").first()
    assert [run.decisions for run in first] == [20]
    assert first[0].window_start == early.at
    ask(committed, range(25, 40))
    builders.watch()
    assert taken("drift") == 40 == Decision.objects.count()


def test_an_outcome_committed_late_is_in_exactly_one_window(committed):
    watched(committed, "performance")
    made = ask(committed, range(40))
    late = Late(lambda: report(committed, made[:2]))
    report(committed, made[2:30])
    assert watching.watch_all(builders.now()) == []
    late.commit()
    report(committed, made[30:])
    builders.watch()
    builders.watch()
    assert taken("performance") == 40
    first, second = MonitorRun.objects.filter(monitor="performance").order_by("id")
    assert first.window_start == made[0].at < second.window_start


def test_drifted_traffic_raises_one_alert_and_quiet_traffic_none(committed):
    builders.a_champion(committed)
    ask(committed, range(2, 6000, 12))  # a window of every hour and weekday, as the reference is
    first = builders.watch()
    assert [(run.monitor, run.verdict) for run in first] == [("drift", "pass"), ("fallbacks", "pass")]
    assert not Alert.objects.exists()
    ask(committed, range(500), shift=1.0)
    ask(committed, range(500), shift=1.0)
    for _ in range(3):
        builders.watch()
    assert MonitorRun.objects.filter(verdict="fail").count() == 2
    alert = Alert.objects.get()
    assert alert.kind == "drift"
    assert "largest_psi" in alert.detail
    alerts.answer(alert=alert, text="A feed changed its currency.", by=committed.grace, now=builders.now())
    assert not alerts.open_alerts().exists()


def test_late_labels_of_old_decisions_are_measured_too(committed):
    watched(committed, "drift", "performance", window=50)
    made = ask(committed, range(100))
    report(committed, made[50:])
    assert Counter(run.monitor for run in builders.watch()) == {"drift": 1, "performance": 1}
    report(committed, made[:50])
    assert Counter(run.monitor for run in builders.watch()) == {"drift": 1, "performance": 1}
    assert builders.watch() == []


def test_labels_that_arrive_after_a_rollback_count_for_the_package_that_answered(committed):
    first = watched(committed, "performance")
    made = ask(committed, range(20))
    report(committed, made[:10])
    builders.a_champion(committed, builders.a_checked_version(committed.ada, description="The next one."))
    promotion.roll_back(version=first, reason="It blocks too much.", by=committed.olivia, now=builders.now())
    promotion.execute_waiting(builders.now())
    report(committed, made[10:])
    run = builders.watch()[0]
    assert (run.decisions, run.deployment.package.version) == (20, first)
    assert run.deployment != made[0].deployment


def test_a_monitor_that_cannot_judge_says_so_once_and_leaves_the_others_watching(committed):
    watched(committed, "performance", drift={"window": "many", "limits": {}}, novelty={"window": 9, "limits": {}})
    report(committed, ask(committed, range(20)))
    builders.watch()
    for _ in range(3):
        builders.watch()
    assert taken("performance") == 20
    said = {run.monitor: run for run in MonitorRun.objects.filter(decisions=0)}
    assert {name: run.verdict for name, run in said.items()} == {"drift": "error", "novelty": "insufficient"}
    assert "No monitor is named novelty" in said["novelty"].reasons[0]
    assert MonitorRun.objects.count() == 3
    assert {alert.kind for alert in alerts.open_alerts()} == {"monitor broken"}
    details = [alert.detail for alert in alerts.open_alerts()]
    assert (
        "The drift monitor cannot judge: The drift monitor broke: TypeError. See the worker's log. "
        "It looks again by itself once the cause is gone."
    ) in details


def test_a_champion_without_a_reference_is_said_to_be_unwatched_and_looked_at_again(committed):
    builders.a_policy(
        committed,
        checks={"performance": {"brier": {"fail_above": 1}}},
        monitors={"drift": {"window": 20, "limits": LIMITS["drift"]}},
    )
    builders.a_champion(committed, builders.a_checked_version(committed.ada, leave_out=("reference",)))
    for _ in range(2):
        builders.watch()
    alert = alerts.open_alerts().get()
    assert alert.kind == "monitor broken"
    assert "without a reference data set" in alert.detail
    assert "countersign.reference" in alert.detail


def test_a_damaged_reference_holds_the_window_until_it_is_mended(committed):
    version = watched(committed, "drift")
    ask(committed, range(20))
    with builders.damaged(version.reference):
        assert [run.verdict for run in builders.watch()] == ["error"]
        assert builders.watch() == []
    assert [(run.decisions, run.verdict in ("pass", "fail")) for run in builders.watch()] == [(20, True)]


@pytest.mark.parametrize("models", [1, 3])
def test_looking_for_work_costs_a_fixed_handful_of_queries_a_model(committed, models, django_assert_num_queries):
    for number in range(models):
        builders.a_champion(committed, builders.a_checked_version(committed.ada, f"fraud-{number}"))
    with django_assert_num_queries(1 + 8 * models):
        watching.watch_all(builders.now())
