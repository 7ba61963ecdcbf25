"""Broken and hostile files: refused with a ModelError, in time, within limits."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest

from solvers.errors import ModelError
from solvers.exact import ExactLimits, check, read_exact
from tests.solvers.exact.programs import random_program, write_lp, write_mps
from tests.waiting import cpu_limit

DATA = Path(__file__).parent / "data"

NASTY = [
    *b"1e999999 nan inf -inf 1e308 -1e-400 0x1 1_0 .. + - -- : :: [ ] ^2 * / -> <=".split(),
    *b">= = < > 'MARKER' 'INTORG'".split(),
    *b"free end ENDATA ROWS COLUMNS RHS RANGES BOUNDS OBJSENSE SOS SETS st bounds".split(),
    *b"general sos1 \xff \xc3\xa9 $ \\".split(),
    *(b"\0", b"\r", b"\t", b"\x1c", b"\x85", b"\n", b"", b"9" * 5000, b"a" * 5000),
]


def mutated(content: bytes, rng: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        way = rng.randrange(7)
        place = rng.randrange(len(data) + 1)
        if way == 0 and data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        elif way == 1:
            del data[place:]
        elif way == 2:
            data[place:place] = b" " + rng.choice(NASTY) + b" "
        elif way == 3:
            words = bytes(data).split(b" ")
            words[rng.randrange(len(words))] = rng.choice(NASTY)
            data = bytearray(b" ".join(words))
        elif way == 4:
            del data[place : place + rng.randrange(1, 40)]
        elif way == 5:
            lines = bytes(data).split(b"\n")
            rng.shuffle(lines) if rng.random() < 0.3 else lines.insert(
                rng.randrange(len(lines)), rng.choice(lines)
            )
            data = bytearray(b"\n".join(lines))
        else:
            data[place:place] = data[rng.randrange(len(data) + 1) :][: rng.randrange(200)]
    if rng.random() < 0.1:
        packed = bytearray(gzip.compress(bytes(data), 1))
        for _ in range(rng.randrange(3)):
            packed[rng.randrange(len(packed))] ^= 1 << rng.randrange(8)
        return bytes(packed[: rng.choice((len(packed), rng.randrange(len(packed))))])
    return bytes(data)


def refusal(path: Path, form: str) -> str | None:
    """What the reader has against the file; a file that it takes is checked too."""
    try:
        model = read_exact(path, format=form, deadline_s=5)
        check(model, [1.5] * model.n)
    except ModelError as error:
        return str(error)
    return None


def test_mutated_files(tmp_path: Path, scale: float) -> None:
    sources = [path.read_bytes() for path in sorted(DATA.iterdir())]
    seen = {"read": 0, "refused": 0}
    path = tmp_path / "m"
    for seed in range(max(400, int(15_000 * scale))):
        rng = random.Random(seed)
        program = random_program(rng)
        content = rng.choice(
            [*sources, write_mps(program, rng).encode(), write_lp(program, rng).encode()]
        )
        path.write_bytes(mutated(content, rng))
        with cpu_limit(20):
            message = refusal(path, rng.choice(("mps", "lp", "auto")))
        seen["read" if message is None else "refused"] += 1
        assert message is None or 0 < len(message) < 2000, f"seed {seed}"
    assert min(seen.values()) > 20, seen


BIG = {
    "variables": (
        "COLUMNS\n" + "".join(f" x{i} c 1\n" for i in range(200_000)),
        ExactLimits(max_columns=1000),
    ),
    "rows": (
        "".join(f" L r{i}\n" for i in range(300_000)) + "COLUMNS\n",
        ExactLimits(max_rows=1000),
    ),
    "different coefficients": (
        "".join(f" L r{i}\n" for i in range(2000))
        + "COLUMNS\n"
        + "".join(f" x{i} r{i % 2000} {i + 1}\n" for i in range(100_000)),
        ExactLimits(max_distinct=1000),
    ),
}


@pytest.mark.parametrize("what", BIG)
def test_sizes_are_watched_while_reading(tmp_path: Path, what: str) -> None:
    text, limits = BIG[what]
    path = tmp_path / "m.mps"
    # Not ended: were the sizes looked at only at the end, this would be another refusal.
    path.write_text("ROWS\n N c\n" + text)
    assert path.stat().st_size > 1 << 20
    with pytest.raises(ModelError, match=f"{what}: expected at most 1,000"):
        read_exact(path, limits=limits)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("m.lp", b"x + "),
        ("m.lp", b"1 "),
        ("m.lp", b"[ x ^ 2 "),
        ("m.lp", b"- "),
        ("m.mps", b" N r\n"),
        ("m.mps", b"\n"),
    ],
)
def test_deadline_and_size_limits_hold(tmp_path: Path, name: str, line: bytes) -> None:
    path = tmp_path / (name + ".gz")
    start = b"min\n" if name == "m.lp" else b"ROWS\n"
    with gzip.open(path, "wb", compresslevel=1) as out:
        out.write(start)
        for _ in range(8):
            out.write(line * ((1 << 19) // len(line)) + b"\n")
    for options in ({"deadline_s": 0.2}, {"max_bytes": 1 << 19}):
        with cpu_limit(8), pytest.raises(ModelError):
            read_exact(path, **options)  # type: ignore[arg-type]


def test_absent_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot read none\.mps"):
        read_exact(tmp_path / "none.mps", format="mps")
    with pytest.raises(ModelError, match="cannot read"):
        read_exact(tmp_path, format="lp")
