"""Files to frames of cells: lines, encodings, separators and formats, and nothing about meaning.

Every frame carries `_line`: the physical line (CSV, JSONL) or the row number (Parquet), counted
from 1. CSV and JSONL cells stay text, so that a bad cell is one row's fault and not the file's.
Big files come in several frames; no loop here runs once per row, except over the few lines that
are not UTF-8 and the few records that span lines.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import duckdb
import polars as pl

LINE = "_line"
SEPARATORS = (",", ";", "\t", "|")
CHUNK_BYTES = 16 * 1024 * 1024
PARQUET_ROWS = 250_000
# A quoted cell longer than this many lines is a stray quote, not a cell.
MAX_CELL_LINES = 1_000

LINE_REJECTS: dict[str, pl.DataType] = {
    LINE: pl.Int64(),
    "rule": pl.String(),
    "column": pl.String(),
    "value": pl.String(),
    "message": pl.String(),
}
_NOT_BLANK = pl.col("text").str.contains(r"\S")
DECODED_FLAG = "decoded_windows_1252"
_MESSAGES = {
    DECODED_FLAG: "lines that were not UTF-8 were read as Windows-1252; save the file as UTF-8"
}


class FileRefused(Exception):  # noqa: N818 - a verdict on a file, not a failure of the program
    """The file as a whole cannot be used. `mend` says what to do about it."""

    def __init__(self, message: str, mend: str) -> None:
        self.message = message
        self.mend = mend
        super().__init__(f"{message} — {mend}")


@dataclass
class RawBatch:
    """Some rows of a file as they stand: cells, lines that are no rows, and what was noticed.

    `frame` holds `_line` and the wanted columns that are there; `columns` names all that are
    there. `flags` counts rows by flag, `messages` says what a flag means.
    """

    frame: pl.DataFrame
    columns: tuple[str, ...]
    line_rejects: list[pl.DataFrame] = field(default_factory=list)
    flags: dict[str, int] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)


def read_batches(
    con: duckdb.DuckDBPyConnection, path: Path, file_format: str, wanted: Collection[str]
) -> Iterator[RawBatch]:
    """The file's rows in order; at least one batch, which may hold no rows.

    `file_format` is csv, jsonl or parquet; `wanted` are the columns the caller can use, so that
    big files are not read for nothing. Column names are taken stripped and in lower case.

    Raises:
        FileRefused: the file is unreadable, empty, or not what its name says.
    """
    match file_format:
        case "csv":
            return _read_csv(path, wanted)
        case "jsonl":
            return _read_jsonl(con, path, wanted)
        case "parquet":
            return _read_parquet(path, wanted)
        case _:
            raise ValueError(f"no reader for {file_format!r}")


def _plain_names(names: Collection[str]) -> tuple[str, ...]:
    plain = tuple(name.strip().lower() for name in names)
    twice = sorted({name for name in plain if name and plain.count(name) > 1})
    if twice:
        raise FileRefused(
            f"the column {', '.join(twice)} stands in it twice", "rename or drop one of them"
        )
    return plain


def _rejects(rule: str, lines: list[int], messages: list[str], values: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            LINE: lines,
            "rule": [rule] * len(lines),
            "column": [None] * len(lines),
            "value": values,
            "message": messages,
        },
        schema=LINE_REJECTS,
    )


# -- bytes to lines -------------------------------------------------------------------------------


def _open(path: Path, file_format: str) -> BinaryIO:
    """The file's bytes, unpacked; a name that says something else than the bytes is refused."""
    try:
        with path.open("rb") as handle:
            head = handle.read(4)
    except OSError as error:
        raise FileRefused(f"cannot be opened ({error.strerror})", "check its rights") from error
    if not head:
        raise FileRefused("is empty, without even a header", "deliver it again")
    if head == b"PAR1":
        raise FileRefused("is a Parquet file by its content", "name it .parquet")
    is_packed = head[:2] == b"\x1f\x8b"
    if is_packed != (path.suffix == ".gz"):
        raise FileRefused(
            "is gzip by its content" if is_packed else "is not gzip, although its name says so",
            f"name it .{file_format}.gz" if is_packed else f"name it .{file_format}, or pack it",
        )
    return gzip.open(path) if is_packed else path.open("rb")  # type: ignore[return-value]


def _chunks(path: Path, file_format: str) -> Iterator[tuple[bytes, bool]]:
    """The file's bytes in large pieces, without byte order mark; true marks the last piece."""
    try:
        with _open(path, file_format) as handle:
            chunk = handle.read(CHUNK_BYTES)
            if chunk[:2] in (b"\xff\xfe", b"\xfe\xff"):
                yield (chunk + handle.read()).decode("utf-16").encode(), True
                return
            chunk = chunk.removeprefix(b"\xef\xbb\xbf")
            is_old_mac = b"\n" not in chunk and b"\r" in chunk
            while True:
                if is_old_mac:
                    chunk = chunk.replace(b"\r", b"\n")
                following = handle.read(CHUNK_BYTES)
                yield chunk, not following
                if not following:
                    return
                chunk = following
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise FileRefused(f"cannot be read to its end ({error})", "deliver it again") from error


