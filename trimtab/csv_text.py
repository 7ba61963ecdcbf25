"""CSV as spreadsheets and programs write it: encodings, delimiters, line ends."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator

DELIMITERS = ",;\t"
_MAGIC = (
    (b"PK\x03\x04", "a zip archive, such as an .xlsx workbook; save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an .xls workbook; save the sheet as CSV"),
    (b"PAR1", "a Parquet file; give it a name that ends in .parquet"),
    (b"\x1f\x8b", "gzip; unpack it"),
    (b"BZh", "bzip2; unpack it"),
    (b"\xfd7zXZ\x00", "xz; unpack it"),
)


def decode(content: bytes) -> str:
    """Decode UTF-8, or UTF-16 with its mark. Raises ValueError with what came and the remedy."""
    for magic, got in _MAGIC:
        if content.startswith(magic):
            raise ValueError(f"got {got}")
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"got bytes that are not UTF-8 (byte {error.start}); save it as UTF-8"
        ) from error
    if "\x00" in text:
        raise ValueError("got text with NUL characters")
    return text


def delimiter_of(text: str) -> str:
    """Return the delimiter of the first line: comma, semicolon or tab, the most frequent one."""
    first = next(iter(text.lstrip("\ufeff\r\n").splitlines()), "")
    return max(DELIMITERS, key=first.count)


def lines_of(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of each line that is not blank. Raises ValueError."""
    # newline=None: a lone carriage return ends a line too.
    reader = csv.reader(io.StringIO(text, newline=None), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from error
