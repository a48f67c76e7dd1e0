"""Tables: every column goes where it belongs, and what cannot be read is named."""

import numpy as np
import pytest

from ablate.data import load, split
from ablate.errors import DataError, StudyError
from ablate.study.schema.data import Data

ROWS = 24
NUMBERS = [f"{i},{i / 2},{i % 2},{i % 3 + 1},p{i // 2}" for i in range(ROWS)]


@pytest.fixture
def write(tmp_path):
    def written(text, name="rows.csv", encoding="utf-8"):
        (tmp_path / name).write_bytes(text.encode(encoding))
        return str(tmp_path / name)

    return written


@pytest.fixture
def rows(write):
    return write("\n".join(["a,b,y,w,patient", *NUMBERS]))


def test_columns_go_where_they_belong(rows):
    found = load(Data(table=rows, label="y", weight="w", groups="patient"))
    assert found.train.x.tolist() == [[i, i / 2] for i in range(ROWS)]
    assert found.train.y.tolist() == [i % 2 for i in range(ROWS)]
    assert found.train.weight.tolist() == [i % 3 + 1 for i in range(ROWS)]
    assert found.train.groups.tolist() == [f"p{i // 2}" for i in range(ROWS)]
    assert found.target.classes == 2
    parts = split(found, Data(table=rows, label="y", weight="w", groups="patient"))
    np.testing.assert_array_equal(parts.weight_test, parts.rows_test % 3 + 1)


def test_labels_may_be_numbers_texts_or_several(rows):
    assert load(Data(table=rows, label="b", features=["a"])).target.task == "regression"
    assert load(Data(table=rows, label="patient")).target.classes == 12
    several = load(Data(table=rows, label=["a", "b"], features=["w"]))
    assert several.train.y.shape == (ROWS, 2)
    inputs = load(Data(table=rows, features=["a"], target="inputs"))
    assert inputs.train.y is None


def test_texts_are_an_input_of_their_own(rows):
    found = load(Data(table=rows, label="y", features={"text": "patient", "n": ["a", "b"]}))
    assert found.train.x["text"].tolist() == [[f"p{i // 2}"] for i in range(ROWS)]
    assert found.train.x["n"].shape == (ROWS, 2)
    alone = load(Data(table=rows, label="y", features=["patient"]))
    assert alone.train.x.dtype.kind == "U"


@pytest.mark.parametrize("sign, name", [(";", "a.csv"), ("\t", "a.tsv"), ("|", "a.csv")])
def test_other_signs_quotes_and_a_byte_order_mark(write, sign, name):
    lines = [sign.join(["a", "y"]), *(sign.join([f'"{i}"', str(i % 2)]) for i in range(ROWS))]
    place = write("\r\n".join(lines), name, "utf-8-sig")
    assert load(Data(table=place, label="y")).train.x.tolist() == [[i] for i in range(ROWS)]


def test_a_changed_file_is_read_again(rows, write):
    data = Data(table=rows, label="y", features=["a"])
    load(data)
    write("\n".join(["a,b,y,w,patient", *NUMBERS[:12]]))
    assert load(data).train.rows == 12


@pytest.mark.parametrize(
    "fields, says",
    [
        ({"label": "y"}, r"column 'patient' holds text \('p0', .*StringLookup"),
        ({"label": "z"}, r"data.label: there is no column 'z'.*columns are: a, b, y"),
        ({"label": "y", "features": ["A"]}, "data.features: there is no column 'A'. Did you mean"),
        ({"label": "y", "features": ["y"]}, "named as something else, too"),
        ({"label": "y", "features": []}, "no column is left"),
        ({"label": "y", "weight": "patient", "features": ["a"]}, "'patient' holds text"),
        ({"label": "y", "groups": "who"}, "data.groups: there is no column 'who'"),
    ],
)
def test_columns_that_do_not_fit_are_named(rows, fields, says):
    with pytest.raises(DataError, match=says):
        load(Data(table=rows, **fields))


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "has no rows"),
        ("a,y\n", "has no rows"),
        ("1,2\n3,4", "first line holds numbers"),
        ("a,a,y\n1,2,3", "'a' twice"),
        ("a,,y\n1,2,3", "a column without a name"),
        ("a,y\n1,0\n1,0,7", r"row 1 \(line 3\) has 3 cells"),
        ("a,y\n1,0\n,1\n2,0", "column 'a' has no value in 1 of 3 rows, the first at row 1"),
        ("a,y\nNA,0\n3,1\n2,0", "column 'a' has no value in 1 of 3 rows, the first at row 0"),
        ("a,y\n1,0\n3,\n2,0", "column 'y' has no value in 1 of 3 rows"),
        ('a,y\n"1,0\n3,1', "cannot be read as CSV"),
    ],
)
def test_files_that_are_no_table_are_refused(write, text, says):
    with pytest.raises(DataError, match=says):
        load(Data(table=write(text), label="y"))


def test_other_encodings_and_places_are_named(write, tmp_path):
    with pytest.raises(DataError, match="no text in UTF-8"):
        load(Data(table=write("a,y\né,1\nü,0", encoding="latin-1"), label="y"))
    with pytest.raises(DataError, match="is a folder"):
        load(Data(table=str(tmp_path), label="y"))
    with pytest.raises(DataError, match="is not there"):
        load(Data(table=str(tmp_path / "none.csv"), label="y"))
    with pytest.raises(DataError, match="It comes by 'table'"):
        load(Data(path=write("a,y\n1,0")))
    with pytest.raises(DataError, match="'directory'"):
        load(Data(path=write("II*", "scan.tiff")))


def test_a_table_needs_its_label():
    with pytest.raises((StudyError, ValueError), match="needs 'label'"):
        Data(table="rows.csv")


def test_parquet(tmp_path, rows):
    pyarrow = pytest.importorskip("pyarrow", reason="the extra `tables`")
    from pyarrow import parquet

    columns = {
        "a": list(range(ROWS)), "y": [i % 2 == 0 for i in range(ROWS)], "name": ["é"] * ROWS,
        "gap": [None, *range(ROWS - 1)],
    }  # fmt: skip
    place = str(tmp_path / "rows.parquet")
    parquet.write_table(pyarrow.table(columns), place)
    found = load(Data(table=place, label="y", features={"n": "a", "t": "name"}))
    assert found.train.x["n"].tolist() == [[i] for i in range(ROWS)]
    assert found.train.x["t"][0, 0] == "é" and found.target.classes == 2
    with pytest.raises(DataError, match="column 'gap' has no value in 1 of 24 rows"):
        load(Data(table=place, label="y", features=["gap"]))


def test_parquet_without_its_reader_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"pip install keras-ablate\[tables\]"):
        load(Data(table=str(tmp_path / "rows.parquet"), label="y"))
