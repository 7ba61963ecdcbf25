"""Autophase's 56 counts and LLVM 10's 70 instruction counts of a module, in CompilerGym's order.

Sources: Autophase (Haj-Ali et al., MLSys 2020) as CompilerGym computes it, and CompilerGym's
InstCount. Opcodes are matched by name, so the counts have the same meaning under a later LLVM;
opcodes that LLVM 10 did not have are in the total only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from solvers.llvm.vocabulary import OPCODES, Count
from solvers.llvm.walk import walker_for
from solvers.llvm.walk_interface import ModuleHandle, Walker

if TYPE_CHECKING:  # the client alone imports numpy; the engine's server starts without it
    import numpy as np


# CompilerGym's name of each number, and its source: a count, or an opcode's name.
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

# Opcodes of LLVM 10's Instruction.def in its order, with their names in `OPCODES`.
_LLVM10: tuple[tuple[str, str], ...] = (
    ("Ret", "ret"), ("Br", "br"), ("Switch", "switch"), ("IndirectBr", "indirectbr"),
    ("Invoke", "invoke"), ("Resume", "resume"), ("Unreachable", "unreachable"),
    ("CleanupRet", "cleanupret"), ("CatchRet", "catchret"), ("CatchSwitch", "catchswitch"),
    ("CallBr", "callbr"), ("FNeg", "fneg"), ("Add", "add"), ("FAdd", "fadd"), ("Sub", "sub"),
    ("FSub", "fsub"), ("Mul", "mul"), ("FMul", "fmul"), ("UDiv", "udiv"), ("SDiv", "sdiv"),
    ("FDiv", "fdiv"), ("URem", "urem"), ("SRem", "srem"), ("FRem", "frem"), ("Shl", "shl"),
    ("LShr", "lshr"), ("AShr", "ashr"), ("And", "and"), ("Or", "or"), ("Xor", "xor"),
    ("Alloca", "alloca"), ("Load", "load"), ("Store", "store"),
    ("GetElementPtr", "getelementptr"), ("Fence", "fence"), ("AtomicCmpXchg", "cmpxchg"),
    ("AtomicRMW", "atomicrmw"), ("Trunc", "trunc"), ("ZExt", "zext"), ("SExt", "sext"),
    ("FPToUI", "fptoui"), ("FPToSI", "fptosi"), ("UIToFP", "uitofp"), ("SIToFP", "sitofp"),
    ("FPTrunc", "fptrunc"), ("FPExt", "fpext"), ("PtrToInt", "ptrtoint"),
    ("IntToPtr", "inttoptr"), ("BitCast", "bitcast"), ("AddrSpaceCast", "addrspacecast"),
    ("CleanupPad", "cleanuppad"), ("CatchPad", "catchpad"), ("ICmp", "icmp"), ("FCmp", "fcmp"),
    ("PHI", "phi"), ("Call", "call"), ("Select", "select"), ("UserOp1", "userop1"),
    ("UserOp2", "userop2"), ("VAArg", "va_arg"), ("ExtractElement", "extractelement"),
    ("InsertElement", "insertelement"), ("ShuffleVector", "shufflevector"),
    ("ExtractValue", "extractvalue"), ("InsertValue", "insertvalue"),
    ("LandingPad", "landingpad"), ("Freeze", "freeze"),
)  # fmt: skip
INST_COUNT_NAMES: tuple[str, ...] = (
    "TotalInstsCount",
    "TotalBlocksCount",
    "TotalFuncsCount",
    *(f"{name}Count" for name, _ in _LLVM10),
)


def features_of(
    module: ModuleHandle, walker: Walker | None = None
) -> dict[str, list[int]]:
    """Return the feature vectors of a module as JSON lists, for the engine's server.

    `autophase` has 56 numbers, `inst_count` 70, `native` one: 1 when walk.c counted, 0 when the
    Python walker did. Raises MemoryError.
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
    """Feature vectors of one module."""

    autophase: np.ndarray  # (56,) int64, AUTOPHASE_NAMES
    inst_count: np.ndarray  # (70,) int64, INST_COUNT_NAMES
    native: bool = True  # counted by the C walker

    @classmethod
    def from_reply(cls, reply: Mapping[str, Sequence[int]]) -> Features:
        """Read the reply of `features_of`. Raises KeyError or ValueError on other shapes."""
        import numpy as np

        vectors = {}
        for name, length in (
            ("autophase", len(AUTOPHASE_NAMES)),
            ("inst_count", len(INST_COUNT_NAMES)),
        ):
            vectors[name] = np.array(reply[name], dtype=np.int64)
            if (shape := vectors[name].shape) != (length,):
                raise ValueError(
                    f"features.{name}: expected shape {(length,)}, got {shape}"
                )
        return cls(**vectors, native=bool(reply["native"][0]))
