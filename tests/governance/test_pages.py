"""The pages, as each role meets them: what they show, whom they let in, what they refuse and keep."""

import json
import os
import re
from html.parser import HTMLParser

import pytest
from django.conf import settings
from django.test import Client, override_settings
from django.urls import reverse

from governance import approvals, lifecycle, promotion
from governance.dossier import issue
from governance.models import ApprovalRequest, Dossier, Order, Signature
from monitoring import alerts, verdicts
from monitoring.models import Alert, Disposition
from registry import heads, publishing, sequencing
from registry.ledger import GOVERNANCE, LOGS
from registry.models import LedgerEntry
from registry.refusals import Mismatch
from tests import builders
from tests.logs import witness_key


def url_of(version, name: str = "version") -> str:
    return reverse(name, args=[version.model.name, version.number])


def an_alert(model) -> Alert:
    return Alert.objects.create(model=model, kind="drift", detail="largest_psi is 0.4", raised_at=builders.now())


def signature_form(request, **changes) -> dict[str, str]:
    return {
        "request": str(request.pk),
        "outcome": "approve",
        "meaning": approvals.MEANINGS["approve"],
        "reason": "I read the evidence.",
        "password": builders.PASSWORD,
        **changes,
    }


def request_form(**changes) -> dict[str, str]:
    form = {"bands-TOTAL_FORMS": "4", "bands-INITIAL_FORMS": "0", "reason": "It finds more fraud."}
    for place, band in enumerate(builders.BANDS):
        form |= {
            f"bands-{place}-name": band["name"],
            f"bands-{place}-start": str(band["from"]),
            f"bands-{place}-action": band["action"],
        }
    return {**form, "bands-3-name": "", "bands-3-start": "", "bands-3-action": "", **changes}


