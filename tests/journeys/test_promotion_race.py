"""Several people press the button at once; the world moves between order and execution."""

import threading

import pytest
from django.db import connections

from governance import promotion
from governance.models import Order, OrderRefusal
from registry import policies
from registry.refusals import NotAllowed
from scoring.models import Deployment
from tests import builders


def at_once(count, act):
    """Do it in several threads; return what was refused. Whatever else went wrong there goes wrong here."""
    refused, broken = [], []

    def run():
        try:
            act()
        except NotAllowed as refusal:
            refused.append(refusal.detail)
        except BaseException as error:  # noqa: BLE001 - a thread's own would be lost
            broken.append(error)
        finally:
            connections["default"].close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise broken[0]
    return refused


def test_what_breaks_in_one_of_several_threads_is_not_lost(committed):
    with pytest.raises(ZeroDivisionError):
        at_once(2, lambda: 1 / 0)


def test_two_orders_at_once_make_one_deployment(committed):
    version = builders.an_approved_version(committed.ada, committed.grace, committed.alan)

    def order():
        promotion.promote(version=version, reason="Go.", by=committed.olivia, now=builders.now())

    refused = at_once(5, order)
    assert len(refused) == 4
    assert all("Another order for this model" in detail for detail in refused)
    assert at_once(3, lambda: promotion.execute_waiting(builders.now())) == []
    assert Deployment.objects.count() == 1
    assert Order.objects.count() == 1


def test_registrations_at_once_number_without_gap_or_double(committed):
    builders.a_model(committed.ada)
    builders.model_files()
    refused = at_once(8, lambda: builders.a_version(committed.ada, data=False))
    assert sorted(builders.ModelVersion.objects.values_list("number", flat=True)) == list(range(1, 9))
    assert refused == []


def test_an_order_is_refused_when_the_policy_changed_before_the_governor_came(people):
    version = builders.an_approved_version(people.ada, people.grace, people.alan)
    promotion.promote(version=version, reason="Go.", by=people.olivia, now=builders.now())
    rules = policies.in_force(1).rules
    policies.adopt(tier=1, rules={**rules, "retention_days": 1}, by=people.alan, now=builders.now())
    promotion.execute_waiting(builders.now())
    assert "order needed it approved" in OrderRefusal.objects.get().reason
    assert not Deployment.objects.exists()


def test_a_second_request_voids_the_first(people):
    first = builders.a_request(people.ada)
    builders.sign(first, people.grace, "reject")
    second = builders.a_request(people.ada, first.package.version)
    with pytest.raises(NotAllowed, match="newer request"):
        builders.sign(first, people.alan)
    builders.sign(second, people.alan)
