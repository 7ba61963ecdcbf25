"""Strings and numbers of a JSON schema as grammars, within its patterns, formats and bounds."""

from __future__ import annotations

from decimal import Decimal

from workers.llm import characters, number_grammar, regex_grammar
from workers.llm.grammar_error import BadGrammar
from workers.llm.json_bounds import NumberBounds, Schema, counts, shown

MAX_VALUES = 20_000  # of an enum, or multiples within a range
LENGTHS = ("minLength", "maxLength")
PLAIN = characters.class_text(characters.JSON_PLAIN)
_DAY = r"(0[1-9]|1[0-9]|2[0-8])"
_DATE = rf"[0-9]{{4}}-(0[1-9]|1[0-2])-{_DAY}"
_HOUR = r"([01][0-9]|2[0-3])"
_TIME = rf"{_HOUR}:[0-5][0-9]:[0-5][0-9](\.[0-9]{{1,6}})?(Z|[+\-]{_HOUR}:[0-5][0-9])"
_BYTE = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_HOST = r"[a-z0-9]([a-z0-9\-]{0,30}[a-z0-9])?(\.[a-z0-9]([a-z0-9\-]{0,30}[a-z0-9])?){0,4}"
_FORMATS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}T{_TIME}",
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "ipv4": rf"{_BYTE}(\.{_BYTE}){{3}}",
    "hostname": _HOST,
    "email": rf"[A-Za-z0-9_.+\-]{{1,64}}@{_HOST}",
    "uri": rf"https?://{_HOST}(/[A-Za-z0-9_.~\-]{{0,64}}){{0,8}}",
}


def string(schema: Schema, field: str) -> str:
    """Return the grammar of strings of a length, pattern or format. Raises BadGrammar."""
    least, most = counts(schema, *LENGTHS, field)
    pattern, form = schema.get("pattern"), schema.get("format")
    if form is not None:
        if pattern is not None or form not in _FORMATS:
            raise BadGrammar(
                f"{field}.format: expected one of {', '.join(_FORMATS)} without a pattern, got "
                f"{shown(form)}; leave it out"
            )
        pattern = _FORMATS[form]
    if pattern is not None:
        if not isinstance(pattern, str):
            raise BadGrammar(f"{field}.pattern: expected a string, got {shown(pattern)}")
        name = f"{field}.pattern"
        tree = regex_grammar.parse(pattern, field=name)
        tree = regex_grammar.within(tree, least, most, field=name)
        inside = regex_grammar.grammar_text(tree, json=True, field=name)
    elif not least and most is None:
        return "string"
    else:
        inside = f"{PLAIN}{{{least},{'' if most is None else most}}}"
        inside = '""' if most == 0 else inside
    return f'"\\"" {inside} "\\""'


def number(schema: Schema, field: str, *, whole: bool) -> str:
    """Return the grammar of numbers, or of integers, within bounds. Raises BadGrammar."""
    bounds = NumberBounds.of(schema, field)
    if bounds.step is not None:
        return _multiples(bounds.step, bounds, field, whole=whole)
    if not whole:
        return number_grammar.number(
            bounds.low,
            bounds.high,
            open_low=bounds.open_low,
            open_high=bounds.open_high,
            field=field,
        )
    limit = number_grammar.MAX_INTEGER
    first, last = bounds.first(), bounds.last()
    return number_grammar.integer(
        -limit if first is None else max(-limit, first),
        limit if last is None else min(limit, last),
        field=field,
    )


def _multiples(step: Decimal, bounds: NumberBounds, field: str, *, whole: bool) -> str:
    """Return the multiples within bounds, written out; of too many, those nearest to the lower."""
    if step <= 0 or (whole and step != int(step)):
        raise BadGrammar(
            f"{field}.multipleOf: expected a positive {'integer' if whole else 'number'}, "
            f"got {step}; correct it"
        )
    least, most = bounds.first(step), bounds.last(step)
    first = 0 if least is None else least
    last = first + MAX_VALUES - 1
    if most is not None:
        last = min(last, most)
        if least is None:
            first = min(first, last)
    texts = [f"{(step * i).normalize():f}" for i in range(first, last + 1)]
    if not texts:
        raise BadGrammar(
            f"{field}.multipleOf: expected a multiple of {step} within the bounds, got none; "
            "widen them"
        )
    return "(" + " | ".join(f'"{text}"' for text in texts) + ")"
