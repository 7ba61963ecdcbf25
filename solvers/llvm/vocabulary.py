"""Words of the program graph, and the columns of its arrays. No numpy, no LLVM: the engine's server reads this.

ProGraML (Cummins et al., ICML 2021) gives each node a text; with opaque pointers and types as nodes of their own, fewer
than 150 texts are left: opcodes, `var`, `val`, the outside, and types. The C walker and the Python walker take the same
table (`table`), so a word's number is written down once, by its place in `TOKENS`.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum

LARGEST_POSITION = (
    31  # operand and successor numbers beyond it are clamped, as in GEAN's table of 32 rows
)


class NodeKind(IntEnum):
    """What a node is."""

    INSTRUCTION = 0
    VARIABLE = 1
    CONSTANT = 2
    TYPE = 3


class Flow(IntEnum):
    """What an edge carries."""

    CONTROL = 0
    DATA = 1
    CALL = 2
    TYPE = 3


class NodeColumn(IntEnum):
    """Columns of `ProgramGraph.nodes`."""

    KIND = 0  # NodeKind
    TOKEN = 1  # index into TOKENS
    FUNCTION = 2  # index in the module, -1: none
    BLOCK = 3  # index in the module, -1: none
    TYPE = 4  # token of the value's type; UNKNOWN where type nodes say it, or where there is none


class EdgeColumn(IntEnum):
    """Columns of `ProgramGraph.edges`."""

    SOURCE = 0
    TARGET = 1
    FLOW = 2  # Flow
    POSITION = 3  # operand, successor or member number, at most LARGEST_POSITION


# LLVM's C API numbers opcodes once and for all (llvm-c/Core.h, LLVMOpcode); 0 and 6 were never given.
OPCODES: dict[int, str] = {
    1: "ret", 2: "br", 3: "switch", 4: "indirectbr", 5: "invoke", 7: "unreachable", 8: "add", 9: "fadd", 10: "sub",
    11: "fsub", 12: "mul", 13: "fmul", 14: "udiv", 15: "sdiv", 16: "fdiv", 17: "urem", 18: "srem", 19: "frem",
    20: "shl", 21: "lshr", 22: "ashr", 23: "and", 24: "or", 25: "xor", 26: "alloca", 27: "load", 28: "store",
    29: "getelementptr", 30: "trunc", 31: "zext", 32: "sext", 33: "fptoui", 34: "fptosi", 35: "uitofp", 36: "sitofp",
    37: "fptrunc", 38: "fpext", 39: "ptrtoint", 40: "inttoptr", 41: "bitcast", 42: "icmp", 43: "fcmp", 44: "phi",
    45: "call", 46: "select", 47: "userop1", 48: "userop2", 49: "va_arg", 50: "extractelement", 51: "insertelement",
    52: "shufflevector", 53: "extractvalue", 54: "insertvalue", 55: "fence", 56: "cmpxchg", 57: "atomicrmw",
    58: "resume", 59: "landingpad", 60: "addrspacecast", 61: "cleanupret", 62: "catchret", 63: "catchpad",
    64: "cleanuppad", 65: "catchswitch", 66: "fneg", 67: "callbr", 68: "freeze", 69: "ptrtoaddr",
}  # fmt: skip

# LLVMTypeKind of the same header; integers have words of their own by width.
TYPE_KINDS: dict[int, str] = {
    0: "void", 1: "half", 2: "float", 3: "double", 4: "x86_fp80", 5: "fp128", 6: "ppc_fp128", 7: "label",
    8: "iN", 9: "__function__", 10: "struct", 11: "array", 12: "ptr", 13: "vector", 14: "metadata", 16: "token",
    17: "scalable vector", 18: "bfloat", 19: "x86_amx", 20: "target type",
}  # fmt: skip
WIDTHS = (1, 8, 16, 32, 64, 128)

_SPECIAL = ("unknown", "var", "val", "[external]", "; undefined function")
TOKENS: tuple[str, ...] = (
    *_SPECIAL,
    *OPCODES.values(),
    *(f"type {name}" for name in TYPE_KINDS.values()),
    *(f"type i{width}" for width in WIDTHS),
)
UNKNOWN, VARIABLE, CONSTANT, EXTERNAL, UNDEFINED = range(len(_SPECIAL))

# Weights are tied to the words' numbers: a policy trained with another table is refused.
VOCABULARY = hashlib.sha256("\n".join(TOKENS).encode()).hexdigest()[:12]

OPCODE_ROOM, KIND_ROOM = (
    128,
    64,
)  # opcodes and type kinds of later LLVM versions fall on UNKNOWN


def table() -> list[int]:
    """Tokens by LLVM's numbers, as both walkers take them: OPCODE_ROOM opcodes, KIND_ROOM type kinds, then the widths."""
    number = {token: i for i, token in enumerate(TOKENS)}
    opcodes = [number.get(OPCODES.get(i, ""), UNKNOWN) for i in range(OPCODE_ROOM)]
    kinds = [number.get(f"type {TYPE_KINDS.get(i, '')}", UNKNOWN) for i in range(KIND_ROOM)]
    return [*opcodes, *kinds, *(number[f"type i{width}"] for width in WIDTHS)]
