"""A data scientist's road from a terminal: refused by the gate with the very line, mended, submitted, proven."""

import json
import xml.etree.ElementTree as ElementTree

import pytest

from governance.dossier import verify
from governance.policy_defaults import DEFAULTS
from tests.cli.conftest import DATA, data

CHECKS = DEFAULTS[1]["checks"]
BANDS = """
reason: It finds more fraud.
bands:
  - {name: allow, from: 0, action: let through}
  - {name: review, from: 0.1, action: send to an analyst}
"""


@pytest.fixture(scope="module")
def refused(cli, work):
    """A version whose scores say nothing about its holdout's labels, and what the gate said of it."""
    made = cli("register", work / "model", "--model", "road", *data(work, "shuffled"), "--tag", "team=cards", "--json")
    assert made.code == 0, made.err
    files = ["--junit", "gate.xml", "--report", "gate.json", "--summary", "gate.md"]
    return made.json, cli("check", f"road/{made.json['version']}", "--wait", *files)


@pytest.fixture(scope="module")
def passed(cli, work, refused):
    """The version after it, which the gate lets pass."""
    made = cli("register", work / "model", "--model", "road", *data(work))
    assert made.code == 0, made.err
    return made, cli("check", "road/2", "--wait", "--json")


def test_a_folder_becomes_a_version_with_its_data(cli, refused):
    made, _ = refused
    assert (made["model"], made["version"], made["status"]) == ("road", 1, "READY")
    assert made["new_model"]
    assert set(made["data"]) == {"training", "reference", "holdout", "golden"}
    assert len(made["digest"]) == 64


def test_the_gate_names_the_number_and_the_line_of_the_policy(refused):
    _, said = refused
    assert said.code == 1
    assert "fail          roc_auc is 0." in said.out
    assert "below the limit of 0.6" in said.out
    assert "policy line /checks/performance/roc_auc/fail_below" in said.out
    assert "Gate not passed" in said.out
    assert "\x1b" not in said.out, "colour although nobody watches"
    assert max(map(len, said.out.splitlines())) <= 80
    assert f"[{len(CHECKS)}/{len(CHECKS)}]" in said.err


def test_the_same_is_written_for_build_servers(cli, refused):
    suites = ElementTree.parse(cli.home / "gate.xml").getroot()  # noqa: S314 - of our own making
    failed = [case for case in suites.iter("testcase") if case.find("failure") is not None]
    said = {case.get("name"): case.find("failure").get("message") for case in failed}
    assert {case.get("classname") for case in failed} == {"gate.performance"}
    assert "[/checks/performance/roc_auc/fail_below]" in said["roc_auc"]
    assert int(suites.get("failures")) == len(failed)
    assert int(suites.get("tests")) == len(list(suites.iter("testcase")))
    told = json.loads((cli.home / "gate.json").read_text())
    assert (told["passed"], told["verdict"]) == (False, "fail")
    assert "`/checks/performance/roc_auc/fail_below`" in (cli.home / "gate.md").read_text()


def test_what_the_gate_refuses_is_not_submitted(cli, refused):
    (cli.home / "plan.yaml").write_text(BANDS)
    said = cli("submit", "road/1", "--plan", "plan.yaml")
    assert said.code == 3
    assert "is blocked" in said.err
    assert "blocked" in cli("status", "road").out


def test_what_passes_is_submitted_and_others_sign(cli, passed):
    made, gate = passed
    assert "road/2 is registered" in made.out
    assert gate.code == 0
    assert gate.json["passed"]
    (cli.home / "plan.yaml").write_text(BANDS)
    said = cli("submit", "road/2", "--plan", "plan.yaml", "--json")
    assert said.code == 0, said.err
    assert said.json["owed"] == {"risk-analyst": 1, "risk-lead": 1}
    assert cli("status", "road/2", "--json").json["request"] == said.json["request"]
    rows = cli("status", "road", "--json").json["models"][0]["versions"]
    assert [(row["version"], row["stage"]) for row in rows] == [(2, "requested"), (1, "blocked")]
    assert "road/2" in cli("status").out


def test_the_same_numbers_are_measured_here_before_anything_is_registered(cli, work, passed):
    _, gate = passed
    before = cli("status", "road", "--json").json
    files = {role: work / f"{name}.parquet" for role, name in LOCAL.items()}
    options = [word for role, file in files.items() for word in (f"--{role}", file)]
    said = cli("check", "--local", work / "model", "--model", "road", *options, *LABELS, "--json")
    assert said.code == 0, said.err
    assert measured(said.json) == measured(gate.json)
    assert measured(gate.json).keys() == CHECKS.keys()
    assert said.json["policy"] == gate.json["policy"]
    assert cli("status", "road", "--json").json == before


LOCAL = {"holdout": "holdout", "reference": "training", "golden": "golden"}
LABELS = [word for word in DATA if word not in ("--time", "at")]


def measured(gate):
    return {check["check"]: (check["verdict"], check["reasons"], check["lines"]) for check in gate["checks"]}


def test_a_policy_of_ones_own_needs_no_server(cli, work):
    limits = {"roc_auc": {"fail_below": 0.6, "minimum_n": 150}}
    (cli.home / "policy.json").write_text(json.dumps({"review_budget": 0.05, "checks": {"performance": limits}}))
    given = ["--holdout", work / "shuffled.parquet", *LABELS, "--policy", "policy.json"]
    said = cli("check", "--local", work / "model", *given, COUNTERSIGN_URL="http://127.0.0.1:9")
    assert said.code == 1, said.err
    assert "/checks/performance/roc_auc/fail_below" in said.out


def test_who_may_exports_a_dossier_that_verifies(cli, clara, passed):
    refused = cli("export", "road/2", "-o", "dossier.zip")
    assert refused.code == 3
    assert "governance.issue_dossier" in refused.err
    assert not (cli.home / "dossier.zip").exists()
    said = clara("export", "road/2", "-o", "dossier.zip", "--json")
    assert said.code == 0, said.err
    archive = (clara.home / "dossier.zip").read_bytes()
    assert verify.verify(archive)
    assert said.json["bytes"] == len(archive)
    again = clara("export", "road/2", "-o", "dossier.zip")
    assert again.code == 2
    assert "is there already" in again.err


def test_what_serves_is_observed(cli, walked):
    said = cli("observe", "payment-fraud")
    assert said.code == 0
    assert "payment-fraud  version" in said.out
    assert "drift: " in said.out
    told = cli("observe", "--json").json["models"]
    shown = next(model for model in told if model["model"] == "payment-fraud")
    assert {run["monitor"] for run in shown["monitors"]} == {"drift", "performance", "fallbacks"}
    lines = [line for run in shown["monitors"] for line in run["lines"]]
    assert "/monitors/drift/limits/largest_psi" in {line["line"].removesuffix("/fail_above") for line in lines}
