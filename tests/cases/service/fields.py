"""Two values with different outcomes for every field of every spec; run by `test_spec_fields`.

A pair is (one, other): changes to the kind's base request, by dotted path; `None` removes the
field. An outcome is the RunResult as JSON with the texts of produced files under `files`, or
`{"refused": text}`; `look` picks what is compared.
Both values of a pair are valid, so that a field which is only validated does not pass.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cost_models.weights import FOLDER
from workers.bench.learn.simulated_file import write_measured

Outcome = Mapping[str, Any]


def answer(outcome: Outcome) -> Any:
    """Return refusal, objective and state, which most fields change."""
    return outcome.get("refused") or (
        outcome["objective"],
        outcome["termination"]["reason"],
    )


def summary(*names: str) -> Callable[[Outcome], Any]:
    """Return an entry of the summary."""

    def look(outcome: Outcome) -> Any:
        value: Any = outcome["summary"]
        for name in names:
            value = value.get(name) if isinstance(value, Mapping) else None
        return json.dumps(value, sort_keys=True)

    return look


def file(name: str) -> Callable[[Outcome], Any]:
    """Return the text of a produced file."""
    return lambda outcome: outcome.get("refused") or outcome["files"][name]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two values and the part of the outcome that must differ."""

    one: Mapping[str, Any] = field(default_factory=dict)
    other: Mapping[str, Any]
    look: Callable[[Outcome], Any] = answer
    base: str = ""  # name of another base request


LP = "Minimize\n obj: x + y\nSubject To\n c: 2 x + 3 y >= 7\nGenerals\n x y\nEnd\n"
COVER = (
    "Minimize\n obj: "
    + " + ".join(f"{1 + i * 7 % 5} x{i}" for i in range(60))
    + "\nSubject To\n"
    + "".join(
        f" c{k}: "
        + " + ".join(f"x{(k * 13 + j * 17) % 60}" for j in range(7))
        + " >= 1\n"
        for k in range(40)
    )
    + "Binaries\n "
    + " ".join(f"x{i}" for i in range(60))
    + "\nEnd\n"
)

# Beyond what is solved in rational arithmetic before an engine starts.
LARGE = (
    "Minimize\n obj: "
    + " + ".join(f"{3 + i * i % 11} x{i}" for i in range(450))
    + "\nSubject To\n"
    + "".join(
        f" c{k}: "
        + " + ".join(
            f"x{i}"
            for i in sorted({(k * k + 97 * j * j + 7 * k * j) % 450 for j in range(9)})
        )
        + " >= 1\n"
        for k in range(200)
    )
    + "Binaries\n "
    + " ".join(f"x{i}" for i in range(450))
    + "\nEnd\n"
)

# Market split: the bound is 0 at once, and the optimum takes thousands of nodes.
SPLIT = (
    "Minimize\n obj: "
    + " + ".join(f"p{k} + n{k}" for k in range(3))
    + "\nSubject To\n"
    + "".join(
        f" r{k}: "
        + " + ".join(
            f"{(37 * i * i + 61 * k * i + 17 * k) % 97 + 1} x{i}" for i in range(20)
        )
        + f" + p{k} - n{k} = {480 + k}\n"
        for k in range(3)
    )
    + "Binaries\n "
    + " ".join(f"x{i}" for i in range(20))
    + "\nEnd\n"
)
# Its optimum does not hold exactly in doubles.
ROUNDED = (
    "Minimize\n obj: x + y\nSubject To\n r: x + 3 y >= 1\n"
    " s: x + 0.33333333 y <= 0.33333333\nEnd\n"
)

FILES: dict[str, bytes] = {
    "lp": LP.encode(),
    "lp-larger": LP.replace(">= 7", ">= 17").encode(),
    "start": "".join(f"x{i} 1\n" for i in range(60)).encode(),
    "tables.csv": b"name,rows,dim\na,1000,16\nb,2000,32\n",
    "tables-larger.csv": b"name,rows,dim\na,1000,16\nb,200000,64\n",
    "letter": b"a",
    "letters": b"aaa",
    "main.c": b"int helper(void);\nint main(void) { return helper(); }\n",
    "three.c": b"int helper(void) { return 3; }\n",
    "four.c": b"int helper(void) { return 4; }\n",
}


