"""Any file is read for what it is, and a file that cannot be used says why."""

import json
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from governance import importing, kinds, training
from governance.demo import data
from monitoring import frames
from registry.refusals import Invalid
from registry.schema import SCORE

CHANCE = np.random.default_rng(2)
N = 800


@pytest.fixture
def messy(tmp_path):
    """What real files look like: semicolons, gaps, dates as text, words as labels, an identifier, a constant."""
    frame = pd.DataFrame(
        {
            "id": [f"acc-{i}" for i in range(N)],
            "amount; net": CHANCE.lognormal(3, 1, N).round(2),
            "country": CHANCE.choice(["DE", "FR", None], N),
            "opened": pd.date_range("2020-01-01", periods=N).strftime("%Y-%m-%d"),
            "active": CHANCE.choice(["true", "false"], N),
            "visits": pd.array(CHANCE.integers(0, 9, N), dtype="Int64"),
            "constant": "x",
            "endless": 1e30 + np.arange(N),
            "age": CHANCE.integers(18, 90, N),
            "outcome": CHANCE.choice(["good", "bad"], N, p=[0.9, 0.1]),
        }
    )
    frame.loc[:20, "amount; net"] = None
    frame.loc[5, "outcome"] = None
    path = tmp_path / "messy.csv"
    frame.to_csv(path, index=False, sep="\t")
    return path


def read(path, **given):
    return importing.read(path, **{"label": "outcome", "identifier": "id", "protected": ["age"], **given})


def test_a_messy_file_is_understood(messy):
    found = read(messy)
    kinds = {column.name: (column.kind, column.nullable) for column in found.schema.columns}
    assert kinds == {
        "amount; net": ("number", True),
        "country": ("category", True),
        "opened": ("date", False),
        "active": ("boolean", False),
        "visits": ("integer", False),
    }
    assert found.frame["outcome"].mean() == pytest.approx(0.1, abs=0.05)
    assert found.frame["age"].nunique() == 4
    notes = " ".join(found.notes)
    assert "1 rows without a label" in notes
    assert "'bad' counts as the adverse event" in notes
    assert "constant" in notes


def test_what_was_imported_can_be_trained_on_and_scored_row_by_row(messy):
    found = read(messy)
    made = training.train(found.frame, found.schema, label="outcome", keep=["age"])
    row = frames.plain(made.holdout.iloc[0].to_dict(), made.schema)
    single = made.booster.predict(made.schema.vector(row)[None], num_threads=1)[0]
    assert single == made.golden[SCORE].iloc[0]


TABLE = pd.DataFrame(
    {
        "acct": np.arange(N),
        "amount": (CHANCE.lognormal(3, 1, N) + 1000).round(2),
        "city": CHANCE.choice(["Köln", "Málaga", "a, b; c"], N),
        "sex": CHANCE.choice(["f", "m"], N),
        "bad": CHANCE.integers(0, 2, N),
    }
)
DIALECTS = {
    "semicolons.csv": {"sep": ";", "decimal": ","},
    "tabs.tsv": {"sep": "\t"},
    "pipes.txt": {"sep": "|", "lineterminator": "\r\n"},
    "mark.csv": {"encoding": "utf-8-sig"},
    "western.csv": {"encoding": "cp1252"},
    "wide.csv": {"encoding": "utf-16", "sep": "\t"},
    "small.csv.gz": {},
    "small.csv.zip": {},
    "rownames.csv": {"index": True},
    "spaces.csv": {"header": [f" {name} " for name in TABLE]},
}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_table_is_the_same_in_every_dialect(tmp_path, name):
    path = tmp_path / name
    TABLE.to_csv(path, **{"index": False, **DIALECTS[name]})
    found = importing.read(path, label="bad", identifier="acct", protected=["sex"])
    assert {c.name: c.kind for c in found.schema.columns} == {"amount": "number", "city": "category"}
    pd.testing.assert_series_equal(found.frame["amount"], TABLE["amount"])
    assert found.schema.columns[1].categories == ("Köln", "Málaga", "a, b; c")


