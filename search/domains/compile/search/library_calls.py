"""Library functions that LLVM calls and the program did not: is it smaller without them?

LLVM replaces calls by others: fprintf of a constant by fwrite, strchr in a constant by memchr. A
dynamically linked program that imports one function more takes about 60 bytes for it on x86-64: its
name, symbol, version, relocation and address. A statically linked one takes the function's code.
LLVM does not count these bytes. Functions with the attribute `no-builtin-NAME` get no such call.
"""

from __future__ import annotations

import re

from solvers.llvm.engine import CandidateFailed, Engine
from solvers.llvm.module import EVERY_FUNCTION
from solvers.llvm.types import Measured

# Not LLVM's intrinsics, whose names have a dot.
_DECLARED = re.compile(r"^declare [^@\n]*@(?P<name>[A-Za-z_]\w*)\(", re.MULTILINE)


def without_new_calls(
    engine: Engine, best: Measured
) -> tuple[tuple[str, str, bool], ...]:
    """Return attributes that forbid the library functions that only the optimised program calls.

    Empty where it calls no other than its input. The optimised program is built, not measured.
    """
    try:
        text = engine.build(best.recipe).text
    except CandidateFailed:
        return ()
    called = {match["name"] for match in _DECLARED.finditer(text)}
    new = sorted(called - set(engine.info.declared))
    return tuple((EVERY_FUNCTION, f"no-builtin-{name}", True) for name in new)
