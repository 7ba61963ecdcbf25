"""Coresets of firmware: pipelines by linked flash, and code generation for single functions.

Each program of `workers.corpus.training_firmware` is linked as IR for a machine, as an image job
does. Two tables are measured, and both resume:

- pipelines: the published ones by linked flash; their greedy order over the programs is the
  machine's list of linked programs;
- code: options of the code generator, single and drawn at random, on the program of one pipeline,
  by the bytes of each function. Their greedy order over the functions is what a search tries
  before it gives each function the options that make it smallest.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cost_models.weights.publish import publish_file
from search.domains.compile.encode import Prepared, prepare
from search.domains.compile.parse.problem import parse_problem
from search.domains.compile.search.coreset import FIRMWARE, greedy, load_coreset
from search.domains.compile.search.edits import Candidate
from search.types import InvalidInput
from solvers.llvm.pipeline import BadPipeline
from solvers.llvm.types import Measured, Metric, Outcome, Recipe
from trimtab.specs.compile import Tier
from workers.corpus.firmware import MACHINES
from workers.corpus.sources import CorpusMissing
from workers.corpus.training_firmware import TRAINING
from workers.train.compile.linked import Say, order

MEASURED = "firmware.jsonl"
_DRAWN, _SEED = 14, 0  # sets of options drawn at random
_PIPELINES = 8  # published pipelines of each metric that are measured
# Options of which a set has at most one of each row.
_CHOICES: tuple[tuple[str, ...], ...] = (
    ("-misched=ilpmin", "-misched=ilpmax", "-enable-misched=false"),
    ("-regalloc=basic", "-greedy-reverse-local-assignment", "-split-spill-mode=size"),
    ("-pre-RA-sched=list-burr", "-pre-RA-sched=list-ilp", "-pre-RA-sched=list-hybrid"),
    ("-apply-ext-tsp-for-size", "-disable-block-placement"),
    ("-aggressive-machine-cse", "-disable-machine-cse"),
    ("-disable-machine-licm",),
    ("-disable-lsr", "-lsr-drop-solution"),
    ("-sink-insts-to-avoid-spills", "-disable-machine-sink"),
    ("-enable-shrink-wrap=false",),
    ("-min-jump-table-entries=3", "-min-jump-table-entries=16"),
    ("-post-RA-scheduler",),
    ("-tail-merge-size=2",),
)
_SETS = 10  # that are published
# Machine of the corpus → architecture that its lists are for.
ARCHITECTURES = {"cortex-m4": "arm", "rv32imc": "riscv32"}
_CHANCE = 0.4  # of a row to have an option in a set


def option_sets() -> list[tuple[str, ...]]:
    """Return the sets of code generation to measure: none, each option alone, drawn ones."""
    rng = np.random.default_rng(_SEED)
    alone = [(option,) for row in _CHOICES for option in row]
    drawn = [
        tuple(
            row[int(rng.integers(len(row)))] for row in _CHOICES if rng.random() < _CHANCE
        )
        for _ in range(_DRAWN)
    ]
    return list(dict.fromkeys([(), *alone, *drawn]))


def pipelines() -> list[Candidate]:
    """Return -Oz and the first published pipelines of code bytes and loadable bytes, each once."""
    published = [
        candidate
        for metric in (Metric.CODE_BYTES, Metric.LOADABLE_BYTES)
        for candidate in load_coreset(metric)[:_PIPELINES]
        if candidate.tier is Tier.DEFAULT
    ]
    by_digest = {c.digest: c for c in (Candidate(name="Oz"), *published)}
    return list(by_digest.values())


def measure_firmware(
    folder: Path, *, machine: str, programs: Sequence[str], say: Say
) -> None:
    """Measure what is missing of both tables into firmware.jsonl."""
    for name in programs:
        try:
            with tempfile.TemporaryDirectory(prefix="trimtab-train-") as scratch:
                prepared = _prepared(folder, name, machine, Path(scratch))
                with prepared.engine:
                    count = 0
                    for row in _measured(folder, machine, name, prepared):
                        with (folder / MEASURED).open("a") as out:
                            out.write(json.dumps(row) + "\n")
                        count += 1
            say(f"{machine}, {name}: {count} measured")
        except (InvalidInput, CorpusMissing) as error:
            say(f"{machine}, {name} is left out: {error}")


def _prepared(folder: Path, name: str, machine: str, scratch: Path) -> Prepared:
    program, work = TRAINING[name], scratch / "work"
    archive = program.archive(folder, scratch)
    work.mkdir()
    spec = program.spec(**MACHINES[machine].spec_fields(program), image={})
    return prepare(parse_problem(spec, {"source": archive}, work))


def _measured(
    folder: Path, machine: str, name: str, prepared: Prepared
) -> Iterator[dict[str, Any]]:
    done = {
        (row["table"], row["candidate"])
        for row in rows(folder)
        if (row["machine"], row["program"]) == (machine, name)
    }
    about = {"machine": machine, "program": name}
    for candidate in pipelines():
        if ("pipelines", candidate.digest) in done:
            continue
        measured = _measure(prepared, candidate)
        yield {
            **about,
            "table": "pipelines",
            "candidate": candidate.digest,
            "name": candidate.name,
            "flash": measured.sizes.loadable_bytes
            if measured and measured.sizes
            else None,
        }
    base = pipelines()[1]
    for options in option_sets():
        key = " ".join(options)
        if ("code", key) in done:
            continue
        measured = _measure(prepared, base.generated_by(options))
        yield {
            **about,
            "table": "code",
            "candidate": key,
            "flash": measured.sizes.loadable_bytes
            if measured and measured.sizes
            else None,
            "functions": dict(measured.sizes.functions)
            if measured and measured.sizes
            else None,
        }


def _measure(prepared: Prepared, candidate: Candidate) -> Measured | None:
    try:
        recipe: Recipe = candidate.recipe(prepared.pipelines)
    except BadPipeline:
        return None
    (measured,) = prepared.engine.measure([recipe])
    return measured if measured.outcome is Outcome.OK else None


def code_order(table: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[float]]:
    """Return option sets in greedy order over functions, and the mean share of code saved by them.

    Each program counts alike: the bytes of its functions are shares of all its code. The first set
    is the best for whole programs; from the second on, each function has its smallest of the sets
    so far.
    """
    failed = {row["candidate"] for row in table if row["functions"] is None}
    sizes: dict[str, dict[str, Mapping[str, int]]] = {}
    for row in table:
        if row["candidate"] not in failed:
            sizes.setdefault(row["program"], {})[row["candidate"]] = row["functions"]
    keys = sorted(set.intersection(*(set(by) for by in sizes.values())))
    columns = []
    for by in sizes.values():
        names = sorted(by[""])
        total = sum(by[""].values())
        largest = {n: max(by[k].get(n, 0) for k in keys) for n in names}
        columns.append(
            np.array(
                [
                    [(largest[n] - by[k].get(n, largest[n])) / total for k in keys]
                    for n in names
                ]
            )
        )
    reward = np.concatenate(columns)
    chosen = greedy(reward, len(keys))
    plain = float(reward[:, keys.index("")].sum())
    means = [
        (float(reward[:, chosen[: i + 1]].max(axis=1).sum()) - plain) / len(sizes)
        for i in range(len(chosen))
    ]
    return [keys[j] for j in chosen], means


def publish_firmware(folder: Path, *, out: Path, command: str, say: Say) -> None:
    """Write both orders of every machine as `compile-firmware.json`.

    Raises ValueError when no program is measured.
    """
    by_digest = {candidate.digest: candidate for candidate in pipelines()}
    wanted = {*by_digest, *map(" ".join, option_sets())}
    everything = [row for row in rows(folder) if row["candidate"] in wanted]
    document: dict[str, object] = {}
    metric = []
    for machine, architecture in ARCHITECTURES.items():
        mine = [row for row in everything if row["machine"] == machine]
        digests, means = order([row for row in mine if row["table"] == "pipelines"])
        code = [row for row in mine if row["table"] == "code"]
        keys, shares = code_order(code)
        chosen = [by_digest[digest] for digest in digests if digest in by_digest]
        for candidate, mean in zip(chosen, means, strict=False):
            say(f"{machine}: {candidate.name:24s} {mean:.2%} of flash")
        for key, share in zip(keys[:_SETS], shares, strict=False):
            say(f"{machine}: {share:7.2%} of code  {key or '(none)'}")
        programs = sorted({str(row["program"]) for row in mine})
        document[architecture] = {
            "candidates": [candidate.as_json() for candidate in chosen],
            "code": [key.split() for key in keys[:_SETS]],
            "programs": programs,
        }
        metric.append(
            f"{machine}: mean flash of {len(programs)} programs saved against -Oz with the first "
            f"three {means[min(2, len(means) - 1)]:.2%}; code saved by the first three sets, the "
            f"smallest for each function, {shares[min(2, len(shares) - 1)]:.2%}"
        )
    publish_file(
        f"{FIRMWARE}.json",
        (json.dumps(document, indent=1) + "\n").encode(),
        folder=out,
        command=command,
        data=hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest(),
        metric="; ".join(metric),
    )


def rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the measured rows."""
    path = folder / MEASURED
    if path.is_file():
        yield from (json.loads(line) for line in path.read_text().splitlines())
