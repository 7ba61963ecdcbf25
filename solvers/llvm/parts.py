"""A module in parts, each with its own options of the code generator.

LLVM's options hold for a whole process. So that single functions may have others, the module is
copied once for each set of options: a copy defines its own functions and declares the rest, the
first copy defines all data. What was internal becomes hidden, under a name that no C program can
have, and the linker makes it local again. Only the engine's server process and its children use
this: any call may end the process.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ctypes import byref, c_size_t
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from solvers.llvm.module import Module

OWN = ".own"  # at the end of names that were internal
# LLVMLinkage and LLVMVisibility of the C API.
_EXTERNAL, _AVAILABLE_EXTERNALLY, _APPENDING = 0, 1, 7
_INTERNAL = frozenset({8, 9})
_HIDDEN = 1
_REST = -1  # place of functions that belong to no group, and of the data
_NAME = r'@("(?:[^"\\]|\\.)*"|[-\w.$]+)'
_BLOCK_ADDRESS = re.compile(rf"\bblockaddress\({_NAME}")
_LISTED = re.compile(r"^@llvm\.[\w.]+ = appending .*$", re.MULTILINE)
_IN_COMDAT = re.compile(rf"^define .*?{_NAME}\(.*\bcomdat\b", re.MULTILINE)
_ASSEMBLY = re.compile(r'\basm (?:[a-z]+ )*"((?:[^"\\]|\\.)*)"')
_WORD = re.compile(r"[\w.$]+")


class CannotSplit(Exception):
    """The module cannot be taken apart. The message has the reason."""


def split(
    module: Module, groups: Sequence[Sequence[str]]
) -> tuple[Module, dict[int, Module]]:
    """Return the module of the data and of most functions, and one for each group, by its number.

    Functions that must stay with the data, or are not defined, stay in the first; a group without
    other functions has no module. `module` is changed. Raises CannotSplit.
    """
    _check(module)
    fixed = _fixed(module)
    places = {
        name: number
        for number, names in enumerate(groups)
        for name in names
        if name not in fixed and module.function(name)
    }
    places = _make_visible(module, places)
    numbers = sorted(set(places.values()))
    return _part(module, places, _REST), {n: _part(module, places, n) for n in numbers}


def _check(module: Module) -> None:
    lib, length = module.api.lib, c_size_t()
    lib.LLVMGetModuleInlineAsm(module.ref, byref(length))
    if length.value:
        raise CannotSplit("the module has assembly of its own")
    if module.api.each(module.ref, "GlobalAlias") or module.api.each(
        module.ref, "GlobalIFunc"
    ):
        raise CannotSplit("the module has aliases")
    words = {
        word
        for match in _ASSEMBLY.finditer(module.text())
        for word in _WORD.findall(match[1])
    }
    if words & _internal(module).keys():
        raise CannotSplit("assembly names an internal symbol")


def _internal(module: Module) -> dict[str, int]:
    """Return the internal definitions by name."""
    lib, api = module.api.lib, module.api
    return {
        api.name(item): item
        for kind in ("Function", "Global")
        for item in api.each(module.ref, kind)
        if lib.LLVMGetLinkage(item) in _INTERNAL
    }


def _fixed(module: Module) -> set[str]:
    """Return the functions that must be defined beside the data."""
    text, lib = module.text(), module.api.lib
    listed = "\n".join(_LISTED.findall(text))
    names = [
        *_BLOCK_ADDRESS.findall(text),
        *_IN_COMDAT.findall(text),
        *re.findall(_NAME, listed),
    ]
    others = [
        module.api.name(item)
        for item in module.api.each(module.ref, "Function")
        if lib.LLVMGetLinkage(item) not in {*_INTERNAL, _EXTERNAL}
    ]
    return {name.strip('"') for name in names} | set(others)


def _make_visible(module: Module, places: Mapping[str, int]) -> dict[str, int]:
    """Make what is internal hidden, under new names; return `places` by these names."""
    lib, moved = module.api.lib, dict(places)
    for number, (name, item) in enumerate(_internal(module).items()):
        new = f"{name or number}{OWN}"
        lib.LLVMSetLinkage(item, _EXTERNAL)
        lib.LLVMSetVisibility(item, _HIDDEN)
        lib.LLVMSetValueName2(item, new.encode(), len(new.encode()))
        if name in moved:
            moved[new] = moved.pop(name)
    return moved


def _part(module: Module, places: Mapping[str, int], place: int) -> Module:
    """Return a copy that defines the functions of one place; the first has the data, too."""
    part, lib, api = module.clone(), module.api.lib, module.api
    for item in api.each(part.ref, "Function"):
        if not lib.LLVMIsDeclaration(item) and places.get(api.name(item), _REST) != place:
            lib.LLVMSetLinkage(item, _AVAILABLE_EXTERNALLY)
    for item in () if place == _REST else api.each(part.ref, "Global"):
        if lib.LLVMGetLinkage(item) == _APPENDING:
            lib.LLVMDeleteGlobal(item)
        elif not lib.LLVMIsDeclaration(item):
            lib.LLVMSetLinkage(item, _AVAILABLE_EXTERNALLY)
    problem = part.run("elim-avail-extern,strip-dead-prototypes") or part.verify()
    if problem:
        raise CannotSplit(problem)
    return part
