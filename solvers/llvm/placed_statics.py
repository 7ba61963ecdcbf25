"""Static variables that a source places in a section of its own, kept whatever refers to them.

A table that a linker script or `__start_SECTION` gathers is made of such variables, each
`__attribute__((used, section("...")))`. IR of `clang -fembed-bitcode` has lost the first attribute:
`embedBitcodeInModule` (LLVM, lib/Transforms/Utils/ModuleUtils.cpp and BitcodeWriter.cpp) takes
`llvm.compiler.used` out of the module before it writes it.
"""

from __future__ import annotations

import re

from solvers.llvm.ir_text import SYMBOL, used_symbols

_PLACED = re.compile(
    rf"^{SYMBOL} = (?:internal|private) (?!.*\baddrspace\()"
    r'[^\n]*?\b(?:global|constant) [^\n]*, section "(?!llvm\.)[^"\n]+"',
    re.MULTILINE,
)
_COMPILER_USED = re.compile(
    r"^@llvm\.compiler\.used = appending global \[(?P<number>\d+) x ptr\] "
    r"\[(?P<items>[^\n]*)\], section[^\n]*$",
    re.MULTILINE,
)
_FORM = '@llvm.compiler.used = appending global [{} x ptr] [{}], section "llvm.metadata"'


def with_placed_statics(text: str) -> str:
    """Return a module's text in which `llvm.compiler.used` lists its placed static variables.

    text: as `opt -S` prints it. It is returned as it is where nothing is to be added.
    """
    listed = used_symbols(text)
    added = [f"ptr @{name}" for name in _PLACED.findall(text) if name not in listed]
    if not added:
        return text
    present = _COMPILER_USED.search(text)
    if present is None:
        return f"{text}\n{_FORM.format(len(added), ', '.join(added))}\n"
    items = ", ".join((present["items"], *added))
    line = _FORM.format(int(present["number"]) + len(added), items)
    return text[: present.start()] + line + text[present.end() :]
