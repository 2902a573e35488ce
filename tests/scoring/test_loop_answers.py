"""What scoring answers over real sockets: the same with its own loop and with gunicorn's threads."""

import pytest

from scoring.models import Decision
from tests import builders
from tests.scoring import listening
from tests.scoring.listening import LOOP, THREADS


@pytest.fixture(scope="module")
def told(committing):
    """A champion, and a token that may ask for scores."""
    with committing() as people:
        builders.a_champion(people)
        yield people


@pytest.fixture(scope="module")
def token(told):
    return listening.a_token(told.engine)


@pytest.fixture(scope="module", params=[LOOP, THREADS])
def server(token, request):
    with listening.serving(token, worker=request.param) as started:
        yield started


def test_an_answer_is_on_record_when_it_is_there(server, django_db_blocker):
    with server.connected() as client:
        answer = client.post({"features": builders.features()})
    assert answer.status == 200, answer.body
    with django_db_blocker.unblock():
        assert Decision.objects.filter(pk=answer.json()["decision_id"]).exists()
