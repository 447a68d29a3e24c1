from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dagster_project.ingestion import reading
from dagster_project.ingestion.reading import LINE, FileRefused, read_batches

CON = duckdb.connect()
WANTED = {"a", "b"}


def _read(path: Path, kind: str = "csv") -> tuple[pl.DataFrame, pl.DataFrame, dict[str, int]]:
    batches = list(read_batches(CON, path, kind, WANTED))
    frame = pl.concat([batch.frame for batch in batches], how="diagonal")
    rejects = [part for batch in batches for part in batch.line_rejects]
    flags: dict[str, int] = {}
    for batch in batches:
        for name, count in batch.flags.items():
            flags[name] = flags.get(name, 0) + count
    empty = pl.DataFrame(schema=reading.LINE_REJECTS)
    return frame, pl.concat(rejects).sort(LINE) if rejects else empty, flags


def _csv(tmp_path: Path, data: bytes, name: str = "x.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def test_lines_are_physical_lines_whatever_stands_between(tmp_path: Path) -> None:
    data = b'\xef\xbb\xbf A ,B\r\n1,x\r\n\r\n2,"two\r\n\r\nlines"\r\n3,"say ""hi"", twice"\r\n'
    frame, rejects, _ = _read(_csv(tmp_path, data))
    assert frame.rows() == [
        (2, "1", "x"),
        (4, "2", "two\n\nlines"),
        (7, "3", 'say "hi", twice'),
    ]
    assert rejects.height == 0


def test_a_stray_quote_costs_its_own_line_only(tmp_path: Path) -> None:
    frame, rejects, _ = _read(_csv(tmp_path, b'a,b\n1,"oops\n2,fine\n3,"x"y\n4,5" disk\n5,"ok"\n'))
    assert frame.rows() == [(3, "2", "fine"), (5, "4", '5" disk'), (6, "5", "ok")]
    assert rejects.select(LINE, "rule").rows() == [(2, "bad_quotes"), (4, "bad_quotes")]


def test_lines_with_too_few_or_too_many_cells_are_rejected(tmp_path: Path) -> None:
    frame, rejects, _ = _read(_csv(tmp_path, b'a,b\n1\n2,x\n3,x,y\n4,"p,q",r\n'))
    assert frame.rows() == [(3, "2", "x")]
    assert rejects.select(LINE, "rule", "message").rows() == [
        (2, "ragged_line", "the line has 1 cells, the header 2"),
        (4, "ragged_line", "the line has 3 cells, the header 2"),
        (5, "ragged_line", "the line has 3 cells, the header 2"),
    ]


def test_encodings_may_differ_from_line_to_line(tmp_path: Path) -> None:
    data = "a,b\n1,é\n".encode() + b"2,caf\xe9\n3,bad\x81\n4,nul\x00\n5,z\n"
    frame, rejects, flags = _read(_csv(tmp_path, data))
    assert frame.rows() == [(2, "1", "é"), (3, "2", "café"), (6, "5", "z")]
    assert rejects.select(LINE, "rule").rows() == [(4, "bad_encoding"), (5, "bad_encoding")]
    assert flags == {"decoded_windows_1252": 1}


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_the_header_shows_the_separator(tmp_path: Path, separator: str) -> None:
    text = "a,b\n1,x\n".replace(",", separator)
    assert _read(_csv(tmp_path, text.encode()))[0].rows() == [(2, "1", "x")]


def test_utf_16_and_old_line_ends_are_read(tmp_path: Path) -> None:
    expected = [(2, "1", "é")]
    assert _read(_csv(tmp_path, "a,b\r\n1,é\r\n".encode("utf-16")))[0].rows() == expected
    assert _read(_csv(tmp_path, "a,b\r1,é\r".encode()))[0].rows() == expected


def test_packed_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,x\n", mtime=0))
    assert _read(path)[0].rows() == [(2, "1", "x")]


@pytest.mark.parametrize(
    ("name", "data", "why", "mend"),
    [
        ("x.csv", b"", "is empty", "deliver"),
        ("x.csv", b"\n\n", "no header", "deliver"),
        ("x.csv", b"a,a\n1,2\n", "stands in it twice", "rename"),
        ("x.csv", gzip.compress(b"a,b\n", mtime=0), "is gzip", ".csv.gz"),
        ("x.csv.gz", b"a,b\n1,2\n", "is not gzip", ".csv"),
        ("x.csv.gz", gzip.compress(b"a,b\n" + bytes(range(99)) * 99)[:-9], "to its end", "deliver"),
        ("x.csv", b"PAR1xxxx", "is a Parquet file", ".parquet"),
        ("x.jsonl", b'[{"a": 1}]\n', "is not JSON Lines", "per line"),
        ("x.jsonl", b"", "is empty", "deliver"),
        ("x.parquet", b"a,b\n1,2\n", "cannot be read as Parquet", "deliver"),
        ("x.parquet", b"", "is empty", "deliver"),
    ],
)
def test_an_unusable_file_is_refused_with_the_mend(
    tmp_path: Path, name: str, data: bytes, why: str, mend: str
) -> None:
    path = _csv(tmp_path, data, name)
    kind = name.split(".")[1]
    with pytest.raises(FileRefused) as refused:
        _read(path, kind)
    assert why in refused.value.message
    assert mend in refused.value.mend


def test_json_lines_keep_text_and_reject_what_is_no_object(tmp_path: Path) -> None:
    lines = ['{"A": "1", "b": 2.5}', "", "[1]", '{"a": "x"', '{"b": null, "zz": {"n": 1}}', "7"]
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(lines))
    (batch,) = read_batches(CON, path, "jsonl", WANTED)
    assert batch.frame.select(LINE, "a", "b").rows() == [(1, "1", "2.5"), (5, None, None)]
    assert set(batch.columns) == {"a", "b", "zz"}
    (rejects,) = batch.line_rejects
    assert rejects.select(LINE, "rule").rows() == [
        (3, "bad_json"),
        (4, "bad_json"),
        (6, "bad_json"),
    ]


