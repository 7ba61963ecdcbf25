"""Random goals with known readings: slot sets rendered in varied words, for property tests."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from search.domains.plan.types import FileFacts, FileRole
from trimtab.specs.antenna import AntennaSpec
from trimtab.specs.compile import CompileSpec
from trimtab.specs.ilp import IlpSpec
from trimtab.specs.sharding import ShardingSpec

SPECS = {
    "ilp": IlpSpec,
    "sharding": ShardingSpec,
    "compile": CompileSpec,
    "antenna": AntennaSpec,
}
_UNITS = [
    *(
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
    ),
    *(
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
    ),
    "nineteen",
]
_TENS = [
    "",
    "",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
]


@dataclass
class Expected:
    """A job that a goal must be read as."""

    kind: str
    file: str | None
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A goal with its reading."""

    text: str
    files: tuple[FileFacts, ...]
    jobs: tuple[Expected, ...]
    order: frozenset[tuple[int, int]] = frozenset()


def in_words(number: int) -> str:
    """Return a number below a million in English words."""
    if number < 20:
        return _UNITS[number]
    if number < 100:
        return _TENS[number // 10] + (f"-{_UNITS[number % 10]}" if number % 10 else "")
    if number < 1000:
        rest = f" and {in_words(number % 100)}" if number % 100 else ""
        return f"{_UNITS[number // 100]} hundred{rest}"
    rest = f" {in_words(number % 1000)}" if number % 1000 else ""
    return f"{in_words(number // 1000)} thousand{rest}"


def _count(rng: random.Random, number: int) -> str:
    forms = [str(number), str(number), in_words(number)]
    if number >= 1000:
        forms += [f"{number:,}", f"{number:,}"]
    return rng.choice(forms)


def _duration(rng: random.Random, seconds: int) -> str:
    forms = [f"{seconds} s", f"{seconds}s", f"{seconds} seconds", f"{seconds} sec"]
    if seconds % 60 == 0:
        minutes = seconds // 60
        plural = "" if minutes == 1 else "s"
        forms += [
            f"{minutes} min",
            f"{minutes}m",
            f"{minutes} mins",
            f"{_count(rng, minutes)} minute{plural}",
        ]
        if seconds % 3600 == 0:
            forms += [f"{minutes // 60} h", f"{in_words(minutes // 60)} hours"]
        if seconds == 5400:
            forms += [
                "1h30",
                "an hour and a half",
                "one and a half hours",
                "1.5 h",
                "90 min",
            ]
        if seconds == 1800:
            forms += ["half an hour", "0.5 h", "1/2 h"]
        if seconds == 900:
            forms += ["a quarter of an hour", "quarter of an hour"]
    elif seconds == 30:
        forms += ["half a minute", "thirty seconds"]
    elif seconds == 90:
        forms += ["1.5 minutes", "one and a half minutes", "1 min 30 s", "1m30s"]
    return rng.choice(forms)


Fragment = tuple[str, dict[str, Any]]
Maker = Callable[[random.Random], Fragment]


def _seconds(rng: random.Random) -> Fragment:
    seconds = rng.choice(
        [5, 20, 30, 45, 60, 75, 90, 120, 180, 300, 420, 600, 900, 1800, 5400, 7200]
    )
    words = _duration(rng, seconds)
    form = rng.choice(
        [
            "{} at most",
            "at most {}",
            "within {}",
            "for {}",
            "no longer than {}",
            "{} max",
            "with a time limit of {}",
            "time limit {}",
            "in under {}",
            "not more than {}",
            "{}",
            "it may take {}",
            "stop after {}",
            "budget: {}",
            "{} should be enough",
            "limited to {}",
            "a {} limit" if "s" not in words[-1] else "limit: {}",
        ]
    )
    return form.format(words), {"budget.seconds": seconds}


def _seed(rng: random.Random) -> Fragment:
    seed = rng.choice([1, 2, 3, 7, 11, 42, 123, 1234])
    form = rng.choice(
        [
            "seed {}",
            "seed={}",
            "with seed {}",
            "random seed {}",
            "use {} as seed",
            "seed: {}",
        ]
    )
    return form.format(seed), {"seed": seed}


def _gap(rng: random.Random) -> Fragment:
    gap = rng.choice([0.1, 0.5, 1, 2, 5])
    form = rng.choice(
        [
            "stop at a gap of {} %",
            "gap {}%",
            "a gap of {} percent is fine",
            "{}% gap is enough",
            "until the gap is below {} %",
            "optimality gap of {}%",
            "MIP gap <= {}%",
        ]
    )
    return form.format(f"{gap:g}"), {"budget.target_gap": gap / 100}


def _engine(rng: random.Random) -> Fragment:
    name, value = rng.choice(
        [
            ("HiGHS", "highs"),
            ("SCIP", "scip"),
            ("CP-SAT", "cp-sat"),
            ("cp sat", "cp-sat"),
            ("scip", "scip"),
        ]
    )
    form = rng.choice(
        [
            "with {}",
            "using {}",
            "engine {}",
            "solver: {}",
            "use {}",
            "take {} for it",
            "{} please",
            "via {}",
        ]
    )
    return form.format(name), {"spec.engine": value}


def _threads(rng: random.Random) -> Fragment:
    threads = rng.choice([1, 4, 8, 16])
    noun = rng.choice(["threads", "cores"]) if threads > 1 else "thread"
    form = rng.choice(
        ["on {n} {w}", "{n} {w}", "with {n} {w}", "using {n} {w}", "threads={n}"]
    )
    return form.format(n=threads, w=noun), {"spec.threads": threads}


def _no_lns(rng: random.Random) -> Fragment:
    words = rng.choice(
        [
            "without LNS",
            "no LNS",
            "LNS off",
            "large neighbourhood search disabled",
            "do not use LNS",
        ]
    )
    return words, {"spec.lns.enabled": False}


def _devices(rng: random.Random) -> Fragment:
    count = rng.choice([2, 4, 8, 12, 16, 32, 64])
    memory = rng.choice([16, 24, 32, 40, 48, 72, 80])
    hardware = rng.choice(["v100", "a100", "h100", None])
    name = hardware.upper() if hardware else ""
    n = _count(rng, count)
    values: dict[str, Any] = {
        "spec.devices.0.count": count,
        "spec.devices.0.memory_gib": memory,
    }
    if hardware:
        values["spec.devices.0.hardware"] = hardware
        forms = [
            f"{n} {name}s with {memory} GiB each",
            f"{count}x{name} with {memory} GiB",
            f"{n} {name} GPUs of {memory} GiB",
            f"{n} {name} ({memory} GiB)",
            f"{count} x {name} {memory}GB",
            f"{n} {name}s, {memory} GB apiece",
            f"{n} {name} cards, each with {memory} gigabytes",
        ]
    else:
        noun = rng.choice(["GPUs", "devices", "cards", "accelerators"])
        forms = [
            f"{n} {noun} with {memory} GiB each",
            f"{n} {noun} of {memory} GB",
            f"{n} {noun} ({memory} GiB each)",
            f"{n} {noun}, {memory} GiB apiece",
            f"{n} {noun} with {memory} GiB of memory",
        ]
    return rng.choice(["on {}", "over {}", "across {}", "to {}"]).format(
        rng.choice(forms)
    ), values


def _batch(rng: random.Random) -> Fragment:
    batch = rng.choice([4096, 8192, 16384, 32768, 131072])
    forms = [
        f"batch {batch}",
        f"global batch {batch:,}",
        f"a batch size of {batch}",
        f"batch size {batch // 1024}k",
    ]
    return rng.choice(forms), {"spec.global_batch": batch}


def _optimizer(rng: random.Random) -> Fragment:
    name, value = rng.choice([("Adam", "adam"), ("SGD", "sgd"), ("adagrad", "adagrad")])
    return rng.choice(
        ["optimizer {}", "with {}", "we train with {}", "{} optimizer"]
    ).format(name), {"spec.optimizer": value}


def _evaluations(rng: random.Random) -> Fragment:
    number = rng.choice([40, 100, 150, 300, 500, 2000])
    form = rng.choice(
        ["{} evaluations", "at most {} evaluations", "{} evals", "try {} evaluations"]
    )
    return form.format(_count(rng, number)), {"budget.evaluations": number}


def _triple(rng: random.Random) -> Fragment:
    triple = rng.choice(
        ["aarch64-unknown-linux-gnu", "thumbv7em-none-eabi", "riscv64-unknown-elf"]
    )
    return rng.choice(["for {}", "target {}", "built for {}", "({})"]).format(triple), {
        "spec.target.triple": triple
    }


def _objective(rng: random.Random) -> Fragment:
    words, value = rng.choice(
        [
            ("only code bytes matter", "code_bytes"),
            ("objective code bytes", "code_bytes"),
            ("minimise IR instructions", "ir_instructions"),
            ("count IR instructions", "ir_instructions"),
        ]
    )
    return words, {"spec.objective": value}


def _thickness(rng: random.Random) -> Fragment:
    mm = rng.choice([0.508, 0.787, 1.524, 1.6, 3.175])
    form = rng.choice(
        [
            "{} mm thick",
            "substrate height {} mm",
            "thickness {} mm",
            "a {} mm thick board",
        ]
    )
    return form.format(mm), {"spec.board.height_mm": mm}


def _permittivity(rng: random.Random) -> Fragment:
    eps = rng.choice([2.2, 3.48, 3.66, 4.3])
    form = rng.choice(
        [
            "eps {}",
            "er={}",
            "permittivity {}",
            "relative permittivity of {}",
            "dielectric constant {}",
        ]
    )
    return form.format(eps), {"spec.board.eps_r": eps}


def _efficiency(rng: random.Random) -> Fragment:
    percent = rng.choice([50, 60, 70, 80])
    form = rng.choice(
        [
            "efficiency at least {} %",
            "at least {}% efficiency",
            "efficiency above {} percent",
        ]
    )
    return form.format(percent), {"spec.min_efficiency": percent / 100}


def _band(rng: random.Random) -> Fragment:
    low, high = rng.choice(
        [(2.4, 2.48), (5.15, 5.85), (3.3, 3.8), (0.863, 0.87), (1.565, 1.585)]
    )
    form = rng.choice(
        [
            f"{low} to {high} GHz",
            f"{low}-{high} GHz",
            f"{low * 1000:g} to {high * 1000:g} MHz",
            f"from {low} GHz to {high} GHz",
            f"between {low} and {high} GHz",
            f"{low * 1000:g}–{high * 1000:g} MHz",
        ]
    )
    return form, {
        "spec.bands.0.f_lo_hz": low * 1e9,
        "spec.bands.0.f_hi_hz": high * 1e9,
    }


@dataclass(frozen=True, kw_only=True)
class _Kind:
    suffixes: tuple[str, ...]
    role: FileRole | None
    verbs: tuple[str, ...]
    needed: tuple[Maker, ...]
    optional: tuple[Maker, ...]


KINDS: Mapping[str, _Kind] = {
    "ilp": _Kind(
        suffixes=(".mps", ".lp", ".mps.gz"),
        role=FileRole.MODEL,
        verbs=(
            "solve {}",
            "optimise {}",
            "run {}",
            "please solve {}",
            "minimise {}",
            "find the best solution of {}",
        ),
        needed=(),
        optional=(_seconds, _seed, _gap, _engine, _threads, _no_lns),
    ),
    "sharding": _Kind(
        suffixes=(".csv",),
        role=FileRole.TABLES,
        verbs=(
            "shard {}",
            "place the tables of {}",
            "distribute {}",
            "spread {}",
            "put the tables in {}",
        ),
        needed=(_devices,),
        optional=(_seconds, _seed, _batch, _optimizer),
    ),
    "compile": _Kind(
        suffixes=(".c", ".cpp", ".tar.gz"),
        role=FileRole.SOURCE,
        verbs=(
            "shrink {}",
            "make {} smaller",
            "compile {} for size",
            "squeeze {}",
            "reduce the size of {}",
        ),
        needed=(),
        optional=(_seconds, _seed, _evaluations, _triple, _objective),
    ),
    "antenna": _Kind(
        suffixes=(),
        role=None,
        verbs=(
            "design an antenna for {}",
            "I need a patch antenna, {}",
            "antenna for {}",
            "find a planar antenna covering {}",
        ),
        needed=(),
        optional=(_seconds, _thickness, _permittivity, _efficiency),
    ),
}
_NAMES = [
    "alpha",
    "depot",
    "crew7",
    "q3_plan",
    "net-1",
    "fw",
    "users",
    "north",
    "job2",
    "kernel",
    "emb_v2",
]
_THEN = [", then {}", ". Then {}", "; after that {}", ", and then {}", ". Afterwards {}"]
_ALSO = [". Also {}", "; {}", ". {}", ". Independently {}"]


def sample(rng: random.Random, *, jobs: int = 1) -> Sample:
    """Return a random goal of so many jobs."""
    names = rng.sample(_NAMES, jobs)
    clauses: list[str] = []
    expected: list[Expected] = []
    files: list[FileFacts] = []
    order: set[tuple[int, int]] = set()
    text = ""
    for i, name in enumerate(names):
        kind = rng.choice([k for k in KINDS if k != "antenna" or jobs == 1])
        clause, job, file = _clause(rng, kind, name, short=jobs > 1)
        expected.append(job)
        if file is not None:
            files.append(file)
        if i == 0:
            text = clause
            continue
        if rng.random() < 0.5:
            text += rng.choice(_THEN).format(clause)
            order.add((i - 1, i))
        else:
            text += rng.choice(_ALSO).format(clause)
        clauses.append(clause)
    ending = rng.choice(["", ".", ". Thanks!", " please", "."])
    opening = rng.choice(["", "", "Hi, ", "Hello! ", "Could you "]) if jobs == 1 else ""
    return Sample(
        text=opening + text + ending,
        files=tuple(files),
        jobs=tuple(expected),
        order=frozenset(order),
    )


def _clause(
    rng: random.Random, kind: str, name: str, *, short: bool
) -> tuple[str, Expected, FileFacts | None]:
    rules = KINDS[kind]
    job = Expected(kind=kind, file=None)
    fact = None
    if rules.role is None:
        subject, values = _band(rng)
        job.values |= values
    else:
        subject = job.file = name + rng.choice(rules.suffixes)
        fact = FileFacts(name=subject, digest="sha256:" + "0" * 64, roles=(rules.role,))
    parts = [rng.choice(rules.verbs).format(subject)]
    fragments: list[str] = []
    for maker in rules.needed:
        words, values = maker(rng)
        parts[0] += f" {words}"
        job.values |= values
    most = 2 if short else len(rules.optional)
    for maker in rng.sample(rules.optional, rng.randint(0, most)):
        words, values = maker(rng)
        fragments.append(words)
        job.values |= values
    return _joined(rng, parts, fragments, short=short), job, fact


def _joined(
    rng: random.Random, parts: Sequence[str], fragments: Sequence[str], *, short: bool
) -> str:
    text = parts[0]
    for words in fragments:
        joint = (
            ", " if short else rng.choice([", ", ", ", ". ", "; ", " and ", ", also "])
        )
        text += joint + (words[0].upper() + words[1:] if joint == ". " else words)
    return text
