"""The graph from data sets over versions to decisions, forward and back: as data, as a drawing, as OpenLineage."""

from xml.etree import ElementTree

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from openlineage.client import event_v2, facet_v2
from openlineage.client.generated import base

from governance import drawing, graph, openlineage
from governance.models import Case, CaseResult
from monitoring.models import Alert, MonitorRun
from registry import datasets, versions
from tests import builders

STANDARD = {
    "schema": facet_v2.schema_dataset.SchemaDatasetFacet,
    "dataSource": facet_v2.datasource_dataset.DatasourceDatasetFacet,
    "version": facet_v2.dataset_version_dataset.DatasetVersionDatasetFacet,
    "sourceCodeLocation": facet_v2.source_code_location_job.SourceCodeLocationJobFacet,
    "jobType": facet_v2.job_type_job.JobTypeJobFacet,
    "parent": facet_v2.parent_run.ParentRunFacet,
}
RUN = "0af7651916cd43dd8448eb211c80319c"


def paths(found: graph.Graph, start: str) -> set[str]:
    reached, open_ = set(), [start]
    while open_:
        here = open_.pop()
        if here not in reached:
            reached.add(here)
            open_ += [edge.target for edge in found.edges if edge.source == here]
    return reached


def of_kind(found: graph.Graph, kind: str) -> list[graph.Node]:
    return [node for node in found.nodes.values() if node.kind == kind]


def a_case(deployment, version=None) -> Case:
    """A case that an alert about a deployment opened, and the version it ended with."""
    now = builders.now()
    run = MonitorRun.objects.create(
        deployment=deployment,
        monitor="drift",
        window_start=now,
        window_end=now,
        cursor_xid=1,
        cursor="01890a5d-ac96-774b-bcce-b302099a8057",
        decisions=0,
        verdict="fail",
        reasons=[],
        measurements=[],
        evidence={},
        performed_at=now,
    )
    alert = Alert.objects.create(model=deployment.model, kind="drift", detail="moved", run=run, raised_at=now)
    case = Case.objects.create(model=deployment.model, alert=alert, cause="drift", opened_at=now)
    if version:
        CaseResult.objects.create(case=case, version=version, detail="made", ended_at=now)
    return case


def retrained(people, parent):
    """A version that says which one it was retrained from, which model it read, and what its run logged."""
    told = {
        "source": "models:/m-2",
        "run_id": RUN,
        "code_commit": "c0ffee",
        "code_url": "https://git.example/fraud.git",
        "parent": parent.digest,
        "upstream": ["embeddings/1"],
        "datasets": [
            {"name": "clicks", "digest": "1a2b3c4d", "context": "training", "columns": [{"name": "n", "type": "long"}]}
        ],
    }
    return versions.register(
        model=parent.model, files=builders.model_files(), by=people.ada, now=builders.now(), lineage=told
    )


@pytest.fixture
def served(people):
    """A champion with two decisions, whose alert opened a case that ended with a second version."""
    version = builders.a_champion(people)
    builders.a_decision(people)
    people.decision = builders.a_decision(people, place=1)
    builders.a_version(people.ada, "embeddings", data=False)
    people.second = retrained(people, version)
    people.case = a_case(people.decision.deployment, people.second)
    people.version = version
    return people


def test_a_data_set_leads_forward_to_everything_it_touched(served):
    training = served.version.training
    found = graph.of_dataset(training)
    reached = paths(found, f"dataset:{training.digest}")
    kinds = {found.nodes[name].kind for name in reached}
    assert kinds == {"dataset", "version", "checks", "package", "deployment", "decisions", "case", "successor"}
    (counted,), (checks,) = of_kind(found, "decisions"), of_kind(found, "checks")
    assert counted.facts["count"] == 2
    assert {run["check"] for run in checks.facts["runs"]} >= {"performance", "bias"}
    assert f"case:{served.case.pk}" in reached
    assert f"version:{served.second.pk}" in reached
    assert found.left_out == 0