@pytest.mark.parametrize("first", ["acct,amount,city,sex,bad\n", "amount,city,sex,bad\n"])
def test_lines_longer_than_the_header_are_put_right(tmp_path, first):
    path = tmp_path / "long.csv"
    trailing = "," if first.startswith("acct") else ""
    path.write_text(first + TABLE.to_csv(index=False, header=False, lineterminator=f"{trailing}\n"))
    found = importing.read(path, label="bad", protected=["sex"])
    assert found.frame["amount"].tolist() == TABLE["amount"].tolist()


def test_parquet_is_read_by_its_content_with_all_its_types(tmp_path):
    days = pd.date_range("2024-01-01", periods=N, freq="h")
    frame = TABLE.assign(
        word=pd.Categorical(TABLE["city"]),
        whole=pd.array([None, *range(N - 1)], dtype="Int32"),
        price=[Decimal(n) / 100 for n in range(N)],
        bought=days.tz_localize("Asia/Tokyo"),
        far=[date(9999, 12, 31) if n % 2 else date(2020, 1, 1) for n in range(N)],
        lasting=days - days[0],
        raw=[b"x" if n % 2 else b"\xff" for n in range(N)],
        perhaps=[True, False, None, True] * (N // 4),
        huge=np.arange(N, dtype="uint64") + np.uint64(2**63),
        bad=pd.Categorical(TABLE["bad"].map({0: "good", 1: "bad"})),
    )
    path = tmp_path / "no_suffix"
    frame.set_index("acct").to_parquet(path)
    found = importing.read(path, label="bad", identifier="acct", time="bought", protected=["sex"])
    assert {c.name: (c.kind, c.nullable) for c in found.schema.columns} == {
        "amount": ("number", False),
        "city": ("category", False),
        "word": ("category", False),
        "whole": ("integer", True),
        "price": ("number", False),
        "far": ("date", False),
        "lasting": ("number", False),
        "raw": ("category", False),
        "perhaps": ("boolean", True),
        "huge": ("number", False),
    }
    assert_scored_alike(training.train(found.frame, found.schema, label="bad", time="bought", keep=["sex"]))


def assert_scored_alike(made):
    """Every row that was held out can be sent as JSON, and is then the vector it was in the batch."""
    sent = [json.dumps(frames.plain(row, made.schema), allow_nan=False) for row in made.holdout.to_dict("records")]
    alone = made.schema.matrix([json.loads(body) for body in sent])
    np.testing.assert_array_equal(alone, frames.encode(made.holdout, made.schema))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (["1,234.50", "2", "-0.5"], [1234.5, 2, -0.5]),
        (["1.234,50", "2", "-0,5"], [1234.5, 2, -0.5]),
        (["$1,200", "$15", "$3"], [1200, 15, 3]),
        (["1 200", "12.5%", "1e3"], [1200, 12.5, 1000]),
    ],
)
def test_numbers_written_for_people_are_numbers(written, meant):
    assert kinds.typed(pd.Series(written), []).tolist() == meant


def test_codes_stay_words_and_marks_for_the_missing_are_missing():
    codes = pd.Series(["00123", "04500", "10999"])
    assert kinds.typed(codes, []).tolist() == codes.tolist()
    notes = []
    marked = kinds.typed(pd.Series(["?", *map(str, range(99))], name="income"), notes)
    assert marked.isna().sum() == 1
    assert notes == ["income: 1 values count as missing, since the others are numbers or dates"]


@pytest.mark.parametrize(
    "write",
    [
        "%Y-%m-%d",
        "%d/%m/%Y",
        "%m/%d/%Y",
        "%d.%m.%Y",
        "%d %b %Y",
        "%Y%m%d",
        "%Y-%m-%dT00:00:00Z",
        lambda day: day.tz_localize("UTC").tz_convert("Europe/Berlin").isoformat(),
        lambda day: day.timestamp(),
        lambda day: int(day.timestamp() * 1000),
    ],
)
def test_a_moment_is_the_same_however_it_is_written(tmp_path, write):
    days = pd.Series(pd.date_range("2023-03-01", periods=N))
    path = tmp_path / "timed.csv"
    TABLE.assign(day=days.map(write) if callable(write) else days.dt.strftime(write)).to_csv(path, index=False)
    found = importing.read(path, label="bad", time="day")
    assert found.frame["day"].tolist() == days.tolist()


