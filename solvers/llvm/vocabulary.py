"""Tokens of the program graph, columns of its arrays, and the indices of the module counts.

ProGraML (Cummins et al., ICML 2021) gives each node a text. With opaque pointers and types as nodes
of their own, fewer than 150 texts remain: opcodes, `var`, `val`, the external node, and types. Both
walkers read the same `table`, so the number of a token is defined once, by its index in `TOKENS`.
The engine's server imports this module: no numpy, no LLVM.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum

# Larger operand and successor numbers are clamped, as in GEAN's embedding table of 32 rows
# (Liang et al., ICML 2023).
LARGEST_POSITION = 31


class NodeKind(IntEnum):
    """Kind of a node."""

    INSTRUCTION = 0
    VARIABLE = 1
    CONSTANT = 2
    TYPE = 3


class Flow(IntEnum):
    """Kind of an edge."""

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
    # Token of the value's type; UNKNOWN where type nodes have it, and for values without a type.
    TYPE = 4


class EdgeColumn(IntEnum):
    """Columns of `ProgramGraph.edges`."""

    SOURCE = 0
    TARGET = 1
    FLOW = 2  # Flow
    POSITION = 3  # operand, successor or member number, at most LARGEST_POSITION


class Count(IntEnum):
    """Index of a count of both walkers, apart from opcodes; walk.c has the same order."""

    ARGS_HI = 0
    ARGS_LO = 1
    ONE_PRED = 2
    ONE_PRED_ONE_SUC = 3
    ONE_PRED_TWO_SUC = 4
    ONE_SUC = 5
    TWO_PRED = 6
    TWO_PRED_ONE_SUC = 7
    TWO_EACH = 8
    TWO_SUC = 9
    MORE_PREDS = 10
    PHI_LO = 11
    PHI_HI = 12
    PHI_NO = 13
    BEGIN_PHI = 14
    RETURN_INT = 15
    CRITICAL = 16
    EDGES = 17
    CONST_32 = 18
    CONST_64 = 19
    ZEROES = 20
    ONES = 21
    UNCONDITIONAL = 22
    BINARY_CONST = 23
    BLOCK_MID = 24
    BLOCK_LOW = 25
    BLOCKS = 26
    INSTRUCTIONS = 27
    FUNCTIONS = 28
    ARGS_PHI = 29
    UNARY = 30


# LLVMOpcode of llvm-c/Core.h. The numbers never change; 0 and 6 are not used.
OPCODES: dict[int, str] = {
    1: "ret", 2: "br", 3: "switch", 4: "indirectbr", 5: "invoke", 7: "unreachable", 8: "add",
    9: "fadd", 10: "sub", 11: "fsub", 12: "mul", 13: "fmul", 14: "udiv", 15: "sdiv", 16: "fdiv",
    17: "urem", 18: "srem", 19: "frem", 20: "shl", 21: "lshr", 22: "ashr", 23: "and", 24: "or",
    25: "xor", 26: "alloca", 27: "load", 28: "store", 29: "getelementptr", 30: "trunc",
    31: "zext", 32: "sext", 33: "fptoui", 34: "fptosi", 35: "uitofp", 36: "sitofp",
    37: "fptrunc", 38: "fpext", 39: "ptrtoint", 40: "inttoptr", 41: "bitcast", 42: "icmp",
    43: "fcmp", 44: "phi", 45: "call", 46: "select", 47: "userop1", 48: "userop2", 49: "va_arg",
    50: "extractelement", 51: "insertelement", 52: "shufflevector", 53: "extractvalue",
    54: "insertvalue", 55: "fence", 56: "cmpxchg", 57: "atomicrmw", 58: "resume",
    59: "landingpad", 60: "addrspacecast", 61: "cleanupret", 62: "catchret", 63: "catchpad",
    64: "cleanuppad", 65: "catchswitch", 66: "fneg", 67: "callbr", 68: "freeze",
    69: "ptrtoaddr",
}  # fmt: skip

# LLVMTypeKind of the same header. Integers have tokens of their own by width.
TYPE_KINDS: dict[int, str] = {
    0: "void", 1: "half", 2: "float", 3: "double", 4: "x86_fp80", 5: "fp128", 6: "ppc_fp128",
    7: "label", 8: "iN", 9: "__function__", 10: "struct", 11: "array", 12: "ptr", 13: "vector",
    14: "metadata", 16: "token", 17: "scalable vector", 18: "bfloat", 19: "x86_amx",
    20: "target type",
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

# Digest of the table. A policy trained with another table is refused: its weights are tied to the
# numbers of the tokens.
VOCABULARY = hashlib.sha256("\n".join(TOKENS).encode()).hexdigest()[:12]

# Sizes of the tables by LLVM's numbers. Opcodes and type kinds that are not listed above (those of
# later LLVM versions) map to UNKNOWN.
OPCODE_ROOM, KIND_ROOM = 128, 64


def table() -> list[int]:
    """Return the token numbers by LLVM's numbers, as both walkers take them.

    OPCODE_ROOM opcodes, then KIND_ROOM type kinds, then the integer types by WIDTHS.
    """
    number = {token: i for i, token in enumerate(TOKENS)}
    opcodes = [number.get(OPCODES.get(i, ""), UNKNOWN) for i in range(OPCODE_ROOM)]
    kinds = [
        number.get(f"type {TYPE_KINDS.get(i, '')}", UNKNOWN) for i in range(KIND_ROOM)
    ]
    return [*opcodes, *kinds, *(number[f"type i{width}"] for width in WIDTHS)]
