"""The steps of the walk, in its order: each says what happens, checks the result, and gives a link.

They touch the platform as its users do, over HTTP and with a stock mlflow client, and nothing else.
"""

import io
import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx
import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException

from governance import training
from governance.demo import wording
from governance.demo.clients import Refused, ask, browser, environment, program, until
from governance.demo.data import Story, tell
from governance.demo.narration import Narrator, verify_offline
from governance.dossier import verify
from registry.schema import SCORE

CLIENTS = 4
SUSPICIOUS = 0.995  # an AUC that real models do not reach


class Steps:
    """The steps on one running platform."""

    def __init__(self) -> None:
        self.base = environment("PUBLIC_URL")
        self.home = Path(environment("COUNTERSIGN_HOME"))
        known = json.loads((self.home / "secrets" / "demo_people.json").read_text())
        self.passwords, self.tokens = known["passwords"], known["tokens"]
        self.narrator = Narrator(self.base)
        self.ada = program(self.base, self.tokens["ada"])
        self.engine = program(environment("SCORING_URL"), self.tokens["engine"])

    def person(self, username: str) -> httpx.Client:
        """Return somebody's signed-in browser."""
        return browser(self.base, username, self.passwords[username])

    def stage(self, model: str, version: int) -> dict[str, Any]:
        """Return where a version stands."""
        found: dict[str, Any] = ask(self.ada, "GET", f"/api/v1/models/{model}/versions/{version}/stage")
        return found

    def dossier(self, model: str) -> Path:
        """Return where the last step leaves the dossier."""
        return self.home / f"dossier-{model}.zip"

    def were_walked(self, model: str) -> bool:
        """Say whether an earlier walk reached its end, on this database too."""
        return self.dossier(model).exists() and self.ada.get(f"/api/v1/models/{model}").status_code == 200

    def about(self, story: Story, what: str, number: int) -> list[dict[str, Any]]:
        """Return the monitor runs, alerts or cases about one version, newest first."""
        found = ask(self.ada, "GET", f"/api/v1/models/{story.model}/{what}")
        return [row for row in found if row["about"] == number]

    def train(self) -> Story:
        """A data scientist trains a model on labelled data."""
        with self.narrator.step("Ada trains a model on labelled data") as n:
            story = tell()
            auc = story.trained.metrics["roc_auc"]
            n.say(f"{story.title}; {len(story.trained.schema.columns)} features; ROC AUC {auc:.3f} out of time/sample")
            for note in story.notes:
                n.say(f"note: {note}")
            if auc != auc:
                raise Refused(
                    "the rows held out have one outcome only, so nothing can be measured; choose another TIME"
                )
            if auc > SUSPICIOUS:
                n.say("this is suspiciously good: does a feature tell what was only known afterwards?")
            n.link("/")
        return story

    def upload(self, story: Story) -> dict[str, str]:
        """She sends the data it was trained and is to be judged on, by digest."""
        with self.narrator.step("Ada sends training, holdout and golden data") as n:
            roles: dict[str, dict[str, Any]] = {
                "training": {"label": story.label, "time": story.time, "protected": story.protected},
                "holdout": {"label": story.label, "time": story.time, "protected": story.protected},
                "golden": {"score": SCORE},
            }
            digests = {}
            for role, named in roles.items():
                frame = getattr(story.trained, role)
                digests[role] = self._send(
                    f"{story.model} {role}", frame, training.columns(story.trained.schema, **named)
                )
                n.say(f"{role}: {len(frame):,} rows, sha256 {digests[role][:16]}…")
            n.link("/ledger?event=dataset")
        return {**digests, "reference": digests["training"]}

    def _send(self, name: str, frame: pd.DataFrame, columns: list[dict[str, Any]]) -> str:
        sink = io.BytesIO()
        frame.to_parquet(sink, index=False)
        answer = ask(
            self.ada,
            "POST",
            "/api/v1/datasets",
            files={"file": ("data.parquet", sink.getvalue(), "application/vnd.apache.parquet")},
            data={"name": name, "columns": json.dumps(columns)},
        )
        return str(answer["digest"])

    def register(self, story: Story, digests: dict[str, str]) -> int:
        """She registers it through a stock mlflow client."""
        with self.narrator.step("Ada registers it with a stock mlflow client") as n:
            os.environ["MLFLOW_TRACKING_TOKEN"] = self.tokens["ada"]
            until("the tracking server answers", self._tracking_answers)
            mlflow.set_tracking_uri(self.base)
            mlflow.set_registry_uri(self.base)
            mlflow.set_experiment(story.model)
            with mlflow.start_run() as run:
                mlflow.set_tags({f"countersign.{role}": digest for role, digest in digests.items()})
                mlflow.log_params(story.trained.parameters)
                mlflow.log_metrics(story.trained.metrics)
                mlflow.lightgbm.log_model(
                    story.trained.booster,
                    name="model",
                    signature=training.signature(story.trained.schema),
                    metadata=training.metadata(story.trained.schema),
                    registered_model_name=story.model,
                )
            found = mlflow.MlflowClient().search_model_versions(f"name = '{story.model}'")
            number = max(int(version.version) for version in found)
            n.say(f"log_model(…, registered_model_name={story.model!r}) → version {number}, run {run.info.run_id[:8]}")
            with tempfile.TemporaryDirectory() as folder:
                loaded = mlflow.lightgbm.load_model(f"models:/{story.model}/{number}", dst_path=folder)
            same = loaded.model_to_string() == story.trained.booster.model_to_string()
            if not same:
                raise Refused("what was loaded back is not what was registered")
            n.say(f"load_model('models:/{story.model}/{number}') gives the same model back")
            n.link(f"/models/{story.model}/versions/{number}")
        return number

    def _tracking_answers(self) -> bool:
        try:
            mlflow.set_tracking_uri(self.base)
            mlflow.MlflowClient().search_experiments(max_results=1)
        except MlflowException:
            return False
        return True

    def check(self, story: Story, number: int) -> None:
        """Workers find the version and measure it."""
        with self.narrator.step("Workers check performance, bias, consistency and drift") as n:
            done = lambda: (s := self.stage(story.model, number))["stage"] not in ("registered",) and s  # noqa: E731
            found = until("every check has a verdict", done)
            for name, check in found["checks"].items():
                shown = {
                    m["name"] + (f" {m['slice']}" if m["slice"] else ""): m["value"] for m in check["measurements"]
                }
                values = ", ".join(f"{k} {v:.3g}" for k, v in list(shown.items())[:6] if v is not None)
                n.say(f"{check['verdict']:<5} {name}: {values}")
                for reason in check["reasons"][:5]:
                    n.say(f"      {reason}")
            n.link(f"/models/{story.model}/versions/{number}")
            if found["stage"] != "checked":
                raise Refused(
                    f"the policy blocks this version, so nobody may sign it, by {_blockers(found)}; see its page"
                )

    def approve(self, story: Story, number: int) -> None:
        """Its author asks; two other people sign."""
        with self.narrator.step("Ada asks for approval; Grace and Alan read the evidence and sign") as n:
            path = f"/api/v1/models/{story.model}/versions/{number}/requests"
            words = wording.reasons(story.trained.schema.names)
            sent = {"bands": self._bands(story), "reasons": words, "reason": "Ranks fraud better than what we have."}
            request = ask(self.ada, "POST", path, json=sent)
            n.say(f"package {request['package'][:16]}…, request digest {request['digest'][:16]}…")
            for who in ("grace", "alan"):
                signed = ask(
                    self.person(who),
                    "POST",
                    f"/api/v1/requests/{request['request']}/signatures",
                    json={
                        "outcome": "approve",
                        "meaning": "I reviewed the evidence and approve that this package decides",
                        "reason": "Performance, bias and consistency are within policy.",
                        "password": self.passwords[who],
                    },
                )
                n.say(f"{who} signed as {signed['role']}")
            n.link(f"/models/{story.model}/versions/{number}#signing")

    def _bands(self, story: Story) -> list[dict[str, Any]]:
        scores = story.trained.golden[SCORE]
        review, block = (min(max(round(float(scores.quantile(q)), 4), 0.0001), 0.999) for q in (0.92, 0.99))
        return [
            {"name": "allow", "from": 0, "action": "let through"},
            {"name": "review", "from": review, "action": "send to an analyst"},
            {"name": "block", "from": max(block, review + 0.0001), "action": "decline"},
        ]

    def promote(self, story: Story, number: int) -> None:
        """An operator promotes; the governor signs the warrant and deploys."""
        with self.narrator.step("Olivia promotes it; the governor signs the warrant") as n:
            path = f"/api/v1/models/{story.model}/versions/{number}/orders"
            ask(self.person("olivia"), "POST", path, json={"kind": "promote", "reason": "Approved."})
            until("the version is champion", lambda: self.stage(story.model, number)["stage"] == "champion")
            n.link(f"/models/{story.model}")

    def score(self, story: Story, rows: pd.DataFrame, title: str) -> str:
        """The decision engine asks; outcomes follow."""
        with self.narrator.step(title) as n:
            path = f"/api/v1/models/{story.model}/score"
            until(
                "the champion serves",
                lambda: self.engine.post(path, json={"features": {}}).status_code == 422,
            )
            bodies = [story.request(row) for row in rows.to_dict("records")]
            with ThreadPoolExecutor(CLIENTS) as pool:
                answers = list(pool.map(lambda body: self._ask_score(path, body), bodies))
            seconds = [took for took, _ in answers]
            decisions = [answer for _, answer in answers]
            bands = pd.Series([answer["band"] for answer in decisions]).value_counts().to_dict()
            cuts = quantiles(seconds, n=100)
            n.say(f"{len(decisions)} decisions, each explained and committed before it was answered: {bands}")
            n.say(f"p50 {cuts[49] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms at {CLIENTS} clients")
            now = datetime.now(UTC).isoformat()  # noqa: TID251 - the walk is a client with a clock of its own
            outcomes = [
                {
                    "decision": answer["decision_id"],
                    "label": int(label),
                    "source": "chargebacks",
                    "observed_at": now,
                }
                for answer, label in zip(decisions, rows[story.label], strict=True)
            ]
            batches = [outcomes[start : start + 1000] for start in range(0, len(outcomes), 1000)]
            told = [ask(self.engine, "POST", "/api/v1/outcomes", json={"outcomes": batch})["new"] for batch in batches]
            n.say(f"{sum(told)} outcomes reported")
            riskiest = max(decisions, key=lambda answer: answer["score"] or 0)
            for reason in riskiest["reasons"][:3]:
                n.say(f"riskiest, {riskiest['score']:.3f}: {reason['text']} {reason['contribution']:+.2f}")
            n.link(f"/decisions/{riskiest['decision_id']}")
        return str(riskiest["decision_id"])

    def _ask_score(self, path: str, body: dict[str, object]) -> tuple[float, dict[str, Any]]:
        started = time.perf_counter()
        answer: dict[str, Any] = ask(self.engine, "POST", path, json=body)
        return time.perf_counter() - started, answer

    def watch(self, story: Story, number: int) -> None:
        """The monitors look at the first window of decisions."""
        with self.narrator.step("The monitors look at the first windows of decisions") as n:
            done = lambda: (r := self.about(story, "monitor-runs", number)) and len(r) > 2 and r  # noqa: E731
            for run in until("every monitor ran", done):
                values = ", ".join(
                    f"{m['name']} {m['value']:.3g}" for m in run["measurements"][:3] if m["value"] is not None
                )
                n.say(f"{run['verdict']:<5} {run['monitor']} over {run['decisions']} decisions: {values}")
            n.link("/monitoring")

    def alert(self, story: Story, number: int) -> None:
        """The drift monitor raises an alert; it opens a case."""
        with self.narrator.step("The drift monitor raises an alert, which opens a retraining case") as n:
            for alert in until("an alert", lambda: self.about(story, "alerts", number)):
                n.say(f"{alert['kind']}: {alert['detail']}")
            case = until("a case", lambda: self.about(story, "cases", number))[0]
            n.say(f"case {case['case']} opened; it has {case['labels']} of {case['labels_needed']} labels")
            n.link("/monitoring")

    def retrain(self, story: Story, number: int) -> None:
        """The case trains on labelled decisions and registers a new version."""
        with self.narrator.step("The case retrains on labelled decisions, in a process without credentials") as n:
            case = until("the case ended", lambda: (c := self.about(story, "cases", number)[0])["ended"] and c)
            n.say(case["detail"])
            if case["version"] is None:
                raise Refused(f"the case gave no new version: {case['detail']}")
            done = lambda: (s := self.stage(story.model, case["version"]))["stage"] != "registered" and s  # noqa: E731
            found = until("the new version's checks have verdicts", done)
            why = _blockers(found) or found["verdict"]
            n.say(f"version {case['version']} is {found['stage']}: {why}; nothing promotes it but people")
            n.link(f"/models/{story.model}/versions/{case['version']}")

    def prove(self, story: Story, decision: str) -> None:
        """Compliance exports a dossier and verifies it offline."""
        with self.narrator.step("Clara exports the dossier of one decision and verifies it offline") as n:
            clara = self.person("clara")
            issued = ask(clara, "POST", "/api/v1/dossiers", json={"decision": decision})
            path = f"/api/v1/dossiers/{issued['dossier']}/archive"
            answer = until("the dossier is ready", lambda: (a := clara.get(path)).status_code == 200 and a, 60)
            trust = clara.get("/log/policy").content, (self.home / "keys" / "warrant.vkey").read_text().strip()
            verify_offline(n, answer.content, *trust, verifier=answer.content, expect=0)
            files = verify.unpack(answer.content)
            said = bytearray(files["decision/answer.json"])
            said[len(said) // 2] ^= 1
            n.say("and with one bit of the answer changed, packed again as if nothing had happened:")
            forged = verify.pack({**files, "decision/answer.json": bytes(said)})
            verify_offline(n, forged, *trust, verifier=answer.content, expect=1)
            file = self.dossier(story.model)
            file.write_bytes(answer.content)
            n.say(f"{file} ({len(answer.content):,} bytes)")
            n.link(f"/dossiers/{issued['dossier']}")


def _blockers(stage: dict[str, Any]) -> str:
    """Name the checks that keep a version from being signed."""
    verdicts = {name: check["verdict"] for name, check in stage["checks"].items()}
    return ", ".join(f"{name} ({verdict})" for name, verdict in verdicts.items() if verdict not in ("pass", "warn"))
