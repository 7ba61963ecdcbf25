"""Tables with a header in a goal, read row by row: "| a.lp | 120 s |" under "| file | limit |".

A row becomes a line in which the header's words stand in front of each cell. The tokens keep the
places that they have in the goal, so that every value still points at its own words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from search.domains.plan.reading.stems import vocabulary
from search.domains.plan.reading.tokens import Form, Token

_NAMES = vocabulary(
    "file files model models name names job jobs what unit antenna program source input instance "
    "id no nr tables list lot"
)
_OPEN = vocabulary("none default - – — n/a any auto standard usual")
_AGAIN = frozenset(('"', "''", "ditto", "same", "〃", "idem"))
_LINKED = frozenset(("from", "to"))
_MOST_CELLS = 16


Titles = Callable[[Sequence[Token]], bool]
"""Whether some words are the name of a field."""


def read_by_row(tokens: Sequence[Token], is_title: Titles) -> list[Token]:
    """Return the tokens with each row of a table as a line with the header's words.

    Lines with bars that are no such table are data, as quoted words are: one token each.
    """
    lines = _lines(tokens)
    result: list[Token] = []
    number = 0
    while number < len(lines):
        rows = _rows(lines, number)
        if not _has_header(rows, is_title):
            end = number + max(1, len(rows))
            result += [token for line in lines[number:end] for token in _quoted(line)]
            number = end
            continue
        header, body = rows[0], [row for row in rows[1:] if not _is_rule(row)]
        above: list[list[Token]] = []
        for row in body:
            row = [
                above[k] if above and _says_again(cell) else cell
                for k, cell in enumerate(row)
            ]
            result += _sentence(header, row)
            above = row
        number += len(rows)
    return result


def _lines(tokens: Sequence[Token]) -> list[list[Token]]:
    """Return the lines; each but the last ends in its line break."""
    lines: list[list[Token]] = [[]]
    for token in tokens:
        lines[-1].append(token)
        if token.word == "\n":
            lines.append([])
    return lines


def _cells(line: Sequence[Token]) -> list[list[Token]]:
    """Return the cells of a line between bars; empty for a line that is no row."""
    if not line or line[0].word != "|":
        return []
    cells: list[list[Token]] = [[]]
    for token in line:
        if token.word == "|":
            cells.append([])
        elif token.word != "\n":
            cells[-1].append(token)
    if cells and not cells[0]:
        cells = cells[1:]
    if cells and not cells[-1]:
        cells = cells[:-1]
    return cells


def _quoted(line: Sequence[Token]) -> list[Token]:
    """Return a line that begins with a bar as a quotation, another one as it is."""
    if not line or line[0].word != "|":
        return list(line)
    last = line[-1] if line[-1].word == "\n" else None
    inner = line[:-1] if last is not None else line
    text = " ".join(token.text for token in inner)
    quote = replace(
        line[0],
        form=Form.QUOTE,
        text=text,
        word=text.lower(),
        end=inner[-1].end,
        value=None,
    )
    return [quote, last] if last is not None else [quote]


def _rows(lines: Sequence[Sequence[Token]], start: int) -> list[list[list[Token]]]:
    """Return the cells of the lines from one on that are rows with as many cells."""
    rows: list[list[list[Token]]] = []
    for number in range(start, len(lines)):
        cells = _cells(lines[number])
        if not 2 <= len(cells) <= _MOST_CELLS or (rows and len(cells) != len(rows[0])):
            break
        rows.append(cells)
    return rows


def _has_header(rows: Sequence[Sequence[Sequence[Token]]], is_title: Titles) -> bool:
    """Return whether the first row names fields, but for one of three or more."""
    if len(rows) < 2 or _is_rule(rows[0]):
        return False
    titles = [cell for cell in rows[0] if cell]
    words = all(t.form in (Form.WORD, Form.MARK) for cell in titles for t in cell)
    known = [cell for cell in titles if _is_name(cell) or is_title(cell)]
    named = any(not _is_name(cell) for cell in known)
    others = len(titles) - len(known)
    return words and named and others <= (len(titles) > 2)


def _is_rule(row: Sequence[Sequence[Token]]) -> bool:
    return all(set(token.text) <= set("-:=") for cell in row for token in cell)


def _says_again(cell: Sequence[Token]) -> bool:
    return bool(cell) and " ".join(token.word for token in cell) in _AGAIN


def _sentence(
    header: Sequence[Sequence[Token]], row: Sequence[Sequence[Token]]
) -> list[Token]:
    """Return one row in words: its names first, then "limit 120 s, seed 3"."""
    names = [
        cell for title, cell in zip(header, row, strict=True) if _is_name(title) and cell
    ]
    made = [token for cell in names for token in cell]
    last = None
    for title, cell in zip(header, row, strict=True):
        if not cell or _is_name(title) or all(token.word in _OPEN for token in cell):
            continue
        word = title[-1].word if title else ""
        if made and not (last == "from" and word == "to"):
            made.append(_mark(cell[0], ","))
        if word != "from":
            made += title
        made += cell
        last = word
    if made:
        made.append(_mark(made[-1], "\n"))
    return made


def _is_name(title: Sequence[Token]) -> bool:
    return not title or all(token.word in _NAMES for token in title)


def _mark(near: Token, text: str) -> Token:
    """Return a mark that stands where another token does."""
    return replace(
        near,
        form=Form.MARK,
        text=text,
        word=text,
        value=None,
        end=near.start,
        start=near.start,
    )