def test_a_few_rows_without_a_moment_are_left_out(tmp_path):
    path = tmp_path / "timed.csv"
    days = pd.Series(pd.date_range("2023-03-01", periods=N).strftime("%Y-%m-%d")).mask(TABLE["acct"] < 9)
    TABLE.assign(day=days).to_csv(path, index=False)
    found = importing.read(path, label="bad", time="day")
    assert len(found.frame) == N - 9
    assert found.notes[-1] == "day runs from 2023-03-10 00:00:00 to 2025-05-08 00:00:00"


def test_an_event_that_nearly_never_happened_is_refused(tmp_path):
    path = tmp_path / "rare.csv"
    TABLE.assign(bad=np.where(TABLE["acct"] < 9, "yes", "no")).to_csv(path, index=False)
    with pytest.raises(Invalid, match="Only 9 rows of .* have one of the two outcomes.*at least 10 rows of each"):
        importing.read(path, label="bad")


@pytest.mark.parametrize(
    ("usual", "adverse"),
    [
        ("no", "yes"),
        ("Not fraud", "Fraud"),
        ("-1", "1"),
        ("1", "2"),
        ("0.0", "1.0"),
        ("TRUE", "FALSE"),
        ("paid", "Charged off"),
        ("<=50K", ">50K"),
    ],
)
def test_the_adverse_event_is_the_larger_number_or_told_by_name_or_rare(tmp_path, usual, adverse):
    path = tmp_path / "labelled.csv"
    words = np.where(TABLE["acct"] % 10 == 0, adverse, usual)
    if usual == "TRUE":  # names go before frequency
        usual, adverse = adverse, usual
    TABLE.assign(bad=np.where(TABLE["acct"] < 5, " ", words)).to_csv(path, index=False)
    found = importing.read(path, label="bad")
    assert found.frame["bad"].tolist() == [int(word == adverse) for word in words[5:]]
    assert found.notes[0] == "5 rows without a label were left out"


def test_a_protected_attribute_is_compared_in_a_few_groups_whatever_it_holds(tmp_path):
    path = tmp_path / "groups.csv"
    given = TABLE.assign(
        age=CHANCE.integers(18, 90, N),
        born=pd.date_range("1950-01-01", periods=N, freq="W"),
        children=np.where(TABLE["acct"] % 9 == 0, TABLE["acct"], 0),
        essay=np.where(TABLE["acct"] % 2 == 0, "x" * 150, None),
    )
    given.to_csv(path, index=False)
    protected = ["age", "born", "children", "essay"]
    found = importing.read(path, label="bad", protected=protected)
    groups = {name: sorted(found.frame[name].unique()) for name in protected}
    assert [len(groups[name]) for name in protected] == [4, 4, 2, 2]
    assert groups["essay"] == ["unknown", "x" * 100]


def test_a_column_may_have_any_name(tmp_path):
    path = tmp_path / "names.csv"
    names = ["self", "score", "label", "a/b. c~d", "имя", "x" * 300]
    chance = {name: CHANCE.normal(size=N) for name in names}
    TABLE[["bad", "sex"]].assign(**{"the sex": TABLE["sex"]}).join(pd.DataFrame(chance)).to_csv(path, index=False)
    found = importing.read(path, label="bad", protected=["sex", "the sex"])
    assert found.schema.names == names
    made = training.train(found.frame, found.schema, label="bad", keep=found.protected)
    assert made.golden["score"].tolist() == made.holdout["score"].tolist()
    assert made.golden[SCORE].between(0, 1).all()
    assert_scored_alike(made)


