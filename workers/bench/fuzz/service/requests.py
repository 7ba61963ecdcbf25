"""Random requests for the service's fuzzer: small valid ones of each kind, and damaged ones."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np

Json = dict[str, Any]
Place = tuple[Any, Any]  # (container, key)

_LP = "Minimize\n obj: x + 2 y\nSubject To\n c: x + y >= {rhs}\nGenerals\n x\nEnd\n"
_C = """#include <stdio.h>
int f(int a) {{ return a * {k}; }}
int main(void) {{ printf("%d\\n", f({k})); return 0; }}
"""
_ODD: Sequence[Any] = (
    None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**40, 0.5, -0.0, 1e308,
    1e-320, "", "0", "a", "auto", "é" * 300, "\u202e", "a\nb", "a\x00b", "../../etc/passwd",
    "x" * 5000, [], [[]], [None], {}, {"a": 1}, [0] * 50, {"digest": "sha256:" + "0" * 64},
    {"digest": "nonsense"}, {"type": "zipf"}, ["a", 1],
)  # fmt: skip
_NAMES = (
    "extra",
    "",
    "Spec",
    "schema_version",
    "kind",
    "__class__",
    "é",
    "a" * 200,
    "budget",
)
_RAW = (
    b"",
    b"{",
    b"null",
    b"[]",
    b"\xff\xfe",
    b"[" * 5000,
    b'{"kind": NaN}',
    b'{"kind": "\\ud800"}',
    b"1e999",
)


def drawn(rng: np.random.Generator) -> Json:
    """Draw a valid request of a random kind; it need not be quick to run."""
    match rng.integers(4):
        case 0:
            spec: Json = {
                "model_text": _LP.format(rhs=int(rng.integers(1, 50))),
                "format": "lp",
            }
            if rng.random() < 0.5:
                spec["lns"] = {
                    "enabled": bool(rng.integers(2)),
                    "neighbourhoods": ["rins", "random"],
                    "sub_mip_seconds": 2.0,
                }
            request: Json = {"kind": "ilp", "spec": spec}
        case 1:
            request = {"kind": "sharding", "spec": _sharding(rng)}
        case 2:
            spec = {"source_text": _C.format(k=int(rng.integers(2, 99))), "language": "c"}
            if rng.random() < 0.5:
                run = {
                    "arguments": ["1"],
                    "stdin": "x",
                    "expected_exit": 0,
                    "timeout_seconds": 2.0,
                }
                spec |= {
                    "runs": [run],
                    "target": {"triple": "aarch64-unknown-linux-gnu"},
                    "link": {"libraries": ["m"]},
                }
                spec["build"] = {"defines": ["A=1"], "flags": ["-std=c11"]}
            request = {"kind": "compile", "spec": spec}
        case _:
            request = {
                "kind": "probe",
                "spec": {"steps": int(rng.integers(5)), "outcome": "succeed"},
            }
    request |= {
        "budget": {"seconds": float(rng.integers(1, 60))},
        "seed": int(rng.integers(2**31)),
    }
    if rng.random() < 0.3:
        request |= {
            "labels": {"a": "b"},
            "priority": int(rng.integers(-100, 101)),
            "max_attempts": 2,
        }
    return request


def small(rng: np.random.Generator) -> Json:
    """Draw a request that ends within seconds.

    Half of them have one change that may make it fail.
    """
    request = drawn(rng)
    request["budget"] = {
        "seconds": 3.0,
        **({"evaluations": 1} if request["kind"] == "compile" else {}),
    }
    if request["kind"] == "probe":
        request["spec"] |= {
            "outcome": str(rng.choice(["succeed", "invalid", "raise", "crash"])),
            "steps": 2,
        }
        request["max_attempts"] = 1
        if request["spec"]["outcome"] == "raise":
            request["spec"]["outcome"] = "invalid"  # `raise` asks for an internal error
    if rng.random() < 0.5:
        spec = {"ilp": "model_text", "compile": "source_text"}.get(request["kind"])
        if spec is not None:
            text = request["spec"][spec]
            cut = int(rng.integers(len(text)))
            request["spec"][spec] = (
                text[:cut]
                + str(rng.choice(["", "}", " >= <= ", "\n", "é", "1e999 "]))
                + text[cut + 1 :]
            )
    return request


def _sharding(rng: np.random.Generator) -> Json:
    names = [f"t{k}" for k in range(int(rng.integers(1, 5)))]
    tables: list[Json] = []
    for name in names:
        table: Json = {
            "name": name,
            "rows": int(rng.integers(1, 10_000)),
            "dim": 4 * int(rng.integers(1, 9)),
        }
        if rng.random() < 0.3:
            table["access"] = {"type": "zipf", "alpha": 1.0, "active_rows": 10}
        tables.append(table)
    spec: Json = {
        "tables": tables,
        "devices": [{"count": int(rng.integers(1, 4)), "memory_gib": 1.0}],
        "kicks": 0,
    }
    if rng.random() < 0.5:
        spec["constraints"] = {
            "no_split": [names[0]],
            "pin": [{"table": names[0], "devices": [0]}],
        }
        spec["fabric"] = {"intra_gb_s": 100.0}
    return spec


def changed(request: Json, rng: np.random.Generator) -> Json:
    """Return a copy with up to three random changes: a value, a name, a missing or doubled part."""
    request = copy.deepcopy(request)
    for _ in range(int(rng.integers(4))):
        places = list(_places(request))
        if not places:
            break
        container, key = places[int(rng.integers(len(places)))]
        match rng.integers(6):
            case 0 | 1 | 2:
                container[key] = copy.deepcopy(_ODD[int(rng.integers(len(_ODD)))])
            case 3:
                del container[key]
            case 4 if isinstance(container, dict):
                container[_NAMES[int(rng.integers(len(_NAMES)))]] = container[key]
            case _ if isinstance(container, list):
                container.append(copy.deepcopy(container[key]))
            case _:
                container[key] = [copy.deepcopy(container[key])]
    return request


def _places(value: Any) -> Iterator[Place]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield value, key
            yield from _places(inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield value, number
            yield from _places(inner)


def encoded(request: Json, rng: np.random.Generator) -> bytes:
    """Return the request as JSON, rarely as bytes that are no JSON."""
    if rng.random() < 0.02:
        return _RAW[int(rng.integers(len(_RAW)))]
    return json.dumps(request, ensure_ascii=bool(rng.integers(2))).encode(
        "utf-8", "surrogatepass"
    )


def other_call(rng: np.random.Generator) -> tuple[str, str, bytes | None]:
    """Draw (method, path, body) of another operation, with odd parameters."""
    odd = str(_ODD[int(rng.integers(14, 24))])[:300]
    job = quote(str(rng.choice(["job_" + "0" * 26, odd, "job_x"])), safe="")
    query = quote(odd, safe="")
    match rng.integers(9):
        case 0:
            limit = int(rng.integers(-2, 2000))
            return "GET", f"/v1/jobs?state={query}&limit={limit}", None
        case 1:
            return "GET", f"/v1/jobs?label={query}&cursor={query}", None
        case 2:
            return "GET", f"/v1/jobs/{job}", None
        case 3:
            timeout = rng.choice(["0", "-1", "x", "nan", "1e9"])
            return "GET", f"/v1/jobs/{job}/wait?timeout_s={timeout}", None
        case 4:
            verb = rng.choice(["stop", "cancel", "retry"])
            return "POST", f"/v1/jobs/{job}/{verb}", None
        case 5:
            jobs = [changed(drawn(rng), rng) for _ in range(int(rng.integers(4)))]
            return "POST", "/v1/jobs:batch", encoded({"jobs": jobs}, rng)
        case 6:
            key = changed(
                {
                    "name": "k",
                    "scopes": ["viewer"],
                    "tenant": "a",
                    "limits": {"queued_jobs": 5},
                },
                rng,
            )
            return "POST", "/v1/keys", encoded(key, rng)
        case 7:
            return "GET", f"/v1/artifacts/{query or 'x'}", None
        case _:
            return "DELETE", f"/v1/keys/{query or 'x'}", None
