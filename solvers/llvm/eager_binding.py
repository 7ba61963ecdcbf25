"""Library calls through the global offset table where that is smaller: `-fno-plt`, by function.

A call through the procedure linkage table of x86-64 takes 5 bytes, and its function 16 bytes of
.plt. A call through the table of addresses takes 6 bytes and no .plt entry; the loader then binds
the function when the program starts, instead of at the first call. LLVM decides by the attribute
`nonlazybind` of the declaration, and by the module flag `RtLibUseGOT` for functions that the code
generator calls by name. clang's `-fno-plt` sets both for all functions.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping

from solvers.llvm.ir_text import NAME, SYMBOL

NO_PLT = "-fno-plt"
# Of .plt, for each function called through it. The table's header stays: the start files of a
# position-independent program call one function through the table.
_ENTRY_BYTES = 16
_CALL = re.compile(rf"\b(?:call|invoke) [^\n]*?{SYMBOL}\(")
_DECLARED = re.compile(
    rf"^declare [^\n]*?@(?P<name>{NAME})\([^\n]*$",
    re.MULTILINE,
)
_GROUP = re.compile(r" #\d+")
_FLAGS = re.compile(r"^!llvm\.module\.flags = !\{(?P<items>[^}\n]*)\}$", re.MULTILINE)
_NUMBERED = re.compile(r"^!(\d+) = ", re.MULTILINE)
_BY_NAME = ("llvm.memcpy.", "llvm.memmove.", "llvm.memset.")
_RUNTIME = "runtime calls"  # of the code generator: one decision for all of them
_FLAG = "RtLibUseGOT"


def has_smaller_calls(triple: str) -> bool:
    """Tell whether calls through the table of addresses can be smaller on a target."""
    return re.match(r"x86_64-.*linux", triple) is not None


def with_eager_calls(text: str, *, all_functions: bool = False) -> str:
    """Return a module's text (of `opt -S`) whose library calls are bound eagerly where smaller.

    all_functions: for every function, as `clang -fno-plt` does.
    """
    declared = {
        match["name"]
        for match in _DECLARED.finditer(text)
        if not match["name"].startswith("llvm.")
    }
    names = {*declared, _RUNTIME}
    chosen = names if all_functions else _smaller(_calls(text, declared), names)
    text = _DECLARED.sub(lambda match: _declaration(match, chosen), text)
    return _with_flag(text) if _RUNTIME in chosen else text


def _calls(text: str, declared: Collection[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for match in _CALL.finditer(text):
        name = match[1]
        if name in declared:
            counts[name] += 1
        elif name.startswith(_BY_NAME):
            counts[_RUNTIME] += 1
    return counts


def _smaller(calls: Mapping[str, int], names: Collection[str]) -> Collection[str]:
    """Choose the functions: each call costs a byte more, and each function saves its entry."""
    return {name for name in names if calls[name] < _ENTRY_BYTES}


def _declaration(match: re.Match[str], chosen: Collection[str]) -> str:
    line = match[0]
    if match["name"] not in chosen or "nonlazybind" in line:
        return line
    group = _GROUP.search(line, match.end("name") - match.start())
    place = group.start() if group else len(line)
    return f"{line[:place]} nonlazybind{line[place:]}"


def _with_flag(text: str) -> str:
    """Return the text with the module flag, which its metadata may hold already."""
    if f'!"{_FLAG}"' in text:
        return text
    number = 1 + max((int(match[1]) for match in _NUMBERED.finditer(text)), default=-1)
    flags = _FLAGS.search(text)
    items = [flags["items"]] if flags is not None and flags["items"] else []
    line = f"!llvm.module.flags = !{{{', '.join([*items, f'!{number}'])}}}"
    body = _FLAGS.sub(line, text) if flags is not None else f"{text}\n{line}"
    return f'{body}\n!{number} = !{{i32 7, !"{_FLAG}", i32 1}}\n'