def _decode_line(line: bytes, separator: bytes) -> str | None:
    """A line whose cells may each be UTF-8 or Windows-1252; None when a cell is neither."""
    cells = []
    for cell in line.split(separator):
        for encoding in ("utf-8", "cp1252"):
            try:
                cells.append(cell.decode(encoding))
                break
            except UnicodeDecodeError:
                continue
        else:
            return None
    return separator.decode().join(cells)


@dataclass
class _Lines:
    """Lines of one piece as (`_line`, `text`), the lines that are no text, and a count."""

    frame: pl.DataFrame
    rejects: pl.DataFrame
    flags: dict[str, int] = field(default_factory=dict)


def _decode(data: bytes, first_line: int, separator: bytes) -> _Lines:
    """Whole lines as text; lines that cannot be text are rejected and come as blank ones."""
    decoded_count = 0
    lines: list[int] = []
    messages: list[str] = []
    try:
        texts = pl.Series("text", [data.decode("utf-8")]).str.split("\n").explode()
    except UnicodeDecodeError:
        decoded: list[str] = []
        for offset, line in enumerate(data.split(b"\n")):
            try:
                text: str | None = line.decode("utf-8")
            except UnicodeDecodeError:
                text = _decode_line(line, separator)
                if text is None:
                    lines.append(first_line + offset)
                    messages.append("the line is neither UTF-8 nor Windows-1252; save it as UTF-8")
                else:
                    decoded_count += 1
            decoded.append(text or "")
        texts = pl.Series("text", decoded, dtype=pl.String)
    frame = (
        texts.str.strip_suffix("\r")
        .to_frame()
        .with_row_index(LINE, offset=first_line)
        .with_columns(pl.col(LINE).cast(pl.Int64))
    )
    if b"\0" in data:
        has_nul = pl.col("text").str.contains("\0", literal=True)
        with_nul = frame.filter(has_nul)[LINE].to_list()
        lines += with_nul
        messages += ["the line holds a NUL byte; write the file anew as text"] * len(with_nul)
        frame = frame.with_columns(text=pl.when(~has_nul).then("text").otherwise(pl.lit("")))
    rejects = _rejects("bad_encoding", lines, messages, [""] * len(lines))
    return _Lines(frame, rejects, {DECODED_FLAG: decoded_count} if decoded_count else {})


# -- CSV ------------------------------------------------------------------------------------------


def _read_csv(path: Path, wanted: Collection[str]) -> Iterator[RawBatch]:
    header: tuple[str, ...] | None = None
    separator = ","
    carry, line_number = b"", 1
    for chunk, is_last in _chunks(path, "csv"):
        data = carry + chunk
        if not is_last:
            data, newline, carry = data.rpartition(b"\n")
            if not newline:
                continue
        if header is None:
            separator = _separator(data)
        lines = _decode(data, line_number, separator.encode())
        line_number += data.count(b"\n") + 1
        records, stray, tail = _join_records(lines.frame, separator, is_last)
        records = records.filter(_NOT_BLANK)
        if tail is not None:
            # A record is still open at the end of this piece: it begins the next one.
            open_line, open_text = tail
            carry = open_text.encode() + b"\n" + carry
            line_number = open_line
        if header is None:
            if records.height == 0:
                continue
            header = _plain_names(_parse_line(records["text"][0], separator))
            records = records.slice(1)
        frame, ragged = _split(records, header, separator, wanted)
        rejects = [part for part in (lines.rejects, stray, *ragged) if part.height]
        yield RawBatch(
            frame, tuple(name for name in header if name), rejects, lines.flags, _MESSAGES
        )
    if header is None:
        raise FileRefused("holds no header line", "deliver it again")


def _separator(data: bytes) -> str:
    """The separator that the header uses most; a comma when it uses none."""
    header = data.lstrip(b"\r\n").partition(b"\n")[0].decode("utf-8", errors="replace")
    return max(SEPARATORS, key=header.count)


def _cell_pattern(separator: str) -> str:
    mark = re.escape(separator)
    return f'(?:^|{mark})(?:"(?:[^"]|"")*"|[^{mark}]*)'


def _open_pattern(separator: str) -> str:
    """Matches a text whose last cell opens a quote and does not close it."""
    mark = re.escape(separator)
    return f'^(?:(?:"(?:[^"]|"")*"|(?:[^"{mark}][^{mark}]*)?){mark})*"(?:[^"]|"")*$'


