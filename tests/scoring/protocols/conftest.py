"""One champion and one scoring process for all stories of a module: they are told over real HTTP."""

import pytest
from django.utils import timezone

from registry import people
from tests import answering, builders


@pytest.fixture(scope="module")
def story(committing):
    """The people, with a champion of the model `fraud`."""
    with committing() as everybody:
        everybody.champion = builders.a_champion(everybody)
        yield everybody


@pytest.fixture(scope="module")
def engine_token(story):
    """A token of the decision engine."""
    return token_of(story.engine, "scoring.score", "scoring.record_outcome", "registry.read")


def token_of(owner, *scopes):
    told = {"owner": owner, "name": "test", "scopes": scopes, "days": 1, "by": owner, "now": timezone.now()}
    return people.issue_token(**told)[1]


@pytest.fixture(scope="module")
def server(story, engine_token):
    """The running scoring process."""
    with answering.scoring_process(engine_token) as started:
        yield started


@pytest.fixture
def ask(server):
    """Return a function that posts to it."""
    return server.client.post