def test_a_data_set_that_nothing_used_touches_nothing(ada):
    data = builders.parquet(builders.stream().head(5)[["amount"]])
    unused = datasets.register(
        data=data, name="unused", columns=[{"name": "amount", "role": "feature"}], by=ada, now=builders.now()
    )
    found = graph.of_dataset(unused)
    assert list(found.nodes) == [f"dataset:{unused.digest}"]
    assert "<a " in drawing.layered(found.title, list(found.nodes.values()), found.edges)


def test_a_decision_leads_back_to_the_digests_of_its_rows(served):
    found = graph.of_decision(served.decision)
    target = f"decision:{served.decision.pk}"
    for role in ("training", "holdout", "golden"):
        assert target in paths(found, f"dataset:{getattr(served.version, role).digest}")
    assert len(of_kind(found, "decision")) == 1
    assert not of_kind(found, "checks")


def test_a_version_knows_its_run_its_parent_the_models_and_the_data_it_was_made_from(served):
    found = graph.of_version(served.second)
    me = f"version:{served.second.pk}"
    into = {edge.source for edge in found.edges if edge.target == me}
    assert f"version:{served.version.pk}" in into
    assert f"run:{RUN}" in into
    assert f"case:{served.case.pk}" in into
    assert {node.label for node in of_kind(found, "upstream")} == {str(served.version), "embeddings v1"}
    (clicks,) = of_kind(found, "logged data")
    assert clicks.detail == "logged as training, not registered here"
    assert me in paths(found, clicks.id)


def test_the_graph_of_many_versions_takes_the_queries_of_one_and_is_bounded(served, monkeypatch):
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            graph.of_dataset(served.version.training)
        return len(seen)

    few = queries()
    for _ in range(4):
        versions.register(
            model=served.version.model,
            files=builders.model_files(),
            by=served.ada,
            now=builders.now(),
            lineage={"source": "test"},
            data={"training": served.version.training},
        )
    assert queries() == few
    monkeypatch.setattr(graph, "MOST_VERSIONS", 3)
    found = graph.of_dataset(served.version.training)
    assert len(of_kind(found, "version")) == 3
    assert found.left_out == 2


def test_the_drawing_is_a_link_for_each_node_from_left_to_right_and_escapes_names(served):
    found = graph.of_dataset(served.version.training)
    found.add(graph.Node("evil", "run", "<script>alert(1)</script>", '"&', "/models/x?a=1&b=2"))
    svg = drawing.layered(found.title, list(found.nodes.values()), found.edges)
    assert "<script" not in svg
    tree = ElementTree.fromstring(svg)  # noqa: S314 - drawn here
    space = "{http://www.w3.org/2000/svg}"
    links = tree.findall(f"{space}a")
    assert len(links) == len(found.nodes)
    assert all(link.get("href") and link.get("aria-label") for link in links)
    left = {link.get("aria-label"): float(link.find(f"{space}rect").get("x")) for link in links}
    said = {node.id: f"{node.kind}: {node.label}, {node.detail}" for node in found.nodes.values()}
    assert all(left[said[edge.source]] < left[said[edge.target]] for edge in found.edges)
    assert len(tree.findall(f"{space}path")) == len(found.edges)


def test_the_pages_show_the_graph_and_its_list_and_programs_read_it(served, browse):
    client = browse(served.clara)
    data, decision = served.version.training.digest, served.decision.pk
    for page in (f"/datasets/{data}/lineage", f"/decisions/{decision}/lineage", "/models/fraud/versions/2"):
        text = client.get(page).content.decode()
        assert 'class="graph"' in text
        assert "Show as list" in text
    assert client.get(f"/datasets/{'0' * 64}/lineage").status_code == 404
    told = client.get(f"/api/v1/datasets/{data}/lineage").json()
    assert {node["kind"] for node in told["nodes"]} >= {"dataset", "version", "decisions", "case"}
    assert client.get(f"/api/v1/decisions/{decision}/lineage").status_code == 200
    assert client.get("/api/v1/models/fraud/versions/1/lineage").status_code == 200
    assert Client().get(f"/api/v1/datasets/{data}/lineage").status_code == 401
    assert browse(served.trainer).get(f"/datasets/{data}/lineage").status_code == 403


