"""Walker of modules in Python by ctypes: the same order and numbers as `walk.c`.

It is used where no C compiler is available, and it is the reference for `walk.c`.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable, Iterator
from typing import Any

from solvers.llvm.vocabulary import (
    CONSTANT,
    EXTERNAL,
    KIND_ROOM,
    LARGEST_POSITION,
    OPCODE_ROOM,
    UNDEFINED,
    UNKNOWN,
    VARIABLE,
    WIDTHS,
    Count,
    Flow,
    NodeKind,
    table,
)
from solvers.llvm.walk_interface import ModuleHandle, Walked

# Exits of one function from which calls return. All of them would be calls times exits edges.
MOST_EXITS = 16

# LLVM-C's numbers: LLVMValueKind, LLVMTypeKind, LLVMLinkage, LLVMOpcode.
_ARGUMENT, _FUNCTION, _CONSTANT_INT, _INSTRUCTION = 0, 5, 18, 24
_INTEGER, _STRUCT, _COMPOSITE = 8, 10, frozenset({10, 11, 13, 17})
_LOCAL = frozenset({8, 9})  # internal, private
_BR, _CALL, _PHI = 2, 45, 44
_CALLS = frozenset({5, 45, 67})  # invoke, call, callbr
_BINARY = range(8, 26)
_UNARY = frozenset({26, 27, *range(30, 42), 49, 53, 60, 66, 68, 69})

Ref = int


class _Llvm:
    """Functions of libLLVM with types of their own.

    The attributes of the library object have the types that the engine set.
    """

    def __init__(self, lib: ctypes.CDLL) -> None:
        self._lib = lib

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = self._lib[name]
        result, arguments = _SIGNATURES[name]
        function.restype, function.argtypes = result, arguments
        setattr(self, name, function)
        return function

    def functions(self, module: Ref | None) -> Iterator[Ref]:
        return _chain(self.LLVMGetFirstFunction, self.LLVMGetNextFunction, module)

    def blocks(self, function: Ref) -> Iterator[Ref]:
        return _chain(self.LLVMGetFirstBasicBlock, self.LLVMGetNextBasicBlock, function)

    def instructions(self, block: Ref) -> Iterator[Ref]:
        return _chain(self.LLVMGetFirstInstruction, self.LLVMGetNextInstruction, block)

    def successors(self, block: Ref) -> list[Ref]:
        end = self.LLVMGetBasicBlockTerminator(block)
        return (
            [self.LLVMGetSuccessor(end, k) for k in range(self.LLVMGetNumSuccessors(end))]
            if end
            else []
        )

    def operands(self, instruction: Ref) -> list[Ref]:
        return [
            self.LLVMGetOperand(instruction, k)
            for k in range(self.LLVMGetNumOperands(instruction))
        ]


def _chain(
    first: Callable[[Any], Any], following: Callable[[Any], Any], of: Ref | None
) -> Iterator[Ref]:
    one = first(of)
    while one:
        yield one
        one = following(one)


_P, _I, _U = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    **{
        name: (_P, [_P])
        for name in (
            "LLVMGetFirstFunction",
            "LLVMGetNextFunction",
            "LLVMGetFirstBasicBlock",
            "LLVMGetNextBasicBlock",
            "LLVMGetFirstInstruction",
            "LLVMGetNextInstruction",
            "LLVMGetBasicBlockTerminator",
            "LLVMGetCalledValue",
            "LLVMTypeOf",
            "LLVMGlobalGetValueType",
            "LLVMGetReturnType",
            "LLVMGetElementType",
        )
    },
    **{
        name: (_I, [_P])
        for name in (
            "LLVMGetInstructionOpcode",
            "LLVMGetNumOperands",
            "LLVMGetValueKind",
            "LLVMIsConstant",
            "LLVMIsDeclaration",
            "LLVMGetLinkage",
            "LLVMIsConditional",
            "LLVMGetTypeKind",
            "LLVMIsNull",
        )
    },
    **{
        name: (_U, [_P])
        for name in (
            "LLVMGetNumSuccessors",
            "LLVMCountIncoming",
            "LLVMGetIntTypeWidth",
            "LLVMCountStructElementTypes",
        )
    },
    **{
        name: (_P, [_P, _U])
        for name in ("LLVMGetSuccessor", "LLVMGetOperand", "LLVMStructGetTypeAtIndex")
    },
    "LLVMConstInt": (_P, [_P, ctypes.c_ulonglong, _I]),
}


class PythonWalker:
    """`Walker` by ctypes alone."""

    native = False

    def __init__(self, lib: ctypes.CDLL) -> None:
        self._llvm = _Llvm(lib)

    def graph(self, module: ModuleHandle) -> Walked:
        """Return the program graph. Raises MemoryError."""
        walk = _GraphWalk(self._llvm)
        walk.place_nodes(module.ref)
        walk.place_edges(module.ref)
        return Walked(nodes=walk.nodes, edges=walk.edges)

    def counts(self, module: ModuleHandle) -> tuple[list[int], list[int]]:
        """Return the counts. Raises MemoryError."""
        counts, opcodes = [0] * len(Count), [0] * OPCODE_ROOM
        llvm = self._llvm
        for function in llvm.functions(module.ref):
            counts[Count.FUNCTIONS] += 1
            successors = {
                block: llvm.successors(block) for block in llvm.blocks(function)
            }
            preds: dict[Ref, int] = {}
            for targets in successors.values():
                for to in targets:
                    preds[to] = preds.get(to, 0) + 1
            for block, targets in successors.items():
                counts[Count.EDGES] += len(targets)
                counts[Count.CRITICAL] += (
                    sum(preds[to] > 1 for to in targets) if len(targets) > 1 else 0
                )
                _count_block(
                    llvm, block, preds.get(block, 0), len(targets), counts, opcodes
                )
        return counts, opcodes


class _GraphWalk:
    def __init__(self, llvm: _Llvm) -> None:
        self.llvm = llvm
        self.nodes, self.edges = array("i"), array("i")
        self._node_count = 0
        self._table = table()
        self._instructions: dict[Ref, int] = {}
        self._blocks: dict[Ref, int] = {}  # the node of a block's first instruction
        self._values: dict[Ref, int] = {}  # arguments and constants
        self._types: dict[Ref, int] = {}
        self._functions: dict[Ref, tuple[int, list[int]]] = {}  # entry, exits
        self._pending: list[Ref] = []  # composite types whose members have no nodes yet

    def node(self, kind: NodeKind, token: int, function: int, block: int) -> int:
        self.nodes.extend((kind, token, function, block, UNKNOWN))
        self._node_count += 1
        return self._node_count - 1

    def edge(self, source: int, target: int, flow: Flow, position: int) -> None:
        self.edges.extend((source, target, flow, min(position, LARGEST_POSITION)))

    def place_nodes(self, module: Ref | None) -> None:
        llvm = self.llvm
        block_number = 0
        self.node(NodeKind.INSTRUCTION, EXTERNAL, -1, -1)
        for number, function in enumerate(llvm.functions(module)):
            entry, exits = self._node_count, list[int]()
            if llvm.LLVMIsDeclaration(function):
                exits.append(self.node(NodeKind.INSTRUCTION, UNDEFINED, number, -1))
            for block in llvm.blocks(function):
                before = -1
                for instruction in llvm.instructions(block):
                    opcode = llvm.LLVMGetInstructionOpcode(instruction)
                    token = self._table[opcode] if opcode < OPCODE_ROOM else UNKNOWN
                    own = self.node(NodeKind.INSTRUCTION, token, number, block_number)
                    self._instructions[instruction] = own
                    if before >= 0:
                        self.edge(before, own, Flow.CONTROL, 0)
                    else:
                        self._blocks[block] = own
                    before = own
                end = llvm.LLVMGetBasicBlockTerminator(block)
                if (
                    end
                    and llvm.LLVMGetNumSuccessors(end) == 0
                    and len(exits) < MOST_EXITS
                ):
                    exits.append(before)
                block_number += 1
            self._functions[function] = entry, exits

    def place_edges(self, module: Ref | None) -> None:
        llvm = self.llvm
        for number, function in enumerate(llvm.functions(module)):
            if llvm.LLVMGetLinkage(function) not in _LOCAL:
                self._calls(0, function)
            for block in llvm.blocks(function):
                own = self._blocks[block]
                for instruction in llvm.instructions(block):
                    block_number = self.nodes[5 * own + 3]
                    for position, value in enumerate(llvm.operands(instruction)):
                        self._operand(own, value, position, number, block_number)
                    if llvm.LLVMGetInstructionOpcode(instruction) in _CALLS:
                        self._calls(own, llvm.LLVMGetCalledValue(instruction))
                    own += 1
                for position, to in enumerate(llvm.successors(block)):
                    self.edge(own - 1, self._blocks[to], Flow.CONTROL, position)

    def _calls(self, caller: int, function: Ref) -> None:
        if function in self._functions:
            entry, exits = self._functions[function]
            self.edge(caller, entry, Flow.CALL, 0)
            for leaving in exits:
                self.edge(leaving, caller, Flow.CALL, 0)

    def _operand(
        self, user: int, value: Ref, position: int, function: int, block: int
    ) -> None:
        llvm = self.llvm
        kind = llvm.LLVMGetValueKind(value)
        if kind == _FUNCTION:  # represented by call edges
            return
        if kind == _INSTRUCTION:  # one variable for each use
            own = self.node(NodeKind.VARIABLE, VARIABLE, function, block)
            self.edge(self._instructions[value], own, Flow.DATA, 0)
            self.edge(self._type(llvm.LLVMTypeOf(value)), own, Flow.TYPE, 0)
        elif kind == _ARGUMENT or llvm.LLVMIsConstant(value):
            own = self._values.get(value, -1)
            if own < 0:
                if kind == _ARGUMENT:
                    own = self.node(NodeKind.VARIABLE, VARIABLE, function, -1)
                else:
                    own = self.node(NodeKind.CONSTANT, CONSTANT, -1, -1)
                self._values[value] = own
                self.edge(self._type(llvm.LLVMTypeOf(value)), own, Flow.TYPE, 0)
        else:  # blocks have control edges; metadata and inline assembly are not data
            return
        self.edge(own, user, Flow.DATA, position)

    def _type(self, type_: Ref) -> int:
        llvm = self.llvm
        node = self._shared_type(type_)
        while self._pending:
            outer = self._pending.pop()
            at = self._types[outer]
            if llvm.LLVMGetTypeKind(outer) != _STRUCT:
                self.edge(
                    self._shared_type(llvm.LLVMGetElementType(outer)), at, Flow.TYPE, 0
                )
                continue
            for i in range(llvm.LLVMCountStructElementTypes(outer)):
                member = llvm.LLVMStructGetTypeAtIndex(outer, i)
                kind = llvm.LLVMGetTypeKind(member)
                if kind in _COMPOSITE:
                    own = self._shared_type(member)
                else:  # a plain member is a node of its struct alone
                    own = self.node(NodeKind.TYPE, self._type_token(member, kind), -1, -1)
                self.edge(own, at, Flow.TYPE, i)
        return node

    def _shared_type(self, type_: Ref) -> int:
        if type_ not in self._types:
            kind = self.llvm.LLVMGetTypeKind(type_)
            self._types[type_] = self.node(
                NodeKind.TYPE, self._type_token(type_, kind), -1, -1
            )
            if kind in _COMPOSITE:
                self._pending.append(type_)
        return self._types[type_]

    def _type_token(self, type_: Ref, kind: int) -> int:
        if kind == _INTEGER and (width := self.llvm.LLVMGetIntTypeWidth(type_)) in WIDTHS:
            return self._table[OPCODE_ROOM + KIND_ROOM + WIDTHS.index(width)]
        return self._table[OPCODE_ROOM + kind] if kind < KIND_ROOM else UNKNOWN


def _count_block(
    llvm: _Llvm,
    block: Ref,
    preds: int,
    successors: int,
    counts: list[int],
    opcodes: list[int],
) -> None:
    counts[Count.BLOCKS] += 1
    for count, yes in (
        (Count.ONE_SUC, successors == 1),
        (Count.TWO_SUC, successors == 2),
        (Count.ONE_PRED, preds == 1),
        (Count.TWO_PRED, preds == 2),
        (Count.MORE_PREDS, preds > 2),
        (Count.ONE_PRED_ONE_SUC, preds == 1 and successors == 1),
        (Count.ONE_PRED_TWO_SUC, preds == 1 and successors == 2),
        (Count.TWO_PRED_ONE_SUC, preds == 2 and successors == 1),
        (Count.TWO_EACH, preds == 2 and successors == 2),
    ):
        counts[count] += yes
    size = phis = incoming = 0
    for instruction in llvm.instructions(block):
        opcode = llvm.LLVMGetInstructionOpcode(instruction)
        operands = llvm.operands(instruction)
        if opcode < OPCODE_ROOM:
            opcodes[opcode] += 1
        for value in operands:
            if llvm.LLVMGetValueKind(value) == _CONSTANT_INT:
                _count_constant(llvm, value, counts)
        if opcode == _BR:
            counts[Count.UNCONDITIONAL] += not llvm.LLVMIsConditional(instruction)
        elif opcode == _CALL:
            called = llvm.LLVMGetCalledValue(instruction)
            if called and llvm.LLVMGetValueKind(called) == _FUNCTION:
                returned = llvm.LLVMGetReturnType(llvm.LLVMGlobalGetValueType(called))
                counts[Count.RETURN_INT] += llvm.LLVMGetTypeKind(returned) == _INTEGER
        elif opcode in _BINARY:
            counts[Count.BINARY_CONST] += any(
                llvm.LLVMIsConstant(value) for value in operands[:2]
            )
        elif opcode == _PHI:
            counts[Count.BEGIN_PHI] += size == 0
            phis += 1
            incoming += llvm.LLVMCountIncoming(instruction)
        counts[Count.UNARY] += opcode in _UNARY
        size += 1
    counts[Count.INSTRUCTIONS] += size
    counts[Count.ARGS_PHI] += incoming
    for count, yes in (
        (Count.ARGS_HI, incoming > 5),
        (Count.ARGS_LO, 1 <= incoming <= 5),
        (Count.PHI_NO, phis == 0),
        (Count.PHI_LO, 1 <= phis <= 3),
        (Count.PHI_HI, phis > 3),
        (Count.BLOCK_LOW, size < 15),
        (Count.BLOCK_MID, 15 <= size <= 500),
    ):
        counts[count] += yes


def _count_constant(llvm: _Llvm, value: Ref, counts: list[int]) -> None:
    type_ = llvm.LLVMTypeOf(value)
    if llvm.LLVMGetTypeKind(type_) != _INTEGER:  # a splat
        return
    width = llvm.LLVMGetIntTypeWidth(type_)
    counts[Count.CONST_32] += width == 32
    counts[Count.CONST_64] += width == 64
    if llvm.LLVMIsNull(value):
        counts[Count.ZEROES] += 1
    elif llvm.LLVMConstInt(type_, 1, 0) == value:  # LLVM makes each constant once
        counts[Count.ONES] += 1
