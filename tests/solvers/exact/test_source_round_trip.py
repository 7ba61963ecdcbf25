"""Random tiny programs survive both formats, to the last digit."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from solvers.exact import read_exact
from tests.solvers.exact.programs import (
    Program,
    as_program,
    random_program,
    write_lp,
    write_mps,
)

WRITERS: dict[str, tuple[str, Callable[[Program, random.Random], str]]] = {
    "free mps": ("mps", write_mps),
    "fixed mps": ("mps", lambda program, rng: write_mps(program, rng, fixed=True)),
    "lp": ("lp", write_lp),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_read_back_equal(tmp_path: Path, writer: str, scale: float) -> None:
    form, write = WRITERS[writer]
    path = tmp_path / f"tiny.{form}"
    for seed in range(max(300, int(10_000 * scale))):
        rng = random.Random(seed)
        # Its fields are narrow.
        program = random_program(rng, digits=3 if writer == "fixed mps" else 8)
        text = write(program, rng)
        path.write_bytes(
            gzip.compress(text.encode(), 1) if rng.random() < 0.1 else text.encode()
        )
        assert as_program(read_exact(path, format=form)) == program, (
            f"seed {seed}:\n{text}"
        )
