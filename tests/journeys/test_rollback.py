"""Going back is one order under the signatures that were given, and it is on record like any other."""

import pytest

from governance import lifecycle, promotion
from registry.models import LedgerEntry
from registry.refusals import NotAllowed
from scoring import deployments, serving
from tests import builders


@pytest.fixture
def two_champions(people):
    first = builders.a_champion(people)
    second = builders.a_champion(people, builders.a_checked_version(people.ada, description="the second"))
    return first, second


def test_an_operator_goes_back_to_what_served_before(people, two_champions):
    first, second = two_champions
    assert builders.a_decision(people).deployment.package.version == second
    promotion.roll_back(version=first, reason="Precision fell.", by=people.olivia, now=builders.now())
    promotion.execute_waiting(builders.now())
    serving._slots["fraud"].asked = 0
    assert builders.a_decision(people, 1).deployment.package.version == first
    assert [lifecycle.facts_of(version).stage for version in two_champions] == ["champion", "superseded"]
    assert LedgerEntry.objects.filter(event="deployment.made").count() == 3


def test_nobody_goes_back_to_what_never_served(people, two_champions):
    third = builders.a_checked_version(people.ada, description="the third")
    with pytest.raises(NotAllowed, match="must be"):
        promotion.roll_back(version=third, reason="-", by=people.olivia, now=builders.now())


def test_a_request_made_since_does_not_stand_in_the_way(people, two_champions):
    first, _ = two_champions
    request = builders.a_request(people.ada, first)
    assert lifecycle.facts_of(first).stage == "requested"
    promotion.roll_back(version=first, reason="Now.", by=people.olivia, now=builders.now())
    promotion.execute_waiting(builders.now())
    assert deployments.current(first.model).package.version == first
    builders.sign(request, people.grace, "reject")
    assert lifecycle.facts_of(first).stage == "champion"


def test_nobody_but_an_operator_goes_back(people, two_champions):
    with pytest.raises(NotAllowed, match="may not roll back"):
        promotion.roll_back(version=two_champions[0], reason="-", by=people.grace, now=builders.now())
    assert deployments.current(two_champions[1].model).package.version == two_champions[1]
