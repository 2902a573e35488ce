"""What people do in a real browser: read the evidence, sign, and take a dossier home."""

from pathlib import Path

import pytest

from governance import approvals
from governance.demo.clients import ask, program, until
from governance.dossier import verify

MODEL = "payment-fraud"


@pytest.fixture
def sign_in(chromium, platform):
    """Return a function that signs somebody in and returns their page; every console error fails the test."""
    contexts, errors = [], []

    def enter(username):
        context = chromium.new_context(accept_downloads=True)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(f"{platform.url}/sign-in")
        page.get_by_label("Username").fill(username)
        page.get_by_label("Password").fill(platform.passwords[username])
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{platform.url}/")
        return page

    yield enter
    for context in contexts:
        context.close()
    # A refused form answers 403, which the browser reports; anything else (a policy violation, a script) is a fault.
    assert not [text for text in errors if "status of 403" not in text]


@pytest.fixture
def retrained(walked, platform):
    """The version that the retraining case registered: checked, and asked for by nobody."""
    ada = program(platform.url, platform.tokens["ada"])
    number = ask(ada, "GET", f"/api/v1/models/{MODEL}/cases")[0]["version"]
    stood = ask(ada, "GET", f"/api/v1/models/{MODEL}/versions/{number}/stage")
    assert stood["stage"] == "checked", stood
    return number


def test_an_analyst_reads_the_evidence_and_approves(retrained, platform, sign_in):
    path = f"{platform.url}/models/{MODEL}/versions/{retrained}"
    ada = sign_in("ada")
    ada.goto(path)
    ada.get_by_label("Reason").fill("Trained on what the drifted traffic taught us.")
    ada.get_by_role("button", name="Ask for approval").click()
    ada.get_by_text("Still to sign").first.wait_for()

    grace = sign_in("grace")
    grace.get_by_role("link", name=f"{MODEL} v{retrained}").first.click()
    assert grace.get_by_role("heading", level=1).inner_text().startswith(MODEL)
    measures = grace.get_by_role("table").first.inner_text()
    assert "ROC AUC" in measures
    assert "v1" in measures  # the champion stands beside the candidate
    grace.get_by_label("Approve", exact=True).check()
    grace.get_by_label("Meaning of the signature").select_option(approvals.MEANINGS["approve"])
    grace.get_by_label("Reason").fill("As good as the champion, and it knows the new population.")
    grace.get_by_label("Password").fill("not my password")
    grace.get_by_role("button", name="Sign", exact=True).click()
    grace.get_by_text("The password is not right").wait_for()
    assert "knows the new population" in grace.get_by_label("Reason").input_value()
    grace.get_by_label("Password").fill(platform.passwords["grace"])
    grace.get_by_role("button", name="Sign", exact=True).click()
    grace.get_by_text("As good as the champion").wait_for()

    alan = sign_in("alan")
    alan.goto(path)
    alan.get_by_label("Approve", exact=True).check()
    alan.get_by_label("Meaning of the signature").select_option(approvals.MEANINGS["approve"])
    alan.get_by_label("Reason").fill("Agreed.")
    alan.get_by_label("Password").fill(platform.passwords["alan"])
    alan.get_by_role("button", name="Sign", exact=True).click()
    alan.get_by_text("Agreed.").wait_for()

    olivia = sign_in("olivia")
    olivia.goto(path)
    olivia.get_by_label("Reason").fill("Both signed.")
    olivia.get_by_role("button", name="Promote").click()
    client = program(platform.url, platform.tokens["ada"])
    stage = f"/api/v1/models/{MODEL}/versions/{retrained}/stage"
    until("the new version is champion", lambda: ask(client, "GET", stage)["stage"] == "champion", 60)


def test_compliance_downloads_a_dossier_that_verifies(walked, platform, sign_in):
    clara = sign_in("clara")
    clara.get_by_role("link", name="Decisions").click()
    clara.get_by_role("table").get_by_role("link").first.click()
    assert clara.locator("svg").count() >= 1
    clara.get_by_role("button", name="Issue dossier").click()
    with clara.expect_download(timeout=60_000) as downloading:
        clara.get_by_role("link", name="Download").click(timeout=60_000)
    data = Path(downloading.value.path()).read_bytes()
    assert verify.verify(data)["deployments"] >= 1


def test_nobody_gets_what_their_role_does_not_allow(walked, platform, sign_in):
    clara = sign_in("clara")
    clara.goto(f"{platform.url}/models/{MODEL}/versions/1")
    assert clara.get_by_role("button", name="Sign", exact=True).count() == 0
    assert clara.get_by_role("button", name="Promote").count() == 0
