"""C programs by seed: firmware-like, executable, self-checking, without undefined behaviour.

A program is three to eight units (tokenisers, protocol codecs, tables, containers, filters,
ciphers, interpreters …) whose constants, fields, states and expressions are drawn; `main` runs
each on generated inputs and prints a checksum for each unit and one for all. Arithmetic is
unsigned, shifts are below the width, indices are taken modulo the length or checked: every
correct compiler's program prints the same.

    python -m workers.corpus.generator 17 > program.c

Seeds below 500 train; from 1000 on they are held out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from workers.corpus.generator import control, data, numbers, text
from workers.corpus.generator.source import Source

UNITS: tuple[Callable[[Source, str], None], ...] = (
    text.tokeniser,
    text.evaluator,
    text.formatter,
    text.commands,
    data.records,
    data.pool,
    data.table,
    data.heap,
    numbers.checksum,
    numbers.codec,
    numbers.filter_,
    numbers.cipher,
    numbers.grid,
    control.handlers,
    control.machine,
)
_HEAD = """#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint32_t mix(uint32_t h, uint32_t v) \
{ h ^= v + 0x9e3779b9u + (h << 6) + (h >> 2); return h * 2654435761u; }
static uint32_t next(uint32_t *state) \
{ *state ^= *state << 13; *state ^= *state >> 17; *state ^= *state << 5; return *state; }
"""


def program(seed: int) -> str:
    """Return the C source of the program of a seed. Raises ValueError below 0."""
    if seed < 0:
        raise ValueError(f"seed: expected 0 or more, got {seed}")
    out = Source(np.random.default_rng((seed, 22)))
    for number in range(out.number(3, 8)):
        unit = UNITS[out.number(0, len(UNITS) - 1)]
        unit(out, f"{unit.__name__.rstrip('_')}{number}")
    return _HEAD + "\n".join(out.text) + "\n" + _main(out)


def _main(out: Source) -> str:
    calls = "\n".join(
        f'  h = {run}(seed + {i}u);\n  printf("{run} %08x\\n", (unsigned)h);\n  all = mix(all, h);'
        for i, run in enumerate(out.runs)
    )
    return f"""
int main(int argc, char **argv) {{
  uint32_t h, all = 0, seed = {out.word()};
  if (argc > 1) for (const char *p = argv[1]; *p; p++) seed = mix(seed, (unsigned char)*p) | 1u;
{calls}
  printf("checksum %08x\\n", (unsigned)all);
  return 0;
}}
"""