def _tar(**members: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in members.items():
            info = tarfile.TarInfo(name.replace("__", "/").replace("_", "."))
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def _measured(seed: int) -> bytes:
    """Return a collector's file of a simulated device."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_measured(Path(folder) / "slow.jsonl", sets=40, seed=seed)
        return path.read_bytes()


FILES["slow.jsonl"] = _measured(7)
FILES["slower.jsonl"] = _measured(8)
for _name in ("slow", "slower"):
    FILES[f"{_name}.tar.gz"] = _tar(
        **{f"{_name}_jsonl": FILES[f"{_name}.jsonl"].decode()}
    )
FILES["labels.csv"] = b"instance,value\nslow.jsonl,1.0\n"
FILES["surrogate"] = (FOLDER / "antenna-duroid.safetensors").read_bytes()
FILES["program.tar.gz"] = _tar(
    main_c="int main(void) { return 0; }\n",
    extra_c="int extra(int a) { return a * a + 7 * a; }\n"
    'const char *text(void) { return "some bytes"; }\n',
    commands_json='[{"directory": "/home/me", "file": "main.c", "command": "cc -c main.c"}]',
)
FILES["image.tar.gz"] = _tar(
    main_c="int used(int); int main(void) { return used(0); }\n",
    rest_c="int table[900]; int used(int a) { table[a] = a; return table[a]; }\n"
    "int spare(int a) { return a / 7 * a + 77777; }\n"
    "int twin(int a) { return a * 12345 % 77; }\n"
    "int other(int a) { return a * 12345 % 77; }\n"
    "void start(void) { for (;;) ; }\n",
    small_ld="SECTIONS { .text 0x401000 : { *(.text*) } .rodata : { *(.rodata*) } "
    ".data : { *(.data*) } .bss : { *(.bss*) *(COMMON) } }\n",
)
FILES["headers.tar.gz"] = _tar(
    main_c='#include "answer.h"\nint main(void) { return ANSWER; }\n',
    one__answer_h="#define ANSWER 1\n",
    two__answer_h='#error "the second"\n',
)

FILES["sysroot.tar.gz"] = _tar(include__answer_h="#define ANSWER 1\n")
FILES["sysroot-two.tar.gz"] = _tar(include__answer_h="#define ANSWER 0x12345678\n")

BASES: dict[str, dict[str, Any]] = {
    "ilp": {"model_text": LP, "format": "lp"},
    "ilp-file": {"model": "@lp", "format": "lp"},
    "ilp-cover": {"model_text": COVER, "format": "lp"},
    "ilp-large": {"model_text": LARGE, "format": "lp"},
    "ilp-split": {"model_text": SPLIT, "format": "lp"},
    "ilp-rounded": {"model_text": ROUNDED, "format": "lp"},
    "sharding": {
        "tables": [
            {"name": "a", "rows": 50_000, "dim": 32, "pooling": 20.0},
            {"name": "b", "rows": 200_000, "dim": 64},
            {"name": "c", "rows": 10_000, "dim": 16, "pooling": 4.0},
        ],
        "devices": [{"count": 4, "memory_gib": 4.0}],
        "global_batch": 4096,
        "kicks": 1,
        "proof_seconds": 0.0,  # by default both solvers take their whole time here
    },
    "compile": {
        "source_text": "int f(int a, int b) { return a / b; }\nint main(void) { return 0; }\n",
        "language": "c",
    },
    "compile-archive": {"source": "@program.tar.gz", "whole_program": False},
    "compile-image": {"source": "@image.tar.gz", "image": {}},
    "compile-firmware": {
        "source_text": '#include <stdio.h>\nint main(void) { puts("hi"); return 0; }\n',
        "language": "c",
        "target": {"triple": "thumbv7em-none-eabi", "cpu": "cortex-m4"},
        "sysroot": {"library": "picolibc"},
        "image": {"plain_flags": False},
    },
    "compile-sysroot": {
        "source_text": "#include <answer.h>\nint answer(void) { return ANSWER; }\n",
        "language": "c",
        "target": {"triple": "thumbv7em-none-eabi", "cpu": "cortex-m4"},
        "sysroot": {"archive": "@sysroot.tar.gz"},
    },
    "compile-file": {
        "source_text": "#include <stdio.h>\n"
        "int main(void) { int n = 0; "
        'FILE *f = fopen("letter", "r"); f = f ? f : fopen("letters", "r"); '
        "if (!f) return 99; while (getc(f) != EOF) n++; return n; }\n",
        "language": "c",
        "runs": [{}],
    },
    "compile-image-calls": {
        "source_text": "#include <stdlib.h>\n#include <time.h>\n"
        'int main(void) { srand(time(0)); return (rand() & 1) + atoi("7") > 9; }\n',
        "language": "c",
        "image": {},
    },
    "compile-headers": {"source": "@headers.tar.gz", "build": {"include": ["one"]}},
    "compile-run": {
        "source_text": "#include <stdio.h>\n"
        "int main(int c, char **v) { int n = 0; while (getchar() != EOF) n++; "
        'printf("%d\\n", n); return n + c - 1; }\n',
        "language": "c",
        "runs": [{"expected_exit": 0}],
    },
    "compile-slow": {
        "source_text": "#include <unistd.h>\nint main(void) { usleep(400000); return 0; }\n",
        "language": "c",
        "runs": [{}],
    },
    "compile-object": {
        "source": "@main.c",
        "link": {"objects": ["@three.c"]},
        "runs": [{"expected_exit": 3}],
    },
    "compile-sine": {
        "source_text": "#include <math.h>\n"
        "int main(int c, char **v) { return (int)(10 * sin(c * 0.3)); }\n",
        "language": "c",
        "runs": [{}],
    },
    "compile-global": {
        "source_text": "extern int e; int g(void) { return e; }\n",
        "language": "c",
    },
    "compile-population": {
        "source_text": "int p(unsigned a) { return __builtin_popcount(a); }\n",
        "language": "c",
    },
}
ZIPF = {"type": "zipf", "alpha": 1.0, "active_rows": 1000}
REUSE = {"type": "reuse", "bins": [1.0] + [0.0] * 16}
SAMPLE = {"type": "sample", "indices": list(range(2000))}
PLAN = [
    {"table": "a", "offset": 0, "width": 32, "device": 0},
    {"table": "b", "offset": 0, "width": 64, "device": 0},
    {"table": "c", "offset": 0, "width": 16, "device": 0},
]
PLACES = file("plan.json")
PRICED = summary("search", "oracle_evaluations")
MOVED = {"constraints.current_plan": PLAN, "constraints.max_moved_gib": 0.0}
LOOSE = {
    "tables": [
        {"name": name, "rows": 50_000, "dim": 64, "pooling": 20.0} for name in "abcde"
    ],
    "constraints.no_split": ["a", "b", "c", "d", "e"],
}
NEURO = {"method": "neuroshard", "global_batch": 65_536}


def memory(outcome: Outcome) -> Any:
    """Return the bytes on each device."""
    return sorted(
        device["memory_bytes"]
        for device in json.loads(outcome["files"]["plan.json"])["devices"]
    )


def _access(**changes: Any) -> dict[str, Any]:
    base = changes.pop("base")
    return {"tables.0.access": {**base, **changes}}


ILP: dict[str, Pair] = {
    "absolute_gap": Pair(
        base="ilp-cover",
        other={"absolute_gap": 1e6},
        look=lambda outcome: outcome["termination"],
    ),
    "cutoff": Pair(other={"cutoff": 1.0}),
    "feasibility_tolerance": Pair(
        base="ilp-rounded",
        one={"feasibility_tolerance": 1e-9},
        other={"feasibility_tolerance": 1e-3},
        look=lambda outcome: outcome["verification"]["detail"],
    ),
    "objective_stop": Pair(
        base="ilp-large",
        other={"objective_stop": 1e6},
        look=lambda outcome: outcome["termination"]["limit"],
    ),
    "bound_stop": Pair(
        base="ilp-large",
        other={"bound_stop": -1.0},
        look=lambda outcome: outcome["termination"]["limit"],
    ),
    "node_limit": Pair(
        base="ilp-split",
        one={"lns.enabled": False},
        other={"lns.enabled": False, "node_limit": 0},
        look=lambda outcome: outcome["termination"]["limit"],
    ),
    "solution_limit": Pair(
        base="ilp-large",
        other={"solution_limit": 1},
        look=lambda outcome: outcome["termination"]["limit"],
    ),
    "pool": Pair(base="ilp", other={"pool": {}}, look=summary("pool")),
    "pool.size": Pair(
        base="ilp-cover",
        one={"pool": {"size": 2}},
        other={"pool": {"size": 3}},
        look=summary("pool", "solutions"),
    ),
    "pool.gap": Pair(
        base="ilp-cover",
        one={"pool": {"size": 3}},
        other={"pool": {"size": 3, "gap": 0.0}},
        look=file("solutions.json"),
    ),
    "pool.absolute_gap": Pair(
        base="ilp-cover",
        one={"pool": {"size": 3}},
        other={"pool": {"size": 3, "absolute_gap": 0.0}},
        look=file("solutions.json"),
    ),
    "pool.distance": Pair(
        base="ilp-cover",
        one={"pool": {"size": 3}},
        other={"pool": {"size": 3, "distance": 2}},
        look=file("solutions.json"),
    ),
    "model": Pair(base="ilp-file", other={"model": "@lp-larger"}),
    "model_text": Pair(other={"model_text": LP.replace(">= 7", ">= 17")}),
    "format": Pair(other={"format": "mps"}),
    "engine": Pair(other={"engine": "scip"}, look=summary("engine")),
    "lns": Pair(base="ilp-cover", other={"lns": {"enabled": False}}, look=summary("lns")),
    "lns.enabled": Pair(
        base="ilp-cover", other={"lns.enabled": False}, look=summary("lns")
    ),
}

SHARDING: dict[str, Pair] = {
    "tables": Pair(other={"tables": [{"name": "a", "rows": 100, "dim": 8}]}),
    "tables.name": Pair(other={"tables.0.name": "z"}, look=PLACES),
    "tables.rows": Pair(other={"tables.0.rows": 5_000_000}, look=memory),
    "tables.dim": Pair(other={"tables.0.dim": 64}),
    "tables.pooling": Pair(other={"tables.0.pooling": 200.0}),
    "tables.features": Pair(other={"tables.0.features": 8}),
    "tables.dtype": Pair(other={"tables.0.dtype": "fp16"}, look=memory),
    "tables.access": Pair(other=_access(base=ZIPF)),
    "tables.access.type": Pair(one=_access(base=ZIPF), other=_access(base=SAMPLE)),
    "tables.access.alpha": Pair(
        one=_access(base=ZIPF), other=_access(base=ZIPF, alpha=3.0)
    ),
    "tables.access.active_rows": Pair(
        one=_access(base=ZIPF), other=_access(base=ZIPF, active_rows=50_000)
    ),
    "tables.access.bins": Pair(
        one=_access(base=REUSE), other=_access(base=REUSE, bins=[0.0] * 16 + [1.0])
    ),
    "tables.access.batch": Pair(
        one=_access(base=REUSE, batch=4096), other=_access(base=REUSE, batch=64)
    ),
    "tables.access.indices": Pair(
        one=_access(base=SAMPLE), other=_access(base=SAMPLE, indices=[1] * 2000)
    ),
    "tables_file": Pair(
        one={"tables": None, "tables_file": "@tables.csv"},
        other={"tables": None, "tables_file": "@tables-larger.csv"},
    ),
    "devices": Pair(other={"devices": [{"count": 1, "memory_gib": 4.0}]}),
    "devices.count": Pair(other={"devices.0.count": 1}),
    "devices.memory_gib": Pair(other={"devices.0.memory_gib": 0.001}),
    "devices.hardware": Pair(other={"devices.0.hardware": "v100"}),
    "fabric": Pair(other={"fabric": {"devices_per_node": 1}}),
    "fabric.devices_per_node": Pair(other={"fabric.devices_per_node": 1}),
    "fabric.intra_gb_s": Pair(
        one={"fabric.intra_gb_s": 300.0}, other={"fabric.intra_gb_s": 1.0}
    ),
    "fabric.inter_gb_s": Pair(
        one={"fabric": {"devices_per_node": 2, "inter_gb_s": 100.0}},
        other={"fabric": {"devices_per_node": 2, "inter_gb_s": 1.0}},
    ),
    "global_batch": Pair(other={"global_batch": 8192}),
    "optimizer": Pair(other={"optimizer": "adam"}, look=memory),
    "memory_model": Pair(other={"memory_model": "weights"}, look=memory),
    "constraints": Pair(
        other={"constraints": {"no_split": ["a", "b", "c"]}}, look=PLACES
    ),
    "constraints.pin": Pair(
        other={
            "constraints.pin": [
                {"table": "a", "devices": [3]},
                {"table": "b", "devices": [3]},
            ]
        },
        look=PLACES,
    ),
    "constraints.pin.table": Pair(
        one={"constraints.pin": [{"table": "a", "devices": [3]}]},
        other={"constraints.pin": [{"table": "b", "devices": [3]}]},
        look=PLACES,
    ),
    "constraints.pin.devices": Pair(
        one={"constraints.pin": [{"table": "a", "devices": [3]}]},
        other={"constraints.pin": [{"table": "a", "devices": [2]}]},
        look=PLACES,
    ),
    "constraints.together": Pair(
        other={"constraints.together": [["a", "b", "c"]]}, look=PLACES
    ),
    "constraints.no_split": Pair(
        other={"constraints.no_split": ["a", "b", "c"]}, look=PLACES
    ),
    "constraints.min_shard_dim": Pair(
        other={"constraints.min_shard_dim": 64}, look=PLACES
    ),
    "constraints.current_plan": Pair(other=MOVED, look=PLACES),
    "constraints.current_plan.table": Pair(
        one=MOVED,
        other=MOVED
        | {
            "constraints.current_plan": [
                {**PLAN[0], "width": 16, "table": "c"},
                PLAN[1],
                {**PLAN[2], "width": 32, "table": "a"},
            ]
        }
        | {"constraints.current_plan.2.device": 1},
        look=PLACES,
    ),
    "constraints.current_plan.device": Pair(
        one=MOVED, other=MOVED | {"constraints.current_plan.0.device": 1}, look=PLACES
    ),
    "constraints.current_plan.offset": Pair(
        one=MOVED
        | {
            "constraints.current_plan": [
                {**PLAN[0], "width": 16},
                {**PLAN[0], "offset": 16, "width": 16, "device": 1},
                *PLAN[1:],
            ]
        },
        other=MOVED
        | {
            "constraints.current_plan": [
                {**PLAN[0], "width": 16, "offset": 16},
                {**PLAN[0], "width": 16, "device": 1},
                *PLAN[1:],
            ]
        },
        look=PLACES,
    ),
    "constraints.current_plan.width": Pair(
        one=MOVED
        | {
            "constraints.current_plan": [
                {**PLAN[0], "width": 16},
                {**PLAN[0], "offset": 16, "width": 16, "device": 1},
                *PLAN[1:],
            ]
        },
        other=MOVED
        | {
            "constraints.current_plan": [
                {**PLAN[0], "width": 8},
                {**PLAN[0], "offset": 8, "width": 24, "device": 1},
                *PLAN[1:],
            ]
        },
        look=PLACES,
    ),
    "constraints.max_moved_gib": Pair(
        one=MOVED, other=MOVED | {"constraints.max_moved_gib": 10.0}, look=PLACES
    ),
    "method": Pair(other=NEURO, look=summary("found_by")),
    "beam": Pair(one=NEURO, other=NEURO | {"beam": {"levels": 0}}, look=PRICED),
    "beam.levels": Pair(one=NEURO, other=NEURO | {"beam.levels": 0}, look=PRICED),
    "beam.width": Pair(one=NEURO, other=NEURO | {"beam.width": 1}, look=PRICED),
    "beam.candidates": Pair(one=NEURO, other=NEURO | {"beam.candidates": 1}, look=PRICED),
    "beam.grid": Pair(one=NEURO, other=NEURO | {"beam.grid": 1}, look=PRICED),
    "kicks": Pair(other={"kicks": 0}, look=summary("search", "kicks")),
    "proof_seconds": Pair(
        one={"proof_seconds": 5.0, **LOOSE},
        other={"proof_seconds": 0.0, **LOOSE},
        look=summary("certificate", "method"),
    ),
    "what_if": Pair(other={"what_if": [2]}, look=summary("what_if")),
}

SIZES = summary("sizes")
IMAGE = file("image.json")
COMPILE: dict[str, Pair] = {
    "source": Pair(
        one={"source": "@three.c", "source_text": None, "language": None},
        other={"source": "@main.c", "source_text": None, "language": None},
        look=SIZES,
    ),
    "source_text": Pair(other={"source_text": "int f(void) { return 1; }"}, look=SIZES),
    "language": Pair(other={"language": "llvm-ir"}),
    "build": Pair(
        base="compile-archive", other={"build": {"exclude": ["extra.c"]}}, look=SIZES
    ),
    "build.files": Pair(
        base="compile-archive", other={"build.files": ["main.c"]}, look=SIZES
    ),
    "build.exclude": Pair(
        base="compile-archive", other={"build.exclude": ["extra.c"]}, look=SIZES
    ),
    "build.include": Pair(base="compile-headers", other={"build.include": ["two"]}),
    "build.defines": Pair(
        other={"build.defines": ["f=another_name_of_it"]},
        look=lambda o: o["files"].get("optimised.ll", o["summary"]),
    ),
    "build.flags": Pair(
        base="compile-global",
        other={"build.flags": ["-fno-builtin", "-fstack-protector-all"]},
        look=SIZES,
    ),
    "build.compile_commands": Pair(
        base="compile-archive",
        other={"build.compile_commands": "commands.json"},
        look=SIZES,
    ),
    "target": Pair(other={"target": {"triple": "aarch64-unknown-linux-gnu"}}, look=SIZES),
    "target.triple": Pair(
        other={"target.triple": "aarch64-unknown-linux-gnu", "target.cpu": ""}, look=SIZES
    ),
    "target.cpu": Pair(
        base="compile-population", other={"target.cpu": "haswell"}, look=SIZES
    ),
    "target.features": Pair(
        base="compile-population", other={"target.features": "+popcnt"}, look=SIZES
    ),
    "target.pic": Pair(base="compile-global", other={"target.pic": False}, look=SIZES),
    "target.board": Pair(
        base="compile-firmware", other={"target.board": "microbit"}, look=IMAGE
    ),
    "sysroot": Pair(base="compile-firmware", other={"sysroot": None}),
    "sysroot.library": Pair(base="compile-firmware", other={"sysroot.library": "newlib"}),
    "sysroot.archive": Pair(
        base="compile-sysroot",
        other={"sysroot.archive": "@sysroot-two.tar.gz"},
        look=SIZES,
    ),
    "sysroot.host": Pair(base="compile-firmware", other={"sysroot.host": "none"}),
    "sysroot.start_files": Pair(
        base="compile-firmware", other={"sysroot.start_files": False}
    ),
    "objective": Pair(other={"objective": "code_bytes"}),
    "mode": Pair(
        one={"objective": "ir_instructions"},
        other={"objective": "ir_instructions", "mode": "paper"},
        look=summary("policy"),
    ),
    "runs": Pair(base="compile-run", other={"runs": [{"expected_exit": 3}]}),
    "runs.arguments": Pair(base="compile-run", other={"runs.0.arguments": ["x"]}),
    "runs.stdin": Pair(base="compile-run", other={"runs.0.stdin": "abc"}),
    "runs.stdin_file": Pair(
        base="compile-run",
        one={"runs": [{"stdin_file": "@letter", "expected_exit": 1}]},
        other={"runs": [{"stdin_file": "@letters", "expected_exit": 1}]},
    ),
    "runs.files": Pair(
        base="compile-file",
        one={"runs": [{"files": ["@letter"], "expected_exit": 1}]},
        other={"runs": [{"files": ["@letters"], "expected_exit": 1}]},
    ),
    "runs.expected_stdout": Pair(
        base="compile-run",
        one={"runs.0.expected_stdout": "0\n"},
        other={"runs.0.expected_stdout": "WRONG\n"},
    ),
    "runs.expected_exit": Pair(base="compile-run", other={"runs.0.expected_exit": 1}),
    "runs.timeout_seconds": Pair(
        base="compile-slow", other={"runs.0.timeout_seconds": 0.05}
    ),
    "run_by_itself": Pair(other={"run_by_itself": False}, look=summary("behaviour")),
    "link": Pair(base="compile-object", other={"link": {"objects": ["@four.c"]}}),
    "link.objects": Pair(base="compile-object", other={"link.objects": ["@four.c"]}),
    "link.libraries": Pair(
        base="compile-sine", one={"link.libraries": ["m"]}, other={"link.libraries": []}
    ),
    "image": Pair(
        base="compile-image", other={"image": None, "whole_program": False}, look=SIZES
    ),
    "whole_program": Pair(
        base="compile-image",
        one={"image": None},
        other={"image": None, "whole_program": False},
        look=SIZES,
    ),
    "image.entry": Pair(base="compile-image", other={"image.entry": "start"}, look=IMAGE),
    "image.keep": Pair(base="compile-image", other={"image.keep": ["spare"]}, look=IMAGE),
    "image.shared": Pair(base="compile-image", other={"image.shared": True}, look=IMAGE),
    "image.script": Pair(
        base="compile-image", other={"image.script": "small.ld"}, look=IMAGE
    ),
    "image.icf": Pair(
        base="compile-image",
        one={"image.keep": ["twin", "other"]},
        other={"image.keep": ["twin", "other"], "image.icf": "all"},
        look=IMAGE,
    ),
    "image.lazy_binding": Pair(
        base="compile-image-calls", other={"image.lazy_binding": True}, look=IMAGE
    ),
    "image.gcc": Pair(base="compile-image", other={"image.gcc": False}, look=SIZES),
    "image.flash_weight": Pair(base="compile-image", other={"image.flash_weight": 2.0}),
    "image.ram_weight": Pair(base="compile-image", other={"image.ram_weight": 1.0}),
    "image.debug": Pair(
        base="compile-image",
        other={"image.debug": True},
        look=lambda outcome: ".debug_info" in outcome["files"]["image.elf"],
    ),
    "image.plain_flags": Pair(
        base="compile-image", other={"image.plain_flags": False}, look=file("flags.txt")
    ),
}

PROBE: dict[str, Pair] = {
    "steps": Pair(one={"steps": 1}, other={"steps": 3}, look=lambda o: len(o["trace"])),
    "step_seconds": Pair(
        one={"steps": 2},
        other={"steps": 2, "step_seconds": 0.2},
        look=lambda o: o["timings_s"]["search"] > 0.3,
    ),
    "outcome": Pair(other={"outcome": "invalid"}),
}

BASES["antenna"] = {
    "bands": [{"f_lo_hz": 6.0e9, "f_hi_hz": 6.2e9}],
    "grid": {"cells": 6, "cell_mm": 3.0},
    "coarse_solves": 6,
    "fine_solves": 1,
    "verify_runs": 0,
    "margin_db": 10.0,
}
BASES["antenna-rectangles"] = {**BASES["antenna"], "topology": "rectangles"}
DESIGN = file("design.json")

ANTENNA: dict[str, Pair] = {
    "bands": Pair(other={"bands": [{"f_lo_hz": 7.0e9, "f_hi_hz": 7.2e9}]}),
    "bands.f_lo_hz": Pair(other={"bands.0.f_lo_hz": 5.9e9}),
    "bands.f_hi_hz": Pair(other={"bands.0.f_hi_hz": 6.3e9}),
    "bands.s11_max_db": Pair(other={"bands.0.s11_max_db": -12.0}),
    "avoid": Pair(
        other={"avoid": [{"f_lo_hz": 5.0e9, "f_hi_hz": 5.1e9}]},
        look=summary("band_margins_db"),
    ),
    "avoid.f_lo_hz": Pair(
        one={"avoid": [{"f_lo_hz": 5.0e9, "f_hi_hz": 5.1e9}]},
        other={"avoid": [{"f_lo_hz": 4.9e9, "f_hi_hz": 5.1e9}]},
        look=summary("band_margins_db"),
    ),
    "avoid.f_hi_hz": Pair(
        one={"avoid": [{"f_lo_hz": 5.0e9, "f_hi_hz": 5.1e9}]},
        other={"avoid": [{"f_lo_hz": 5.0e9, "f_hi_hz": 5.5e9}]},
        look=summary("band_margins_db"),
    ),
    "avoid.s11_min_db": Pair(
        one={"avoid": [{"f_lo_hz": 5.0e9, "f_hi_hz": 5.1e9}]},
        other={"avoid": [{"f_lo_hz": 5.0e9, "f_hi_hz": 5.1e9, "s11_min_db": -5.0}]},
        look=summary("band_margins_db"),
    ),
    "board": Pair(other={"board": {"eps_r": 3.0}}),
    "board.eps_r": Pair(other={"board": {"eps_r": 3.0}}),
    "board.tan_d": Pair(other={"board": {"tan_d": 0.05}}),
    "board.height_mm": Pair(other={"board": {"height_mm": 2.0}}),
    "board.conductivity_s_m": Pair(other={"board": {"conductivity_s_m": 1e6}}),
    "board.size_mm": Pair(
        other={"board": {"size_mm": 40.0}}, look=file("antenna-outline.gbr")
    ),
    "grid": Pair(other={"grid": {"cells": 7, "cell_mm": 3.0}}),
    "grid.cells": Pair(other={"grid.cells": 7}),
    "grid.cell_mm": Pair(other={"grid.cell_mm": 2.5}),
    "feed": Pair(one={"feed": [1, 3]}, other={"feed": [4, 3]}, look=DESIGN),
    "topology": Pair(
        one={"coarse_solves": 100, "fine_solves": 5},
        other={"coarse_solves": 100, "fine_solves": 5, "topology": "rectangles"},
        look=DESIGN,
    ),
    "max_rectangles": Pair(
        base="antenna-rectangles", other={"max_rectangles": 1}, look=DESIGN
    ),
    "max_vias": Pair(other={"max_vias": 2}, look=DESIGN),
    "z0_ohm": Pair(other={"z0_ohm": 75.0}),
    "min_efficiency": Pair(
        other={"min_efficiency": 0.9}, look=summary("efficiency_margins_db")
    ),
    "min_feature_mm": Pair(other={"min_feature_mm": 9.0}, look=DESIGN),
    "symmetric": Pair(other={"symmetric": True}, look=DESIGN),
    "connected": Pair(
        one={
            "search": "random",
            "grid": {"cells": 12, "cell_mm": 3.0},
            "coarse_solves": 20,
        },
        other={
            "search": "random",
            "grid": {"cells": 12, "cell_mm": 3.0},
            "coarse_solves": 20,
            "connected": True,
        },
        look=DESIGN,
    ),
    "search": Pair(other={"search": "tree"}, look=DESIGN),
    "model": Pair(other={"model": "none"}, look=summary("surrogate")),
    "model_file": Pair(other={"model_file": "@surrogate"}, look=summary("surrogate")),
    "coarse_solves": Pair(other={"coarse_solves": 3}, look=summary("solves")),
    "fine_solves": Pair(other={"fine_solves": 3}, look=summary("solves")),
    "verify_runs": Pair(
        other={"verify_runs": 1},
        look=lambda o: o["verification"]["checks"]["second_solver"]["detail"],
    ),
    "margin_db": Pair(
        one={"bands.0.s11_max_db": -1.0, "coarse_solves": 40, "margin_db": 0.1},
        other={"bands.0.s11_max_db": -1.0, "coarse_solves": 40, "margin_db": 0.0},
    ),
}

BASES["learn"] = {"target": "sharding", "instances": ["@slow.jsonl"]}
FAST = {"sharding": {"steps": 10}}
CARD = file("card.json")
LEARN: dict[str, Pair] = {
    "target": Pair(one=FAST, other={"target": "ilp"}),
    "instances": Pair(
        one=FAST, other={**FAST, "instances": ["@slower.jsonl"]}, look=CARD
    ),
    "archive": Pair(
        one={**FAST, "instances": None, "archive": "@slow.tar.gz"},
        other={**FAST, "instances": None, "archive": "@slower.tar.gz"},
        look=CARD,
    ),
    "measured": Pair(one=FAST, other={**FAST, "measured": "@labels.csv"}),
    "held_out": Pair(one=FAST, other={**FAST, "held_out": 0.5}, look=CARD),
    "sharding": Pair(one=FAST, other={"sharding": {"steps": 40}}, look=CARD),
    "sharding.steps": Pair(one=FAST, other={"sharding.steps": 40}, look=CARD),
    "sharding.hardware": Pair(
        one=FAST, other={"sharding": {"steps": 10, "hardware": "v100"}}, look=CARD
    ),
}

PAIRS = {
    "learn": LEARN,
    "antenna": ANTENNA,
    "ilp": ILP,
    "sharding": SHARDING,
    "compile": COMPILE,
    "probe": PROBE,
    "plan": {},
}
BASES["probe"] = {}
BASES["plan"] = {"goal": "Solve m.lp for 5 s"}