def test_parquet_rows_count_from_one_over_all_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PARQUET_ROWS", 2)
    path = tmp_path / "x.parquet"
    pl.DataFrame({"B": ["p", "q", "r"], "A": [1, 2, 3], "c": [0, 0, 0]}).write_parquet(path)
    batches = list(read_batches(CON, path, "parquet", WANTED))
    assert [batch.frame.select(LINE, "a", "b").rows() for batch in batches] == [
        [(1, 1, "p"), (2, 2, "q")],
        [(3, 3, "r")],
    ]
    assert batches[0].columns == ("b", "a", "c")


def test_an_empty_parquet_file_still_names_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pl.DataFrame(schema={"a": pl.String}).write_parquet(path)
    (batch,) = read_batches(CON, path, "parquet", WANTED)
    assert batch.frame.height == 0
    assert batch.columns == ("a",)


def test_lists_in_parquet_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pl.DataFrame({"a": [[1], [2]]}).write_parquet(path)
    with pytest.raises(FileRefused, match="lists or structures"):
        _read(path, "parquet")


# A cell of blanks beside nothing would be a blank line; such cells have their own test above.
_CELL = st.text(st.sampled_from('ab,"\n é;'), max_size=6)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(st.text("xy1", min_size=1, max_size=2), _CELL), max_size=8),
    chunk=st.integers(1, 40),
    quote_all=st.booleans(),
)
@example(rows=[("x", 'a"\n\n",b')], chunk=3, quote_all=False)
def test_what_a_csv_writer_wrote_is_read_back(
    tmp_path: Path, rows: list[tuple[str, str]], chunk: int, quote_all: bool
) -> None:
    """Cells and physical lines come back, whatever they hold and however the bytes are cut."""
    text = io.StringIO()
    writer = csv.writer(
        text, lineterminator="\n", quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    )
    writer.writerow(["a", "b"])
    expected = []
    for first, second in rows:
        line = text.getvalue().count("\n") + 1
        writer.writerow([first, second])
        expected.append((line, first, second))
    path = _csv(tmp_path, text.getvalue().encode())
    before = reading.CHUNK_BYTES
    reading.CHUNK_BYTES = chunk
    try:
        frame, rejects, _ = _read(path)
    finally:
        reading.CHUNK_BYTES = before
    assert rejects.rows() == []
    assert frame.rows() == expected


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200), kind=st.sampled_from(["csv", "jsonl"]), head=st.booleans())
def test_no_bytes_make_it_fail(tmp_path: Path, data: bytes, kind: str, head: bool) -> None:
    """Any bytes are rows, rejects or a refusal; every line is accounted for at most once."""
    prefix = (
        b"" if not head else b"a,b\n" if kind == "csv" else json.dumps({"a": 1}).encode() + b"\n"
    )
    path = _csv(tmp_path, prefix + data, f"x.{kind}")
    try:
        frame, rejects, _ = _read(path, kind)
    except FileRefused:
        return
    lines = frame[LINE].to_list() + rejects[LINE].to_list()
    assert len(lines) == len(set(lines))
