"""Files of runs go straight into the tracking server's folder, whole or not at all, and nowhere else."""

import os

import pytest

from registry.intake import store
from registry.intake.files import Unresolved
from registry.refusals import Invalid


@pytest.fixture
def folder(settings, tmp_path):
    settings.TRACKING_ARTIFACTS = str(tmp_path)
    return tmp_path


def found(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_stands_under_its_path_whole(folder):
    store.write(["0", "run", "artifacts", "model.txt"], [b"one", b"two"])
    assert (folder / "0/run/artifacts/model.txt").read_bytes() == b"onetwo"
    assert store.holds(["0", "run", "artifacts", "model.txt"])
    [file] = store.listed("0/run/artifacts")
    assert (file.path, file.size, b"".join(file.pieces())) == ("model.txt", 6, b"onetwo")
    mark = file.mark
    store.write(["0", "run", "artifacts", "model.txt"], [b"twoone"])
    assert store.listed("0/run/artifacts")[0].mark != mark


def test_what_breaks_off_leaves_nothing(folder):
    store.write(["0", "a"], [b"before"])

    def broken():
        yield b"half"
        raise Invalid("Only half came.")

    with pytest.raises(Invalid, match="Only half"):
        store.write(["0", "a"], broken())
    assert found(folder) == ["0/a"]
    assert (folder / "0/a").read_bytes() == b"before"


@pytest.mark.parametrize("parts", [["0", "a", "b"], ["0"]])
def test_a_file_and_a_folder_cannot_have_one_name(folder, parts):
    store.write(["0", "a"], [b"file"])
    with pytest.raises(Invalid, match="both a file and a folder"):
        store.write(parts, [b"other"])
    assert found(folder) == ["0/a"]


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "a\0b"])
def test_no_path_leads_out(folder, name):
    with pytest.raises(Invalid, match="not accepted"):
        store.write(["0", name], [b"x"])
    assert found(folder) == []


def test_a_link_is_not_followed(folder):
    store.write(["0", "a"], [b"x"])
    os.symlink("/etc/hostname", folder / "0" / "b")
    with pytest.raises(Invalid, match="symbolic link"):
        store.listed("0")


def test_nothing_is_found_where_nothing_was_logged(folder):
    with pytest.raises(Unresolved, match="Log the model first"):
        store.listed("0/nothing")
