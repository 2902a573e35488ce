"""What in a model could do harm is found before anything is loaded, and the first load may kill only itself."""

import os
import pickle
import zipfile
from pathlib import Path

import cloudpickle
import pytest
import yaml
from sklearn.linear_model import LogisticRegression

from registry import versions
from registry.models import ModelVersion
from scoring import trials
from tests import builders
from tests.registry.test_pinning import allowed, ask, bring_to_an_end  # noqa: F401


class Command:
    def __reduce__(self):
        return os.system, ("touch never",)


def document(flavour, **details):
    return yaml.safe_dump({"flavors": {flavour: details, "python_function": {"loader_module": f"mlflow.{flavour}"}}})


def pickled(folder, data, name="model.pkl"):
    (folder / "MLmodel").write_text(document("sklearn", pickled_model=name, serialization_format="cloudpickle"))
    (folder / name).write_bytes(data)


def _command(folder):
    pickled(folder, pickle.dumps(Command()))


def _command_under_another_name(folder):
    pickled(folder, pickle.dumps(Command(), protocol=0), "weights.dat")


def _command_in_an_archive(folder):
    with zipfile.ZipFile(folder / "extra.zip", "w") as archive:
        archive.writestr("data.pkl", pickle.dumps(Command()))


def _broken_pickle(folder):
    pickled(folder, pickle.dumps(Command())[:-1] + b"\xff\xff")


def _bomb(folder):
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(50_000_000))


def _aborts(folder):
    text = builders.model_files()["model.lgb"]
    (folder / "model.lgb").write_bytes(text.replace(b"split_feature=", b"split_feature=99999999 ", 1))


def _garbled_pickle(folder):
    pickled(folder, b"\x80\x04\x93.")


def _garbled_beside_a_command(folder):
    with zipfile.ZipFile(folder / "extra.zip", "w") as archive:
        archive.writestr("a.pkl", b"\x93.")
        archive.writestr("b.pkl", pickle.dumps(Command()))


def _garbled_under_a_pickles_name(folder):
    (folder / "state.joblib").write_bytes(b"\x93.")


REFUSED = [
    (_garbled_beside_a_command, "extra.zip"),
    (_garbled_under_a_pickles_name, "state.joblib is a pickle that cannot be taken apart"),
    (_garbled_pickle, "cannot be taken apart"),
    (_command, "imports posix.system"),
    (_command_under_another_name, "imports posix.system"),
    (_command_in_an_archive, "imports posix.system"),
    (_broken_pickle, "imports posix.system"),
    (_bomb, "unpacks to 50,000,000 bytes"),
]


def test_bytes_that_stumble_a_scanner_are_no_harm_by_themselves(people, allowed):  # noqa: F811
    (allowed / "model" / "weights.bin").write_bytes(b"\x93.")
    registration, standing = bring_to_an_end(ask(people, f"file://{allowed}/model"))
    assert (standing.status, standing.message) == ("READY", "")
    assert "weights.bin" in registration.version.artifact


@pytest.mark.parametrize(("made", "why"), REFUSED)
def test_what_could_do_harm_is_refused_by_name(people, allowed, made, why):  # noqa: F811
    made(allowed / "model")
    _, standing = bring_to_an_end(ask(people, f"file://{allowed}/model"))
    assert (standing.status, why in standing.message) == ("FAILED_REGISTRATION", True), standing.message
    assert ModelVersion.objects.count() == 0
    assert not Path("never").exists()


def test_a_harmless_pickle_is_kept_scanned_but_not_served_unless_the_policy_refuses_it(people, allowed):  # noqa: F811
    pickled(allowed / "model", cloudpickle.dumps(LogisticRegression()))
    source = f"file://{allowed}/model"
    found, standing = bring_to_an_end(ask(people, source))
    assert (standing.status, "holds a pickle" in standing.message) == ("READY", True)
    assert found.version.lineage["scan"]["pickles"] == ["model.pkl"]
    assert found.version.lineage["scan"]["scanner"].startswith("picklescan 1.")

    builders.a_policy(people, parameters={"intake": {"pickles": "refuse"}})
    _, standing = bring_to_an_end(ask(people, source))
    assert (standing.status, "accepts no pickles" in standing.message) == ("FAILED_REGISTRATION", True)


def test_code_of_its_own_is_told_and_refused_where_the_policy_says_so(people, allowed):  # noqa: F811
    folder = allowed / "model"
    said = yaml.safe_load((folder / "MLmodel").read_text())
    said["flavors"]["python_function"] |= {"loader_module": "harmless", "code": "code"}
    (folder / "MLmodel").write_text(yaml.safe_dump(said))
    (folder / "code").mkdir()
    (folder / "code" / "harmless.py").write_text("import os")
    (folder / "layers.h5").write_bytes(b'..{"class_name": "Lambda", "config": {}}..')
    source = f"file://{allowed}/model"
    found, _ = bring_to_an_end(ask(people, source))
    told = " ".join(found.version.lineage["scan"]["code"])
    assert all(part in told for part in ("loader harmless", "folder of code", "Lambda layer", "(code)")), told

    builders.a_policy(people, parameters={"intake": {"code": "refuse"}})
    _, standing = bring_to_an_end(ask(people, source))
    assert "accepts no models with code of their own" in standing.message


def test_a_file_that_kills_its_reader_is_refused_and_the_worker_lives(people, allowed):  # noqa: F811
    _aborts(allowed / "model")
    _, standing = bring_to_an_end(ask(people, f"file://{allowed}/model"))
    assert (standing.status, "died by SIG" in standing.message) == ("FAILED_REGISTRATION", True), standing.message
    (allowed / "model" / "model.lgb").write_bytes(builders.model_files()["model.lgb"])
    _, standing = bring_to_an_end(ask(people, f"file://{allowed}/model"))
    assert (standing.status, standing.message) == ("READY", "")


def test_the_process_that_loads_has_no_credentials_and_no_network(allowed, monkeypatch):  # noqa: F811
    trials.end()
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    said = trials.examine(allowed / "model", "lightgbm", "model.lgb", 1)
    assert "features" in said["refused"]
    environment = Path(f"/proc/{trials._running[0].pid}/environ").read_bytes()
    assert b"secret" not in environment
    if not said["network"]:
        interfaces = Path(f"/proc/{trials._running[0].pid}/net/dev").read_text().splitlines()[2:]
        assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]


def test_an_examiner_that_is_gone_is_started_anew(people, allowed):  # noqa: F811
    trials.examine(allowed / "model", "lightgbm", "model.lgb", 1)
    trials._running[0].kill()
    trials._running[0].wait()
    _, standing = bring_to_an_end(ask(people, f"file://{allowed}/model"))
    assert standing.status == "READY"
    assert versions.version_of("fraud", 1).unservable == ""
