"""Autophase's 56 numbers and LLVM 10's instruction counts of a module, in CompilerGym's order.

Sources: Autophase (Haj-Ali et al., MLSys 2020) as CompilerGym computes it, and CompilerGym's InstCount. Opcodes are
matched by name, so that the 70 numbers of LLVM 10 can be told of a later LLVM: opcodes it did not have are in the total only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from solvers.llvm.vocabulary import OPCODES
from solvers.llvm.walk import ModuleHandle, Walker, walker_for

if TYPE_CHECKING:  # numpy is the client's: the engine's server starts without it
    import numpy as np


class Count(IntEnum):
    """What both walkers count beside opcodes; walk.c has the same order."""

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


# CompilerGym's names, and where each number comes from: a count, or an opcode's name.
_AUTOPHASE: tuple[tuple[str, Count | str], ...] = (
    ("BBNumArgsHi", Count.ARGS_HI),  # blocks with more than 5 incoming values of phis
    ("BBNumArgsLo", Count.ARGS_LO),  # 1 to 5
    ("onePred", Count.ONE_PRED),
    ("onePredOneSuc", Count.ONE_PRED_ONE_SUC),
    ("onePredTwoSuc", Count.ONE_PRED_TWO_SUC),
    ("oneSuccessor", Count.ONE_SUC),
    ("twoPred", Count.TWO_PRED),
    ("twoPredOneSuc", Count.TWO_PRED_ONE_SUC),
    ("twoEach", Count.TWO_EACH),
    ("twoSuccessor", Count.TWO_SUC),
    ("morePreds", Count.MORE_PREDS),
    ("BB03Phi", Count.PHI_LO),
    ("BBHiPhi", Count.PHI_HI),
    ("BBNoPhi", Count.PHI_NO),
    ("BeginPhi", Count.BEGIN_PHI),
    ("BranchCount", "br"),
    ("returnInt", Count.RETURN_INT),
    ("CriticalCount", Count.CRITICAL),
    ("NumEdges", Count.EDGES),
    ("const32Bit", Count.CONST_32),
    ("const64Bit", Count.CONST_64),
    ("numConstZeroes", Count.ZEROES),
    ("numConstOnes", Count.ONES),
    ("UncondBranches", Count.UNCONDITIONAL),
    ("binaryConstArg", Count.BINARY_CONST),
    ("NumAShrInst", "ashr"),
    ("NumAddInst", "add"),
    ("NumAllocaInst", "alloca"),
    ("NumAndInst", "and"),
    ("BlockMid", Count.BLOCK_MID),
    ("BlockLow", Count.BLOCK_LOW),
    ("NumBitCastInst", "bitcast"),
    ("NumBrInst", "br"),
    ("NumCallInst", "call"),
    ("NumGetElementPtrInst", "getelementptr"),
    ("NumICmpInst", "icmp"),
    ("NumLShrInst", "lshr"),
    ("NumLoadInst", "load"),
    ("NumMulInst", "mul"),
    ("NumOrInst", "or"),
    ("NumPHIInst", "phi"),
    ("NumRetInst", "ret"),
    ("NumSExtInst", "sext"),
    ("NumSelectInst", "select"),
    ("NumShlInst", "shl"),
    ("NumStoreInst", "store"),
    ("NumSubInst", "sub"),
    ("NumTruncInst", "trunc"),
    ("NumXorInst", "xor"),
    ("NumZExtInst", "zext"),
    ("TotalBlocks", Count.BLOCKS),
    ("TotalInsts", Count.INSTRUCTIONS),
    ("TotalMemInst", ""),  # the sum over _MEMORY
    ("TotalFuncs", Count.FUNCTIONS),  # declarations too
    ("ArgsPhi", Count.ARGS_PHI),
    ("testUnary", Count.UNARY),
)
AUTOPHASE_NAMES: tuple[str, ...] = tuple(name for name, _ in _AUTOPHASE)
_MEMORY = ("getelementptr", "load", "store", "call", "invoke", "alloca")

# LLVM 10's Instruction.def in its order, by the names our table has for these opcodes.
_LLVM10: tuple[tuple[str, str], ...] = (
    ("Ret", "ret"), ("Br", "br"), ("Switch", "switch"), ("IndirectBr", "indirectbr"), ("Invoke", "invoke"),
    ("Resume", "resume"), ("Unreachable", "unreachable"), ("CleanupRet", "cleanupret"), ("CatchRet", "catchret"),
    ("CatchSwitch", "catchswitch"), ("CallBr", "callbr"), ("FNeg", "fneg"), ("Add", "add"), ("FAdd", "fadd"),
    ("Sub", "sub"), ("FSub", "fsub"), ("Mul", "mul"), ("FMul", "fmul"), ("UDiv", "udiv"), ("SDiv", "sdiv"),
    ("FDiv", "fdiv"), ("URem", "urem"), ("SRem", "srem"), ("FRem", "frem"), ("Shl", "shl"), ("LShr", "lshr"),
    ("AShr", "ashr"), ("And", "and"), ("Or", "or"), ("Xor", "xor"), ("Alloca", "alloca"), ("Load", "load"),
    ("Store", "store"), ("GetElementPtr", "getelementptr"), ("Fence", "fence"), ("AtomicCmpXchg", "cmpxchg"),
    ("AtomicRMW", "atomicrmw"), ("Trunc", "trunc"), ("ZExt", "zext"), ("SExt", "sext"), ("FPToUI", "fptoui"),
    ("FPToSI", "fptosi"), ("UIToFP", "uitofp"), ("SIToFP", "sitofp"), ("FPTrunc", "fptrunc"), ("FPExt", "fpext"),
    ("PtrToInt", "ptrtoint"), ("IntToPtr", "inttoptr"), ("BitCast", "bitcast"), ("AddrSpaceCast", "addrspacecast"),
    ("CleanupPad", "cleanuppad"), ("CatchPad", "catchpad"), ("ICmp", "icmp"), ("FCmp", "fcmp"), ("PHI", "phi"),
    ("Call", "call"), ("Select", "select"), ("UserOp1", "userop1"), ("UserOp2", "userop2"), ("VAArg", "va_arg"),
    ("ExtractElement", "extractelement"), ("InsertElement", "insertelement"), ("ShuffleVector", "shufflevector"),
    ("ExtractValue", "extractvalue"), ("InsertValue", "insertvalue"), ("LandingPad", "landingpad"),
    ("Freeze", "freeze"),
)  # fmt: skip
INST_COUNT_NAMES: tuple[str, ...] = (
    "TotalInstsCount",
    "TotalBlocksCount",
    "TotalFuncsCount",
    *(f"{name}Count" for name, _ in _LLVM10),
)


def features_of(module: ModuleHandle, walker: Walker | None = None) -> dict[str, list[int]]:
    """`autophase` (56), `inst_count` (70) and `native` ([1]: counted by walk.c, [0]: in Python) of a module.

    For the engine's server: JSON, no numpy. Raises MemoryError.
    """
    walker = walker or walker_for(module.api.lib)
    counts, by_number = walker.counts(module)
    by_name = {name: by_number[number] for number, name in OPCODES.items()}

    def value(source: Count | str) -> int:
        if isinstance(source, Count):
            return counts[source]
        return by_name[source] if source else sum(by_name[name] for name in _MEMORY)

    totals = [counts[Count.INSTRUCTIONS], counts[Count.BLOCKS], counts[Count.FUNCTIONS]]
    return {
        "autophase": [value(source) for _, source in _AUTOPHASE],
        "inst_count": [*totals, *(by_name[name] for _, name in _LLVM10)],
        "native": [int(walker.native)],
    }


@dataclass(frozen=True, kw_only=True, eq=False)
class Features:
    """Numbers of one module."""

    autophase: np.ndarray  # (56,) int64, AUTOPHASE_NAMES
    inst_count: np.ndarray  # (70,) int64, INST_COUNT_NAMES
    native: bool = True  # counted by the C walker

    @classmethod
    def from_reply(cls, reply: Mapping[str, Sequence[int]]) -> Features:
        """What `features_of` said. Raises KeyError or ValueError on other shapes."""
        import numpy as np

        vectors = {
            name: np.array(reply[name], dtype=np.int64)
            for name in ("autophase", "inst_count")
        }
        wanted = {
            "autophase": (len(AUTOPHASE_NAMES),),
            "inst_count": (len(INST_COUNT_NAMES),),
        }
        if (shapes := {name: vector.shape for name, vector in vectors.items()}) != wanted:
            raise ValueError(f"features have shapes {shapes}; wanted {wanted}")
        return cls(**vectors, native=bool(reply["native"][0]))
