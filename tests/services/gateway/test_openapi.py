"""schemathesis against our own description: no 5xx, only documented answers."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from tests.services.gateway.conftest import JOB

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]


def test_our_own_description(anonymous: TestClient, admin: dict[str, str], request: pytest.FixtureRequest) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", anonymous.app)
    operations = [found.ok() for found in schema.get_all_operations()]
    # Made-up ids answer 404 alone: every second call is about a job that is there. It has ended, so nobody waits for it.
    ended = anonymous.post("/v1/jobs", json=JOB, headers=admin).json()["id"]
    anonymous.post(f"/v1/jobs/{ended}/cancel", headers=admin)
    calls = itertools.count()
    # Some operations have only a few different calls to make: the others make up for them.
    each = max(3, round(13_000 * request.config.getoption("--scale") / len(operations)))
    faults: dict[str, str] = {}
    statuses: Counter[int] = Counter()
    for operation in operations:

        @hypothesis_settings(
            max_examples=each,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def run(case: schemathesis.Case) -> None:
            if "job_id" in case.path_parameters and case.method == "GET" and next(calls) % 2:
                case.path_parameters["job_id"] = ended
            answer = case.call(base_url="http://127.0.0.1", session=anonymous, headers=admin)
            statuses[answer.status_code] += 1
            case.validate_response(answer, checks=CHECKS)

        try:
            run()
        except Exception as error:  # every operation's fault is told, not the first alone
            faults[operation.label] = str(error)[:300]
    print(dict(statuses))
    assert faults == {}
    assert statuses.total() >= each  # it did run, ...
    assert statuses[401] < statuses.total() / 10  # ... and past the door
