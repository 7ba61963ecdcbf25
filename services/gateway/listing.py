"""Filters, order and cursor of a list of jobs, shared by API and pages.

A saved view is the query string of a list; `Listing.of_query` reads it as the page does.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl, urlencode

import orjson
from pydantic import BaseModel, Field

from services.errors import BadRequest
from services.store import searching
from services.store.types import JobFilter, JobOrder, JobRecord, Position
from trimtab.results import JobSort, JobState
from trimtab.specs.common import MODEL_ID_PATTERN

FIELDS = (
    "q",
    "state",
    "kind",
    "label",
    "model",
    "graph",
    "created_after",
    "created_before",
    "sort",
)
MAX_QUERY = 2_000  # characters of a saved view
MAX_SEARCH = 200
_JOB_ID = re.compile(r"^job_[0-9A-Z]{26}\Z")
_MODEL = re.compile(rf"^(auto|shipped|{MODEL_ID_PATTERN})\Z")
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A filter and an order of jobs, as the words of a query string."""

    pairs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of_pairs(cls, pairs: Sequence[tuple[str, str]]) -> Listing:
        """Keep the known fields that are not empty. Raises BadRequest."""
        listing = cls(pairs=tuple((key, text) for key, text in pairs if text))
        listing.filter(None)
        listing.order()
        return listing

    @classmethod
    def of_query(cls, query: str) -> Listing:
        """Read a query string. Raises BadRequest, also for an unknown field."""
        if len(query) > MAX_QUERY:
            raise BadRequest(
                f"query: expected at most {MAX_QUERY} characters, got {len(query)}"
            )
        try:
            pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=100)
        except ValueError as error:
            raise BadRequest(f"query: expected at most 100 fields; {error}") from error
        for key, _ in pairs:
            if key not in FIELDS:
                raise BadRequest(
                    f"query: expected fields {', '.join(FIELDS)}, got {key[:40]!r}"
                )
        return cls.of_pairs(pairs)

    def query(self, **changes: str) -> str:
        """Return the query string, with some fields replaced; "" leaves a field out."""
        pairs = [pair for pair in self.pairs if pair[0] not in changes]
        pairs += [(key, text) for key, text in changes.items() if text]
        return urlencode(pairs)

    def all(self, field: str) -> list[str]:
        """Return the values of a field."""
        return [text for key, text in self.pairs if key == field]

    def one(self, field: str) -> str:
        """Return the last value of a field, or ""."""
        return (self.all(field) or [""])[-1]

    def filter(self, tenant: str | None) -> JobFilter:
        """Return the filter for the store. Raises BadRequest."""
        if any("\x00" in text for _, text in self.pairs):
            raise BadRequest("query: expected text without NUL, got a NUL character")
        model = self.one("model")
        if model and not _MODEL.match(model):
            raise BadRequest(
                f"model: expected auto, shipped or the id of a model, got {model[:60]!r}"
            )
        graph = self.one("graph")
        if graph and not _JOB_ID.match(graph):
            raise BadRequest(f"graph: expected the id of a plan, got {graph[:60]!r}")
        search = self.one("q")
        if len(search) > MAX_SEARCH:
            raise BadRequest(
                f"q: expected at most {MAX_SEARCH} characters, got {len(search)}"
            )
        return JobFilter(
            tenant=tenant,
            states=tuple(
                _parsed("state", text, JobState, JobState) for text in self.all("state")
            ),
            kinds=tuple(self.all("kind")),
            labels=dict(_label(text) for text in self.all("label")),
            graph=graph or None,
            model=model or None,
            words=searching.words(search),
            created_after_us=_time_us("created_after", self.one("created_after")),
            created_before_us=_time_us("created_before", self.one("created_before")),
        )

    def order(self) -> JobOrder:
        """Return the order for the store. Raises BadRequest."""
        text = self.one("sort") or "-created"
        sort = _parsed("sort", text.removeprefix("-"), JobSort, JobSort)
        return JobOrder(sort=sort, descending=text.startswith("-"))