def _parse_line(text: str, separator: str) -> list[str]:
    cells = [cell.group() for cell in re.finditer(_cell_pattern(separator), text)]
    return [_plain_cell(cell.removeprefix(separator)) for cell in cells]


def _plain_cell(cell: str) -> str:
    if len(cell) >= 2 and cell[0] == cell[-1] == '"':
        return cell[1:-1].replace('""', '"')
    return cell


def _join_records(
    lines: pl.DataFrame, separator: str, is_last: bool
) -> tuple[pl.DataFrame, pl.DataFrame, tuple[int, str] | None]:
    """Lines to records: a quoted cell may span lines.

    Returns the records, the lines whose quote is never closed, and (line, text) of a record that
    is still open when more of the file follows.
    """
    nothing = _rejects("bad_quotes", [], [], [])
    opening = lines.with_row_index("_position").filter(
        pl.col("text").str.contains('"', literal=True)
        & pl.col("text").str.contains(_open_pattern(separator))
    )
    if opening.height == 0:
        return lines, nothing, None
    is_open = re.compile(_open_pattern(separator), re.DOTALL)
    # The first lone quote after the opening must end the cell, or the opening was a stray quote.
    stays_inside = re.compile('^(?:[^"]|"")*$')
    closes = re.compile(f'^(?:[^"]|"")*"(?:{re.escape(separator)}|$)')
    texts, numbers = lines["text"], lines[LINE]
    joined: list[tuple[int, str]] = []
    taken: list[int] = []
    stray: list[int] = []
    tail: tuple[int, str] | None = None
    next_free = 0
    for position in opening["_position"]:
        if position < next_free:
            continue
        text = texts[position]
        end = position
        is_closed = False
        while end + 1 < lines.height and end - position < MAX_CELL_LINES:
            end += 1
            following = texts[end]
            text += "\n" + following
            if stays_inside.match(following):
                continue
            if not closes.match(following):
                break
            if not is_open.match(text):
                is_closed = True
                break
        if is_closed:
            joined.append((numbers[position], text))
            taken += range(position, end + 1)
            next_free = end + 1
        elif not is_last and end + 1 == lines.height and end - position < MAX_CELL_LINES:
            tail = (numbers[position], text)
            taken += range(position, lines.height)
            break
        else:
            stray.append(position)
    taken += stray
    keep = pl.Series(range(lines.height), dtype=pl.UInt32).is_in(taken).not_()
    whole = pl.DataFrame(joined, schema=lines.schema, orient="row")
    records = pl.concat([lines.filter(keep), whole]).sort(LINE)
    rejects = _rejects(
        "bad_quotes",
        [numbers[position] for position in stray],
        ["a quote is opened and not closed; close it, or double it inside a cell"] * len(stray),
        [texts[position] for position in stray],
    )
    return records, rejects, tail


