"""A champion that a running server answers with, told once for all tests of a file."""

import pytest

from tests import builders
from tests.scoring import listening


@pytest.fixture(scope="module")
def served(committing):
    """Everybody, and a champion, in a database where transactions really commit."""
    with committing() as people:
        builders.a_champion(people)
        yield people


@pytest.fixture(scope="module")
def token(served):
    """Return a token that may ask for scores."""
    return listening.a_token(served.engine)


@pytest.fixture
def record(served, django_db_blocker):
    """Let a test of these look into the database."""
    with django_db_blocker.unblock():
        yield