class Outline(HTMLParser):
    """What the rules about every page ask of its markup."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings = 0
        self.inline: list[str] = []
        self.fields: list[dict[str, str | None]] = []
        self.labels: set[str | None] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.headings += tag == "h1"
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)
        self.inline += [name for name in given if name == "style" or name.startswith("on")]
        if tag == "label":
            self.labels.add(given.get("for"))
        if tag in ("select", "textarea") or (tag == "input" and given.get("type") != "hidden"):
            self.fields.append(given)


def assert_well_made(answer) -> None:
    outline = Outline(answer.content.decode())
    assert outline.headings == 1
    assert not outline.inline
    assert all(field.get("id") in outline.labels for field in outline.fields), outline.fields


@pytest.fixture
def world(people):
    """A champion with a decision, its dossier and an open alert; a second version in review."""
    version = builders.a_champion(people)
    decision = builders.a_decision(people, entity="c1", attributes={"sex": "female"})
    request = builders.a_request(people.ada, builders.a_checked_version(people.ada))
    alert = an_alert(version.model)
    dossier = issue.for_version(version=version, by=people.clara, now=builders.now())
    people.pages = {
        "home": "/",
        "model": "/models/fraud",
        "champion": url_of(version),
        "in review": url_of(request.package.version),
        "inventory": "/inventory",
        "filtered inventory": "/inventory?tier=1&owner=ada&state=unrecorded",
        "inventory of a model": "/models/fraud/inventory",
        "card": url_of(version, "card"),
        "touched by data": reverse("dataset-lineage", args=[version.training.digest]),
        "behind a decision": reverse("decision-lineage", args=[decision.pk]),
        "decisions": "/decisions",
        "filtered decisions": "/decisions?model=fraud&band=allow",
        "decision": reverse("decision", args=[decision.pk]),
        "monitoring": "/monitoring",
        "ledger": "/ledger",
        "decisions log": "/ledger?log=decisions&event=decision",
        "unplaced entry": reverse("ledger-waiting", args=[dossier.entry]),
        "dossiers": "/dossiers",
        "dossier": reverse("dossier", args=[dossier.pk]),
    }
    people.version, people.decision, people.request = version, decision, request
    people.alert, people.dossier = alert, dossier
    return people


def test_every_page_is_there_for_each_reader_and_well_made(world, browse):
    for person in (world.ada, world.grace, world.olivia, world.clara):
        browser = browse(person)
        for name, path in world.pages.items():
            answer = browser.get(path)
            assert answer.status_code == 200, (name, person)
            assert_well_made(answer)


def test_every_page_sends_strangers_to_sign_in(world, browse):
    for path in world.pages.values():
        answer = browse().get(path)
        assert answer.status_code == 302
        assert answer.url.startswith("/sign-in?next=")
    assert_well_made(browse().get("/sign-in"))


def test_every_page_names_the_permission_that_somebody_lacks(world, browse):
    for path in world.pages.values():
        answer = browse(world.trainer).get(path)
        assert answer.status_code == 403
        assert_well_made(answer)
        assert "registry.read" in answer.content.decode()


def test_a_page_carries_the_strict_policy(world, browse):
    policy = browse(world.ada).get("/").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_signing_in_leads_to_the_models_and_shows_who_one_is(people, browse):
    browser = browse()
    answer = browser.post("/sign-in", {"username": "grace", "password": "guess"})
    assert "do not belong together" in answer.content.decode()
    answer = browser.post("/sign-in", {"username": "grace", "password": builders.PASSWORD}, follow=True)
    assert answer.redirect_chain == [("/", 302)]
    assert "Grace · risk-analyst" in answer.content.decode()
    assert browser.post("/sign-out").url == "/sign-in"
    assert browser.get("/").status_code == 302


def test_the_first_page_shows_signers_and_operators_what_waits_for_them(people, browse):
    request = builders.a_request(people.ada)
    assert "Waiting for you" not in browse(people.ada).get("/").content.decode()
    assert "Sign or refuse fraud v1" in browse(people.grace).get("/").content.decode()
    builders.sign(request, people.grace)
    assert "Waiting for you" not in browse(people.grace).get("/").content.decode()
    builders.sign(request, people.alan)
    assert "Promote fraud v1" in browse(people.olivia).get("/").content.decode()


def test_a_data_scientist_asks_for_approval_with_bands(people, browse):
    version = builders.a_checked_version(people.ada)
    answer = browse(people.ada).post(url_of(version, "request-approval"), request_form())
    assert (answer.status_code, answer.url) == (302, url_of(version))
    assert ApprovalRequest.objects.get().package.bands == [
        {**band, "from": float(band["from"])} for band in builders.BANDS
    ]


def test_bands_that_do_not_fit_are_refused_and_what_was_typed_is_kept(people, browse):
    version = builders.a_checked_version(people.ada)
    form = request_form(**{"bands-0-start": "0.3"})
    answer = browse(people.ada).post(url_of(version, "request-approval"), form)
    text = answer.content.decode()
    assert answer.status_code == 422
    assert "Bands rise from a score of 0" in text
    assert "It finds more fraud." in text
    assert 'value="0.3"' in text
    assert_well_made(answer)
    assert not ApprovalRequest.objects.exists()


def test_a_second_request_is_refused_with_its_reason(people, browse):
    version = builders.a_request(people.ada).package.version
    answer = browse(people.ada).post(url_of(version, "request-approval"), request_form())
    assert answer.status_code == 403
    assert "This version is requested" in answer.content.decode()
    assert ApprovalRequest.objects.count() == 1


def test_two_people_sign_and_an_operator_promotes_until_it_serves(people, browse):
    request = builders.a_request(people.ada)
    version = request.package.version
    for signer in (people.grace, people.alan):
        page = browse(signer).get(url_of(version)).content.decode()
        assert request.digest in page
        assert browse(signer).post(url_of(version, "sign"), signature_form(request)).status_code == 302
    assert lifecycle.facts_of(version).stage == "approved"
    olivia = browse(people.olivia)
    assert olivia.post(url_of(version, "promote"), {"reason": "Go."}).url == url_of(version)
    waiting = olivia.get(url_of(version)).content.decode()
    assert "governor executes it" in waiting
    assert "hx-get" in waiting
    assert "HX-Refresh" not in olivia.get(url_of(version, "version-order"), headers={"HX-Request": "true"}).headers
    promotion.execute_waiting(builders.now())
    assert olivia.get(url_of(version, "version-order"), headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"
    assert "Champion" in olivia.get(url_of(version)).content.decode()


def test_an_operator_rolls_back(people, browse):
    first = builders.a_champion(people)
    builders.a_champion(people, builders.a_checked_version(people.ada))
    answer = browse(people.olivia).post(url_of(first, "roll-back"), {"reason": "It flags too many."})
    assert answer.status_code == 302
    assert Order.objects.order_by("-ordered_at").first().kind == "roll back"
    promotion.execute_waiting(builders.now())
    assert lifecycle.facts_of(first).stage == "champion"


def test_a_wrong_password_signs_nothing_and_only_the_password_is_forgotten(people, browse):
    request = builders.a_request(people.ada)
    answer = browse(people.grace).post(
        url_of(request.package.version, "sign"), signature_form(request, password="a guess at it")
    )
    text = answer.content.decode()
    assert answer.status_code == 403
    assert "The password is not right" in text
    assert "I read the evidence." in text
    assert "a guess at it" not in text
    assert_well_made(answer)
    assert not Signature.objects.exists()


def test_a_meaning_that_contradicts_the_decision_is_not_accepted(people, browse):
    request = builders.a_request(people.ada)
    form = signature_form(request, meaning=approvals.MEANINGS["reject"])
    answer = browse(people.grace).post(url_of(request.package.version, "sign"), form)
    assert answer.status_code == 422
    assert "says the opposite" in answer.content.decode()
    assert not Signature.objects.exists()


def test_the_author_sees_why_their_own_signature_is_off(people, browse):
    people.ada.groups.add(*people.grace.groups.all())
    request = builders.a_request(people.ada)
    page = browse(people.ada).get(url_of(request.package.version)).content.decode()
    assert re.search(r'<button disabled aria-describedby="against-sign">', page)
    assert "four eyes" in page
    answer = browse(people.ada).post(url_of(request.package.version, "sign"), signature_form(request))
    assert answer.status_code == 403
    assert "four eyes" in answer.content.decode()
    assert not Signature.objects.exists()


@pytest.mark.parametrize(
    ("who", "route", "missing"),
    [
        ("grace", "request-approval", "governance.request_approval"),
        ("ada", "sign", "governance.sign"),
        ("grace", "promote", "governance.promote"),
        ("clara", "roll-back", "governance.promote"),
        ("olivia", "issue-version-dossier", "governance.issue_dossier"),
    ],
)
def test_the_wrong_role_reads_which_permission_is_missing(people, browse, who, route, missing):
    version = builders.a_request(people.ada).package.version
    answer = browse(getattr(people, who)).post(url_of(version, route), {"reason": "Go."})
    assert answer.status_code == 403
    assert missing in answer.content.decode()
    assert not any(model.objects.exists() for model in (Signature, Order, Dossier))


def test_a_form_without_its_token_is_refused(people, browse):
    version = builders.a_request(people.ada).package.version
    client = Client(enforce_csrf_checks=True)
    client.force_login(people.grace)
    answer = client.post(url_of(version, "sign"), {})
    assert answer.status_code == 403
    assert "token of your session" in answer.content.decode()


def test_the_address_of_a_form_leads_to_its_page(world, browse):
    grace = browse(world.grace)
    assert grace.get(url_of(world.version, "sign")).url == url_of(world.version)
    assert grace.get(url_of(world.version, "issue-version-dossier")).url == url_of(world.version)
    assert grace.get(reverse("answer-alert", args=[world.alert.pk])).url == "/monitoring"
    decision = reverse("decision", args=[world.decision.pk])
    assert grace.get(f"{decision}/dossier").url == decision


def test_checks_follow_by_themselves_until_the_last_is_done(people, browse):
    version = builders.a_version(people.ada)
    ada, fragment = browse(people.ada), url_of(version, "version-checks")
    assert 'hx-trigger="every 3s"' in ada.get(url_of(version)).content.decode()
    answer = ada.get(fragment, headers={"HX-Request": "true"})
    assert "HX-Refresh" not in answer.headers
    assert "Waiting" in answer.content.decode()
    builders.check(version)
    assert ada.get(fragment, headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"
    assert ada.get(fragment).url == url_of(version)


def test_the_version_page_puts_the_candidate_beside_the_champion(world, browse):
    page = browse(world.grace).get(world.pages["in review"]).content.decode()
    assert "Candidate and champion" in page
    assert "v1 champion" in page
    limit = world.request.package.policy.rules["checks"]["performance"]["roc_auc"]
    assert verdicts.describe(limit) in page
    assert world.request.digest in page
    for reason in world.request.package.reasons.values():  # everything that a signature binds can be read
        assert reason["code"] in page
    assert "where no score can be given" in page
    assert "champion for 100.0% of the traffic" in page
    assert world.version.holdout.digest in page


def test_a_decision_is_explained_to_the_last_digit(world, browse):
    page = browse(world.grace).get(world.pages["decision"]).content.decode()
    assert "<title>Why this score</title>" in page
    assert page.count("Show as table") == 1
    assert "the difference is" in page
    assert world.decision.deployment.package.digest in page


def test_an_identifier_leads_to_its_decision(world, browse):
    answer = browse(world.grace).get("/decisions", {"id": str(world.decision.pk)})
    assert answer.url == reverse("decision", args=[world.decision.pk])
    assert browse(world.grace).get("/decisions", {"id": "nonsense"}).status_code == 422


def test_an_alert_is_answered_once_with_a_reason(world, browse):
    grace, path = browse(world.grace), reverse("answer-alert", args=[world.alert.pk])
    refused = grace.post(path, {"text": "  "})
    assert refused.status_code == 422
    assert "Say what was found" in refused.content.decode()
    assert not Disposition.objects.exists()
    assert grace.post(path, {"text": "The feed was repaired."}).status_code == 302
    assert Disposition.objects.get().text == "The feed was repaired."
    assert grace.post(path, {"text": "Again."}).status_code == 409
    assert browse(world.ada).post(path, {"text": "Mine."}).status_code == 403
    assert not alerts.open_alerts().exists()


def test_an_entry_says_that_it_waits_and_then_proves_its_place(committed, browse):
    builders.a_model(committed.ada)
    grace = browse(committed.grace)
    assert "not yet placed" in grace.get("/ledger").content.decode()
    builders.sequence()
    page = grace.get("/ledger/governance/0")
    assert page.status_code == 200
    assert "c2sp.org/tlog-proof@v1" in page.content.decode()
    assert_well_made(page)
    origin = f"{settings.LOG_ORIGIN}/governance"
    note = browse().get(f"/log/{origin}/checkpoint")
    assert (note.status_code, note["Cache-Control"]) == (200, "no-cache")
    assert b"".join(note.streaming_content).startswith(f"{origin}\n".encode())
    bundle = browse().get(f"/log/{origin}/tile/entries/000.p/{LedgerEntry.objects.count()}")
    assert (bundle.status_code, bundle["Content-Type"]) == (200, "application/octet-stream")
    assert {"public", "immutable"} <= set(bundle["Cache-Control"].split(", "))
    for name in (
        f"{settings.LOG_ORIGIN}/other/checkpoint",
        f"{origin}/.lock",
        f"{origin}/tile/0/../../checkpoint",
        origin,
    ):
        assert browse().get(f"/log/{name}").status_code == 404


def test_an_operator_may_keep_the_published_log_to_those_who_sign_in(committed, browse, settings):
    builders.sequence()
    settings.LOG_IS_PUBLIC = False
    path = f"/log/{settings.LOG_ORIGIN}/governance/checkpoint"
    assert browse().get(path).status_code == 302
    grace = browse(committed.grace)
    assert (grace.get(path).status_code, grace.get(path)["Cache-Control"]) == (200, "no-cache, private")
    entries = grace.get(path.replace("checkpoint", f"tile/entries/000.p/{LedgerEntry.objects.count()}"))
    assert "private" in entries["Cache-Control"]
    assert "public" not in entries["Cache-Control"]


def test_a_published_file_is_sent_again_only_when_it_changed(committed, browse):
    builders.sequence()
    path = f"/log/{settings.LOG_ORIGIN}/governance/checkpoint"
    first = browse().get(path)
    etag = first["ETag"]
    assert "Last-Modified" not in first  # so young a file may change within the second
    same = browse().get(path, headers={"If-None-Match": etag})
    assert (same.status_code, same["ETag"], same["Cache-Control"]) == (304, etag, "no-cache")
    file = publishing.folder(GOVERNANCE) / "checkpoint"
    os.utime(file, (1_700_000_000, 1_700_000_000))
    old = browse().get(path)
    assert (old.status_code, old["Last-Modified"]) == (200, "Tue, 14 Nov 2023 22:13:20 GMT")
    assert browse().get(path, headers={"If-Modified-Since": old["Last-Modified"]}).status_code == 304
    builders.a_model(committed.ada)
    builders.sequence()
    for stale in ({"If-None-Match": old["ETag"]}, {"If-Modified-Since": old["Last-Modified"]}):
        fresh = browse().get(path, headers=stale)
        assert fresh.status_code == 200
        assert b"".join(fresh.streaming_content) == file.read_bytes()


def test_metrics_are_told_to_who_may_read(people, client, issue_token):
    assert client.get("/metrics").status_code == 401
    token = issue_token(people.clara, "registry.read")
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert 'countersign_log_red{log="governance"} 0' in answer.content.decode()


def test_a_dossier_waits_for_its_entries_and_is_then_handed_out(committed, browse):
    version = builders.a_checked_version(committed.ada)
    clara = browse(committed.clara)
    page = clara.post(url_of(version, "issue-version-dossier"), follow=True)
    assert "Waiting" in page.content.decode()
    dossier = Dossier.objects.get()
    archive = reverse("dossier-archive", args=[dossier.pk])
    early = clara.get(archive)
    assert (early.status_code, early.headers["Retry-After"]) == (503, "1")
    builders.sequence()
    state = clara.get(reverse("dossier-state", args=[dossier.pk]), headers={"HX-Request": "true"})
    assert "Ready" in state.content.decode()
    answer = clara.get(archive)
    assert answer.content.startswith(b"PK")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="dossier-{dossier.pk}.zip"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert browse(committed.ada).get(archive).status_code == 403


def test_what_is_not_there_is_told_to_people_as_a_page_and_to_programs_as_a_problem(people, browse):
    ada = browse(people.ada)
    assert_well_made(ada.get("/nothing"))
    page = ada.get("/models/nothing")
    assert page.status_code == 404
    assert "No model named nothing" in page.content.decode()
    for path, accept in (("/api/v1/nothing", "*/*"), ("/models/nothing", "application/json")):
        answer = ada.get(path, headers={"Accept": accept})
        assert answer.status_code == 404
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert json.loads(answer.content)["status"] == 404


@pytest.mark.parametrize(
    "path", ["/ledger?log=other", "/ledger?before=-1", "/models/fraud?before=x", "/decisions?before=1"]
)
def test_a_mistyped_address_is_refused_and_breaks_nothing(people, browse, path):
    builders.a_model(people.ada)
    assert browse(people.ada).get(path).status_code in (404, 422)


def test_names_from_outside_stay_text(people, browse):
    name = "<script>alert(1)<"
    builders.a_version(people.ada, name)
    for path in ("/", reverse("model", args=[name]), reverse("version", args=[name, 1])):
        text = browse(people.ada).get(path).content.decode()
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text


def test_health_is_told_to_anybody(people, browse):
    answer = browse().get("/health").json()
    assert (answer["status"], answer["faults"]) == ("ok", {})
    assert answer["database"] == "reachable"
    assert answer["logs"]["governance"]["unsequenced_seconds"] >= 0
    assert answer["logs"]["decisions"] == {
        **{"size": 0, "published_size": 0, "cosigned_size": None, "breaches": 0},
        **dict.fromkeys(("unsequenced_seconds", "unpublished_seconds", "uncosigned_seconds"), 0),
    }
    assert browse().get("/ready").json() == {"status": "ok", "database": "reachable"}


BAD_POLICIES = [
    (b"quibble\n", "Line 1 of the trust policy"),
    (b"", "no quorum line"),
    (b"witness %s VKEY https://w.example/\nquorum none\n" % (b"w" * 201), "at most 200 characters"),
    (b"witness w\xff VKEY https://w.example/\nquorum none\n", "printable UTF-8"),
    *(
        (b"witness w VKEY %s\nquorum none\n" % url, "is not a URL")
        for url in (
            b"w.example",
            b"ftp://w.example",
            b"http://w:99999/",
            b"http://999.1.1.1/",
            b"http://[::1",
            b"http:///x",
        )
    ),
]


@pytest.mark.parametrize(("policy", "why"), BAD_POLICIES)
def test_a_trust_policy_that_cannot_be_used_is_a_fault_and_opens_no_sequencer(committed, browse, tmp_path, policy, why):
    builders.sequence()
    file = tmp_path / "policy"
    file.write_bytes(policy.replace(b"VKEY", str(witness_key().verifier).encode()))
    with override_settings(LOG_POLICY_FILE=file):
        answer = browse().get("/health")
        assert (answer.status_code, answer.json()["status"]) == (503, "red")
        for log in LOGS:
            assert f"{file} cannot be used" in answer.json()["faults"][log][0]
            assert why in answer.json()["faults"][log][0]
        with pytest.raises(Mismatch, match=why):
            sequencing.Sequencer.open(GOVERNANCE)
    assert str(file) not in browse().get("/health").content.decode()


def test_a_trust_policy_of_any_usable_url_is_fine(committed, tmp_path):
    urls = ("https://w.example/a/b", "http://127.0.0.1:8003", "http://[::1]:8003/", "https://w-1.example")
    key = witness_key().verifier
    for url in urls:
        (tmp_path / "policy").write_text(f"witness w {key} {url}\nwitness ü {witness_key('x', 9).verifier}\nquorum w\n")
        with override_settings(LOG_POLICY_FILE=tmp_path / "policy"):
            assert heads.policy().witnesses["w"].url == url


def test_a_sequencer_that_stands_still_is_seen_however_busy_the_log(people, browse):
    with builders.superuser("registry_ledgerentry") as execute:
        execute("UPDATE registry_ledgerentry SET inserted_at = inserted_at - interval '1 minute'")
    builders.a_version(people.ada, data=False)
    answer = browse().get("/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "red")
    assert "has waited" in answer.json()["faults"]["governance"][0]
    assert 60 <= answer.json()["logs"]["governance"]["unsequenced_seconds"] < 120
    assert browse().get("/ready").status_code == 200  # pages are needed then


def test_lists_ask_the_database_no_more_often_as_they_grow(world, browse, django_assert_max_num_queries):
    grace = browse(world.grace)
    for place in range(1, 6):
        builders.a_decision(world, place)
    for path in ("/decisions", "/ledger", "/monitoring", "/dossiers"):
        with django_assert_max_num_queries(16):
            grace.get(path)
    for place in range(6):
        version = builders.a_version(world.ada, f"model-{place}")
        builders.a_version(world.ada, f"model-{place}")
    for path in ("/", f"/models/{version.model.name}"):
        with django_assert_max_num_queries(30):
            grace.get(path)