def test_what_says_nothing_is_no_feature(tmp_path):
    path = tmp_path / "dull.csv"
    TABLE.assign(empty=None, same=7, prose=[f"text {n}" for n in range(N)]).to_csv(path, index=False)
    found = importing.read(path, label="bad")
    assert found.schema.names == ["acct", "amount", "city", "sex"]
    assert "too many different words): empty, same, prose" in found.notes[-1]
    with pytest.raises(Invalid, match="no column that could be a feature"):
        importing.read(path, label="bad", identifier="acct", protected=["amount", "city", "sex"])


def test_the_walk_can_ask_for_any_row_before_and_after_the_drift(tmp_path, monkeypatch):
    path = tmp_path / "My File (2).parquet"
    odd = TABLE.assign(
        largest=2**53 - TABLE["acct"],
        endless=np.where(TABLE["acct"] % 2 == 0, 1e300, -1e300),
        seldom=pd.array([n if n < 2 else None for n in range(N)], dtype="Int64"),
        until=[date(9999, 12, 31) if n % 2 else date(2020, 1, 1) for n in range(N)],
        day=pd.date_range("2023-03-01", periods=N),
    ).rename(columns={"sex": "the, sex"})
    odd.to_parquet(path)
    for name, value in {"DATA": path, "LABEL": "bad", "ID": "acct", "PROTECTED": 'city, "the, sex"'}.items():
        monkeypatch.setenv(name, str(value))
    story = data.tell()
    assert story.model == "my-file-2"
    assert story.protected == ("city", "the, sex")
    for rows in (story.before, story.after):
        bodies = [json.dumps(story.request(row), allow_nan=False) for row in rows.head(300).to_dict("records")]
        assert len(story.trained.schema.matrix([json.loads(body)["features"] for body in bodies])) == 300


def test_whoever_knows_better_says_which_value_is_adverse(messy):
    found = read(messy, label="visits", adverse="3")
    assert 0 < found.frame["visits"].mean() < 0.5
    usual, other = (read(messy, adverse=value).frame["outcome"] for value in (None, "good"))
    assert (usual + other == 1).all()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"label": "nothing"}, "has no column nothing. Its columns are: id, amount"),
        ({"label": "country", "protected": ["sex"]}, "has no column sex"),
        ({"label": "visits"}, r"9 different values \(.*…\); it must have two"),
        ({"label": "constant", "protected": []}, r"1 different values \(x\); it must have two"),
        ({"adverse": "perhaps"}, "never says 'perhaps'; it says"),
        ({"protected": ["age", "outcome"]}, "outcome: a column is label, time, identifier or protected"),
        ({"time": "country"}, "not moments. Name another, or none"),
        ({"time": "endless"}, "holds 799 values that are not moments"),
    ],
)
def test_a_wrong_choice_of_columns_is_named(messy, change, reason):
    with pytest.raises(Invalid, match=reason):
        read(messy, **change)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", b"", "cannot be read as CSV or Parquet"),
        ("a.parquet", b"PAR1", "cannot be read as CSV or Parquet"),
        ("a.csv", b"one\n1\n", "holds no table"),
        ("a.csv", b"outcome,id,age\n", "holds no table"),
        ("a.xlsx", b"PK\3\4\0\1\2", "neither text nor Parquet"),
        ("a.csv.gz", b"\x1f\x8b\0\0", "cannot be read"),
        ("a.csv.zip", b"PK", "cannot be read"),
        ("a.csv", b"outcome,id,age\n1,2,3,4,5\n", "more values than its first line has names"),
        ("a.csv", b"outcome,id,age\n1,2,3\n1,2,3,4,5\n", "Expected 3 fields in line 3, saw 5"),
        ("a.csv", b"outcome, id,id ,age\n1,2,3,4\n", "more than one column named id"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, name, content, reason):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(Invalid, match=reason):
        read(path)
    with pytest.raises(Invalid, match="There is no file"):
        read(tmp_path / "absent.csv")


@pytest.mark.parametrize("cell", [[1, 2], {"a": 1}])
def test_a_nested_column_is_refused_by_name(tmp_path, cell):
    path = tmp_path / "nested.parquet"
    TABLE.assign(tags=[cell] * N).to_parquet(path)
    with pytest.raises(Invalid, match="Each cell of tags holds several values. Write one value per cell"):
        importing.read(path, label="bad")