class ListQuery(BaseModel):
    """Query of `GET /v1/jobs`."""

    q: Annotated[
        str,
        Field(
            max_length=MAX_SEARCH,
            description="words that name, id, labels or failure contain, all of them; letter "
            "case makes no difference",
        ),
    ] = ""
    state: Annotated[
        list[JobState] | None, Field(description="repeat for several states")
    ] = None
    kind: Annotated[
        list[str] | None, Field(max_length=20, description="repeat for several kinds")
    ] = None
    label: Annotated[
        list[str] | None,
        Field(max_length=32, description="key:value; repeat to require several"),
    ] = None
    model: Annotated[
        str | None,
        Field(
            max_length=60,
            description="fitted model that the request names: an id, auto or shipped",
        ),
    ] = None
    graph: Annotated[
        str | None,
        Field(max_length=100, description="id of a plan: this plan and its jobs"),
    ] = None
    created_after: Annotated[
        str | None,
        Field(max_length=40, description="earliest time or day of the submit, included"),
    ] = None
    created_before: Annotated[
        str | None,
        Field(
            max_length=40,
            description="latest time of the submit, excluded; a day is included",
        ),
    ] = None
    sort: Annotated[
        str,
        Field(
            max_length=20,
            description=f"one of {', '.join(JobSort)}; with - before it, descending. Jobs without "
            "a value come last",
        ),
    ] = "-created"
    limit: Annotated[int, Field(ge=1, le=500, description="jobs on a page")] = 50
    cursor: Annotated[
        str | None,
        Field(max_length=2_000, description="`next_cursor` of the previous page"),
    ] = None

    def listing(self) -> Listing:
        """Return filter and order. Raises BadRequest."""
        pairs: list[tuple[str, str]] = []
        for field in FIELDS:
            value = getattr(self, field) or ""
            pairs += [
                (field, each) for each in ([value] if isinstance(value, str) else value)
            ]
        return Listing.of_pairs(pairs)


def _parsed(
    field: str, text: str, parse: Callable[[str], _T], choices: Sequence[Any] | Any
) -> _T:
    try:
        return parse(text)
    except ValueError:
        names = ", ".join(str(choice) for choice in choices)
        more = ", each also with - before it" if field == "sort" else ""
        raise BadRequest(
            f"{field}: expected one of {names}{more}, got {text[:40]!r}"
        ) from None


def _label(text: str) -> tuple[str, str]:
    """Return name and value of `name:value` or `name=value`."""
    match = re.match(r"([^:=]+)[:=](.*)\Z", text, re.DOTALL)
    if match is None:
        raise BadRequest(f"label: expected key:value, got {text[:100]!r}")
    return match[1].strip(), match[2]


def _time_us(field: str, text: str) -> int | None:
    """Return a time, or the start of a day in UTC; `created_before` a day includes that day."""
    if not text:
        return None
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            day = date.fromisoformat(text)
            if field == "created_before":
                day += timedelta(days=1)
            moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
        else:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1e6)
    except (ValueError, OverflowError):
        raise BadRequest(
            f"{field}: expected a day or a time, such as 2027-01-31 or 2027-01-31T08:00:00Z, "
            f"got {text[:40]!r}"
        ) from None


def cursor_of(job: JobRecord, order: JobOrder) -> str:
    """Return the cursor of the page after a job."""
    place = searching.position(job, order)
    if order.sort is JobSort.CREATED:
        return base64.urlsafe_b64encode(place.id.encode()).decode()
    body = orjson.dumps([_word(order), place.value, place.id])
    return base64.urlsafe_b64encode(body).decode()


def position_of(cursor: str, order: JobOrder) -> Position:
    """Read a cursor. Raises BadRequest, also for a cursor of another order."""
    try:
        body = base64.urlsafe_b64decode(cursor.encode("ascii")).decode()
        if order.sort is JobSort.CREATED:
            word, value, job_id = _word(order), None, body
        else:
            word, value, job_id = orjson.loads(body)
    except (ValueError, UnicodeError, TypeError):
        word, value, job_id = "", None, ""
    wanted = _VALUES.get(order.sort, (int, float))
    if (
        word != _word(order)
        or not isinstance(job_id, str)
        or not _JOB_ID.match(job_id)
        or not (value is None or isinstance(value, wanted))
        or isinstance(value, bool)
    ):
        raise BadRequest(
            "cursor: expected the next_cursor of an earlier page of this order, got "
            f"{cursor[:100]!r}",
            fix="pass `next_cursor` unchanged, with the same `sort`",
        )
    return Position(id=job_id, value=value)


_VALUES: Mapping[JobSort, type[str] | type[int]] = {
    JobSort.FINISHED: int,
    JobSort.RUN_TIME: int,
    JobSort.NAME: str,
    JobSort.KIND: str,
    JobSort.STATE: str,
}
"""Type of a cursor's value in each order; else a number."""


def _word(order: JobOrder) -> str:
    return f"-{order.sort}" if order.descending else str(order.sort)
