"""Cursors of a list of jobs."""

from __future__ import annotations

import base64

import orjson
import pytest

from services.errors import BadRequest
from services.gateway.listing import position_of
from services.store.types import JobOrder
from trimtab.results import JobSort


@pytest.mark.parametrize(
    ("sort", "value"),
    [
        (JobSort.FINISHED, 1e308),  # no time
        (JobSort.FINISHED, "soon"),
        (JobSort.RUN_TIME, 0.5),
        (JobSort.OBJECTIVE, True),
        (JobSort.GAP, [1]),
        (JobSort.NAME, 7),
    ],
)
def test_a_cursor_with_a_value_of_another_type_is_refused(
    sort: JobSort, value: object
) -> None:
    body = orjson.dumps([f"-{sort}", value, "job_" + "0" * 26])
    with pytest.raises(BadRequest, match="cursor: expected the next_cursor"):
        position_of(base64.urlsafe_b64encode(body).decode(), JobOrder(sort=sort))
