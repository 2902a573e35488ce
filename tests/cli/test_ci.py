"""The workflow that is handed out is one: it parses, and the real parser accepts each of its command lines."""

import re
import shlex

import click
import pytest
import yaml

from governance.cli import ends
from governance.cli.main import countersign
from tests import running

DEPLOY = running.ROOT / "governance" / "deploy"
WORKFLOW = yaml.safe_load((DEPLOY / "github-actions.yml").read_text())
GIVEN = {"$MODEL": "fraud", "$VERSION": "3", "$PULL_REQUEST": "12"}


def commands(script):
    """Return the words of each call of `countersign` in a shell script."""
    for line in script.replace("\\\n", " ").splitlines():
        for name, value in GIVEN.items():
            line = line.replace(name, value)
        if line.strip().startswith("countersign "):
            words = shlex.split(line, comments=True)
            yield words[1 : words.index(">") if ">" in words else None]


def in_workflow():
    steps = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
    return [words for step in steps for words in commands(step.get("run", ""))]


def in_text():
    return [words for line in (DEPLOY / "ci.md").read_text().splitlines() for words in commands(line)]


@pytest.mark.parametrize("words", [*in_workflow(), *in_text()], ids=" ".join)
def test_the_parser_accepts_each_command_line(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "build" / "model").mkdir(parents=True)
    for name in ("build/training.parquet", "build/holdout.parquet", "build/golden.parquet", "plan.yaml"):
        (tmp_path / name).touch()
    command = countersign.get_command(click.Context(countersign), words[0])
    assert command.make_context(words[0], words[1:])


def test_the_workflow_registers_checks_comments_and_keeps_the_evidence():
    assert [words[0] for words in in_workflow()] == ["login", "register", "check"]
    text = (DEPLOY / "github-actions.yml").read_text()
    assert "gh pr comment" in text
    assert "--junit build/gate.xml" in text
    runs = [step["run"] for job in WORKFLOW["jobs"].values() for step in job["steps"] if "run" in step]
    assert not [run for run in runs if "${{" in run], "what a pull request says must not become a command"


def test_the_text_tells_the_exit_codes_as_help_does():
    told = re.findall(r"^\| (\d+) \|", (DEPLOY / "ci.md").read_text(), re.MULTILINE)
    helped = re.findall(r"^ +(\d+) +\S", countersign.get_help(click.Context(countersign)), re.MULTILINE)
    assert told == helped == [str(code) for code in ends.MEANINGS]