def _split(
    records: pl.DataFrame, header: tuple[str, ...], separator: str, wanted: Collection[str]
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Records to cells; records with too few or too many cells are rejected."""
    width = len(header)
    names = [name if name else f"_unnamed_{index}" for index, name in enumerate(header)]
    kept = [name for name in names if name in wanted]
    is_quoted = pl.col("text").str.contains('"', literal=True)
    plain = records.filter(~is_quoted).with_columns(
        _width=pl.col("text").str.count_matches(separator, literal=True) + 1
    )
    parts = [
        plain.filter(pl.col("_width") == width)
        .select(LINE, pl.col("text").str.split_exact(separator, width - 1))
        .select(LINE, pl.col("text").struct.rename_fields(names))
        .unnest("text")
        .select(LINE, *kept)
    ]
    ragged = [plain.filter(pl.col("_width") != width)]
    rejects: list[pl.DataFrame] = []
    if plain.height < records.height:
        cells = pl.col("_cells")
        quoted = records.filter(is_quoted).with_columns(
            _cells=pl.col("text").str.extract_all("(?s)" + _cell_pattern(separator))
        )
        is_whole = cells.list.join("") == pl.col("text")
        broken = quoted.filter(~is_whole)
        rejects.append(
            _rejects(
                "bad_quotes",
                broken[LINE].to_list(),
                ["text follows a closing quote; double quotes inside a cell"] * broken.height,
                broken["text"].to_list(),
            )
        )
        quoted = quoted.filter(is_whole).with_columns(_width=cells.list.len())
        ragged.append(quoted.filter(pl.col("_width") != width).drop("_cells"))
        element = pl.element().str.strip_prefix(separator)
        parts.append(
            quoted.filter(pl.col("_width") == width)
            .with_columns(
                _cells=cells.list.eval(
                    pl.when(element.str.contains(r'(?s)^".*"$'))
                    .then(
                        element.str.slice(1, element.str.len_chars() - 2).str.replace_all(
                            '""', '"', literal=True
                        )
                    )
                    .otherwise(element)
                )
            )
            .select(LINE, *(cells.list.get(index).alias(name) for index, name in enumerate(names)))
            .select(LINE, *kept)
        )
    for part in ragged:
        rejects.append(
            _rejects(
                "ragged_line",
                part[LINE].to_list(),
                [f"the line has {found} cells, the header {width}" for found in part["_width"]],
                part["text"].to_list(),
            )
        )
    return pl.concat(parts).sort(LINE), rejects


# -- JSON Lines -----------------------------------------------------------------------------------


def _read_jsonl(
    con: duckdb.DuckDBPyConnection, path: Path, wanted: Collection[str]
) -> Iterator[RawBatch]:
    carry, line_number, is_first = b"", 1, True
    for chunk, is_last in _chunks(path, "jsonl"):
        data = carry + chunk
        if not is_last:
            data, newline, carry = data.rpartition(b"\n")
            if not newline:
                continue
        if is_first and data.lstrip()[:1] not in (b"{", b""):
            raise FileRefused("is not JSON Lines", "write one {…} object per line")
        lines = _decode(data, line_number, b",")
        line_number += data.count(b"\n") + 1
        is_first = False
        frame, columns, broken = _parse_json(con, lines.frame.filter(_NOT_BLANK), wanted)
        rejects = [part for part in (lines.rejects, broken) if part.height]
        yield RawBatch(frame, columns, rejects, lines.flags, _MESSAGES)


def _parse_json(
    con: duckdb.DuckDBPyConnection, lines: pl.DataFrame, wanted: Collection[str]
) -> tuple[pl.DataFrame, tuple[str, ...], pl.DataFrame]:
    """Objects to cells of text, by the engine's own JSON reader."""
    # Frames are found by their Python names; see `insert_frame` for why they are not registered.
    judged = con.sql(
        f"select {LINE}, text, json_valid(text) and "
        "coalesce(json_type(case when json_valid(text) then text end) = 'OBJECT', false) as ok "
        "from lines"
    ).pl()
    broken = judged.filter(~pl.col("ok")).sort(LINE)
    objects = judged.filter("ok").select(LINE, "text")
    keys = [
        row[0]
        for row in con.execute(
            "select distinct unnest(json_keys(text)) as key from objects order by key"
        ).fetchall()
    ]
    plain = _plain_names(keys)
    pairs = [(key, name) for key, name in zip(keys, plain, strict=True) if name in wanted]
    frame = objects.select(LINE).sort(LINE)
    if pairs:
        cells = ", ".join(f"_cells[{index + 1}]" for index in range(len(pairs)))
        frame = con.sql(
            f"select {LINE}, {cells} from (select {LINE}, "
            f"json_extract_string(text, $paths) as _cells from objects) order by {LINE}",
            params={"paths": [_json_pointer(key) for key, _ in pairs]},
        ).pl()
        frame.columns = [LINE, *(name for _, name in pairs)]
    rejects = _rejects(
        "bad_json",
        broken[LINE].to_list(),
        ["the line is not a JSON object; write one {…} object per line"] * broken.height,
        broken["text"].to_list(),
    )
    return frame, plain, rejects


def _json_pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")


# -- Parquet --------------------------------------------------------------------------------------


def _read_parquet(path: Path, wanted: Collection[str]) -> Iterator[RawBatch]:
    try:
        if path.stat().st_size == 0:
            raise FileRefused("is empty", "deliver it again")
        schema = pl.read_parquet_schema(path)
        height = int(pl.scan_parquet(path).select(pl.len()).collect().item())
    except (OSError, pl.exceptions.PolarsError) as error:
        raise FileRefused(
            f"cannot be read as Parquet ({_first_line(error)})", "deliver it again"
        ) from error
    plain = _plain_names(list(schema))
    names = {name: key for key, name in zip(schema, plain, strict=True) if name in wanted}
    nested = sorted(name for name, key in names.items() if schema[key].is_nested())
    if nested:
        raise FileRefused(
            f"the column {', '.join(nested)} holds lists or structures", "write one plain value"
        )
    for offset in range(0, max(height, 1), PARQUET_ROWS):
        try:
            frame = (
                pl.scan_parquet(path)
                .select(pl.col(key).alias(name) for name, key in names.items())
                .slice(offset, PARQUET_ROWS)
                .collect()
                if names
                else pl.DataFrame()
            )
        except (OSError, pl.exceptions.PolarsError) as error:
            raise FileRefused(
                f"cannot be read to its end ({_first_line(error)})", "deliver it again"
            ) from error
        count = min(PARQUET_ROWS, height - offset)
        lines = pl.int_range(offset + 1, offset + 1 + count, dtype=pl.Int64, eager=True)
        yield RawBatch(pl.DataFrame({LINE: lines}).hstack(frame.get_columns()), plain)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