def conforms(event: dict) -> None:
    """Build an event and its facets from OpenLineage's own classes: unknown, missing and ill-formed parts raise."""

    def facets(found: dict, kind: type) -> dict:
        for name, facet in found.items():
            rest = {key: value for key, value in facet.items() if not key.startswith("_")}
            assert facet["_producer"].startswith("http")
            if name in STANDARD:
                assert issubclass(STANDARD[name], kind)
                assert STANDARD[name](**rest, producer=facet["_producer"])._schemaURL == facet["_schemaURL"]
                assert facet["_schemaURL"].startswith("https://openlineage.io/spec/facets/")
            else:
                assert name.startswith("countersign_")
                assert facet["_schemaURL"] == base.RunFacet._get_schema()
        return found

    for direction, kind in (("inputs", event_v2.InputDataset), ("outputs", event_v2.OutputDataset)):
        for dataset in event[direction]:
            kind(**{**dataset, "facets": facets(dataset["facets"], base.DatasetFacet)})
    event_v2.Run(**{**event["run"], "facets": facets(event["run"]["facets"], base.RunFacet)})
    event_v2.Job(**{**event["job"], "facets": facets(event["job"]["facets"], base.JobFacet)})
    rest = {name: value for name, value in event.items() if name != "schemaURL"}  # the class fills it
    made = event_v2.RunEvent(**{**rest, "eventType": event_v2.RunState(event["eventType"])})
    assert made.schemaURL == event["schemaURL"] == base.RunEvent._get_schema()


def test_other_catalogues_read_the_lineage_as_openlineage_events(served, browse):
    client = browse(served.clara)
    first = client.get("/api/v1/models/fraud/versions/1/lineage.openlineage.json").json()
    second = client.get("/api/v1/models/fraud/versions/2/lineage.openlineage.json").json()
    for event in (*first, *second):
        conforms(event)
    assert [event["eventTime"] for event in first] == sorted(event["eventTime"] for event in first)
    jobs = {event["job"]["name"] for event in first}
    assert jobs >= {"fraud.register", "fraud.check.performance", "fraud.deploy"}
    for run in {event["run"]["runId"] for event in first}:
        states = [event["eventType"] for event in first if event["run"]["runId"] == run]
        assert states == ["START", "COMPLETE"], run
    register = next(event for event in first if event["job"]["name"] == "fraud.register" and event["outputs"])
    assert f"datasets/{served.version.training.digest}" in {data["name"] for data in register["inputs"]}
    assert register["outputs"][0]["facets"]["version"]["datasetVersion"] == served.version.digest
    assert {field["name"] for field in register["outputs"][0]["facets"]["schema"]["fields"]} >= {"amount"}
    again = next(event for event in second if event["job"]["name"] == "fraud.register")
    assert again["run"]["facets"]["parent"]["run"]["runId"].replace("-", "") == RUN
    assert again["job"]["facets"]["sourceCodeLocation"]["version"] == "c0ffee"
    assert again["inputs"][0]["name"] == "clicks"


def test_an_event_that_does_not_conform_is_told_from_one_that_does(served):
    event = openlineage.events(served.version, "https://countersign.example")[0]
    conforms(event)
    for wrong in (
        {**event, "run": {**event["run"], "runId": "one"}},
        {**event, "eventTime": "yesterday"},
        {**event, "colour": "red"},
    ):
        with pytest.raises((TypeError, ValueError)):
            conforms(wrong)
