"""The pages of webhooks: who sees which, what became of each delivery, and asking for another one."""

import pytest
from django.test import Client
from django.urls import reverse

from governance.models import Delivery, Webhook
from governance.webhooks import deliveries, subscriptions
from registry.models import LedgerEntry
from tests import builders
from tests.receiving import receiver

SECRET = "a secret that nobody reads"
FORM = {"name": "ci", "kind": "webhook", "tells": ["registered_model.created"], "secret": SECRET, "model": ""}


@pytest.fixture
def here(settings):
    settings.WEBHOOK_ALLOWED_HOSTS = ["127.0.0.1"]
    with receiver() as listening:
        yield listening


def browse(person):
    client = Client()
    client.force_login(person)
    return client


def test_an_operator_makes_one_reads_its_log_and_asks_again(committed, here, settings):
    settings.CELERY_BROKER_URL = "memory://"
    olivia = browse(committed.olivia)
    made = olivia.post(reverse("webhooks"), {**FORM, "url": here.url}, follow=True)
    webhook = Webhook.objects.get()
    assert made.redirect_chain == [(reverse("webhook", args=[webhook.pk]), 302)]
    assert SECRET not in made.content.decode()
    here.statuses = [400]
    builders.a_model(committed.ada)
    builders.sequence()
    deliveries.follow(builders.now())
    deliveries.deliver_next(webhook.pk, builders.now())
    page = olivia.get(reverse("webhook", args=[webhook.pk])).content.decode()
    assert "Given up" in page
    assert "thank you" in page
    assert "Given up" in olivia.get(reverse("webhooks")).content.decode()

    first = Delivery.objects.get()
    olivia.post(reverse("repeat-delivery", args=[webhook.pk]), {"delivery": str(first.pk)})
    assert Delivery.objects.get(repeats=first).asked_by == committed.olivia
    olivia.post(reverse("test-webhook", args=[webhook.pk]))
    assert Delivery.objects.filter(entry=None).count() == 1
    for status in ("DISABLED", "ACTIVE", "REMOVED"):
        olivia.post(reverse("webhook-status", args=[webhook.pk]), {"status": status})
    assert not subscriptions.current().exists()
    assert olivia.get(reverse("webhook", args=[webhook.pk])).status_code == 404


def test_what_does_not_fit_is_shown_at_the_form_and_nothing_is_kept(people):
    olivia = browse(people.olivia)
    answer = olivia.post(reverse("webhooks"), {**FORM, "url": "https://169.254.169.254/"})
    assert answer.status_code == 422
    assert "link-local" in answer.content.decode()
    assert "169.254.169.254" in answer.content.decode()  # what was typed is still there
    assert SECRET not in answer.content.decode()
    assert not Webhook.objects.exists()


def test_who_owns_a_model_sees_its_webhooks_and_others_none(people):
    ada, grace = browse(people.ada), browse(people.grace)
    model = builders.a_model(people.ada)
    url = "https://1.1.1.1/"
    assert ada.post(reverse("webhooks"), {**FORM, "url": url}).status_code == 403
    assert ada.post(reverse("webhooks"), {**FORM, "url": url, "model": model.name}).status_code == 302
    page = reverse("webhook", args=[Webhook.objects.get().pk])
    assert ada.get(page).status_code == 200
    assert grace.get(page).status_code == 404
    assert url not in grace.get(reverse("webhooks")).content.decode()
    before = LedgerEntry.objects.count()
    for name, told in (("webhook-status", {"status": "REMOVED"}), ("test-webhook", {}), ("repeat-delivery", {})):
        assert grace.post(reverse(name, args=[Webhook.objects.get().pk]), told).status_code in (404, 422)
    assert LedgerEntry.objects.count() == before
