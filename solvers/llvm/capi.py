"""The functions of LLVM's C API that the engine's server uses, with their types.

Source: llvm-c/Core.h, Support.h, IRReader.h, BitWriter.h, Analysis.h, TargetMachine.h and
Transforms/PassBuilder.h of LLVM 22. Loaded in the server process only.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p
from typing import Any

_P = c_void_p
_TEXT = c_char_p
_OUT = POINTER(c_void_p)
_OUT_SIZE = POINTER(c_size_t)

# name → (result, arguments). A `char *` to be freed is a c_void_p: ctypes would lose its address.
SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "LLVMParseCommandLineOptions": (None, (c_int, POINTER(c_char_p), _TEXT)),
    "LLVMGetVersion": (None, (POINTER(c_uint), POINTER(c_uint), POINTER(c_uint))),
    "LLVMDisposeMessage": (None, (_P,)),
    "LLVMContextCreate": (_P, ()),
    "LLVMContextSetDiscardValueNames": (None, (_P, c_int)),
    "LLVMContextDispose": (None, (_P,)),
    "LLVMCreateMemoryBufferWithMemoryRangeCopy": (_P, (_TEXT, c_size_t, _TEXT)),
    "LLVMGetBufferStart": (_P, (_P,)),
    "LLVMGetBufferSize": (c_size_t, (_P,)),
    "LLVMDisposeMemoryBuffer": (None, (_P,)),
    "LLVMParseIRInContext": (c_int, (_P, _P, _OUT, _OUT)),
    "LLVMVerifyModule": (c_int, (_P, c_int, _OUT)),
    "LLVMVerifyFunction": (c_int, (_P, c_int)),
    "LLVMWriteBitcodeToMemoryBuffer": (_P, (_P,)),
    "LLVMPrintModuleToString": (_P, (_P,)),
    "LLVMCloneModule": (_P, (_P,)),
    "LLVMDisposeModule": (None, (_P,)),
    "LLVMGetTarget": (_TEXT, (_P,)),
    "LLVMSetTarget": (None, (_P, _TEXT)),
    "LLVMGetDataLayoutStr": (_TEXT, (_P,)),
    "LLVMSetDataLayout": (None, (_P, _TEXT)),
    "LLVMNormalizeTargetTriple": (_P, (_TEXT,)),
    "LLVMGetTargetFromTriple": (c_int, (_TEXT, _OUT, _OUT)),
    "LLVMCreateTargetMachine": (_P, (_P, _TEXT, _TEXT, _TEXT, c_int, c_int, c_int)),
    "LLVMDisposeTargetMachine": (None, (_P,)),
    "LLVMCreateTargetDataLayout": (_P, (_P,)),
    "LLVMCopyStringRepOfTargetData": (_P, (_P,)),
    "LLVMDisposeTargetData": (None, (_P,)),
    "LLVMTargetMachineEmitToMemoryBuffer": (c_int, (_P, _P, c_int, _OUT, _OUT)),
    "LLVMCreatePassBuilderOptions": (_P, ()),
    "LLVMDisposePassBuilderOptions": (None, (_P,)),
    "LLVMRunPasses": (_P, (_P, _TEXT, _P, _P)),
    "LLVMRunPassesOnFunction": (_P, (_P, _TEXT, _P, _P)),
    "LLVMGetErrorMessage": (_P, (_P,)),
    "LLVMDisposeErrorMessage": (None, (_P,)),
    "LLVMGetModuleInlineAsm": (_P, (_P, _OUT_SIZE)),
    "LLVMGetNamedFunction": (_P, (_P, _TEXT)),
    "LLVMGetNamedGlobal": (_P, (_P, _TEXT)),
    "LLVMGetFirstFunction": (_P, (_P,)),
    "LLVMGetNextFunction": (_P, (_P,)),
    "LLVMGetFirstGlobal": (_P, (_P,)),
    "LLVMGetNextGlobal": (_P, (_P,)),
    "LLVMGetFirstGlobalAlias": (_P, (_P,)),
    "LLVMGetNextGlobalAlias": (_P, (_P,)),
    "LLVMGetFirstGlobalIFunc": (_P, (_P,)),
    "LLVMGetNextGlobalIFunc": (_P, (_P,)),
    "LLVMGetValueName2": (_P, (_P, _OUT_SIZE)),
    "LLVMIsDeclaration": (c_int, (_P,)),
    "LLVMGetLinkage": (c_int, (_P,)),
    "LLVMSetLinkage": (None, (_P, c_int)),
    "LLVMGetVisibility": (c_int, (_P,)),
    "LLVMSetVisibility": (None, (_P, c_int)),
    "LLVMSetValueName2": (None, (_P, _TEXT, c_size_t)),
    "LLVMDeleteGlobal": (None, (_P,)),
    "LLVMGetFirstBasicBlock": (_P, (_P,)),
    "LLVMGetNextBasicBlock": (_P, (_P,)),
    "LLVMGetFirstInstruction": (_P, (_P,)),
    "LLVMGetNextInstruction": (_P, (_P,)),
    "LLVMGetInstructionOpcode": (c_int, (_P,)),
    "LLVMGetCalledValue": (_P, (_P,)),
    "LLVMIsAInlineAsm": (_P, (_P,)),
    "LLVMGetEnumAttributeKindForName": (c_uint, (_TEXT, c_size_t)),
    "LLVMCreateEnumAttribute": (_P, (_P, c_uint, c_uint64)),
    "LLVMCreateStringAttribute": (_P, (_P, _TEXT, c_uint, _TEXT, c_uint)),
    "LLVMGetStringAttributeAtIndex": (_P, (_P, c_uint, _TEXT, c_uint)),
    "LLVMAddAttributeAtIndex": (None, (_P, c_uint, _P)),
    "LLVMRemoveEnumAttributeAtIndex": (None, (_P, c_uint, c_uint)),
}
# The C API has no count. These C++ members take the object alone, as the C calling convention does.
_MODULE_COUNT = "_ZNK4llvm6Module19getInstructionCountEv"
_FUNCTION_COUNT = "_ZNK4llvm8Function19getInstructionCountEv"

_TARGETS = (
    *(
        "X86",
        "AArch64",
        "ARM",
        "RISCV",
        "AVR",
        "MSP430",
        "Mips",
        "PowerPC",
        "Sparc",
        "SystemZ",
        "LoongArch",
        "M68k",
    ),
    *("Xtensa", "Hexagon", "Lanai", "BPF", "VE", "ARC", "CSKY", "XCore"),
)
# llc's settings of a target machine; the C API has only some. Every ABI passes these types alike.
_REGISTER_FLAGS = "_ZN4llvm7codegen20RegisterCodeGenFlagsC1Ev"
_MACHINE_BY_FLAGS = (
    "_ZN4llvm7codegen28createTargetMachineForTripleENS_9StringRefENS_15CodeGenOptLevelE"
)
_PARTS = ("TargetInfo", "Target", "TargetMC", "AsmParser", "AsmPrinter")


class _Made(ctypes.Structure):
    """An Expected<unique_ptr<TargetMachine>>, padded so that every ABI returns it by address."""

    _fields_ = (
        ("pointer", ctypes.c_uint64),
        ("failed", ctypes.c_uint64),
        ("room", ctypes.c_uint64),
    )


class CApi:
    """libLLVM with typed functions. Other modules may add signatures to `lib`, the CDLL."""

    def __init__(self, library: str) -> None:
        # RTLD_LOCAL: another libLLVM in this process must not share symbols with this one.
        self.lib = ctypes.CDLL(library, mode=ctypes.RTLD_LOCAL)
        for name, (result, arguments) in SIGNATURES.items():
            function = getattr(self.lib, name)
            function.restype, function.argtypes = result, arguments
        self.count_module = self._counter(_MODULE_COUNT)
        self.count_function = self._counter(_FUNCTION_COUNT)
        for target in _TARGETS:
            # A build holds the targets it was configured with; some have no AsmParser.
            for part in _PARTS:
                start = getattr(self.lib, f"LLVMInitialize{target}{part}", None)
                if start is not None:
                    start()

    def machine_by_flags(
        self, triple: str, words: Sequence[str], level: int
    ) -> int | None:
        """Return a target machine as `llc` with `words` makes it.

        None when this library lacks llc's settings. The options hold in this process from then on;
        an unknown one ends it.
        """
        register, make = (
            getattr(self.lib, name, None) for name in (_REGISTER_FLAGS, _MACHINE_BY_FLAGS)
        )
        if register is None or make is None:
            return None
        register.restype, register.argtypes = None, (_P,)
        make.restype, make.argtypes = _Made, (_TEXT, c_size_t, c_int)
        # The object is empty; its constructor registers the options.
        self._flags = ctypes.create_string_buffer(64)
        register(ctypes.addressof(self._flags))
        self.set_options(words)
        made = make(triple.encode(), len(triple.encode()), level)
        if made.failed & 1:
            raise ValueError(self.error(made.pointer) or "LLVM makes no code for it")
        return int(made.pointer)

    def _counter(self, name: str) -> Any:
        function = getattr(self.lib, name, None)
        if function is not None:
            function.restype, function.argtypes = c_uint, (_P,)
        return function

    @property
    def version(self) -> str:
        """Version of the library, such as "22.1.8"."""
        parts = [c_uint() for _ in range(3)]
        self.lib.LLVMGetVersion(*(ctypes.byref(part) for part in parts))
        return ".".join(str(part.value) for part in parts)

    def set_options(self, options: Sequence[str]) -> None:
        """Set LLVM's command-line options for this process. An unknown one ends the process."""
        words = (c_char_p * (len(options) + 1))(
            b"llvm", *(option.encode() for option in options)
        )
        self.lib.LLVMParseCommandLineOptions(len(words), words, None)

    def message(self, address: int | None) -> str:
        """Return the text of a message of LLVM, and free it."""
        if not address:
            return ""
        text = ctypes.string_at(address).decode("utf-8", "replace")
        self.lib.LLVMDisposeMessage(address)
        return text

    def error(self, reference: int | None) -> str | None:
        """Return the text of an LLVMErrorRef, or None when there was no error."""
        if not reference:
            return None
        address = self.lib.LLVMGetErrorMessage(reference)
        text = ctypes.string_at(address).decode("utf-8", "replace")
        self.lib.LLVMDisposeErrorMessage(address)
        return text

    def buffer(self, reference: int) -> bytes:
        """Return the content of a memory buffer, and free it."""
        data = ctypes.string_at(
            self.lib.LLVMGetBufferStart(reference), self.lib.LLVMGetBufferSize(reference)
        )
        self.lib.LLVMDisposeMemoryBuffer(reference)
        return data

    def name(self, value: int) -> str:
        """Return the name of a global value."""
        length = c_size_t()
        address = self.lib.LLVMGetValueName2(value, ctypes.byref(length))
        return (
            ctypes.string_at(address, length.value).decode("utf-8", "backslashreplace")
            if address
            else ""
        )

    def each(self, owner: int, kind: str) -> list[int]:
        """Return the addresses of all children of a kind.

        Kinds: Function, Global, GlobalAlias, GlobalIFunc, BasicBlock, Instruction.
        """
        following, addresses = getattr(self.lib, f"LLVMGetNext{kind}"), []
        item = getattr(self.lib, f"LLVMGetFirst{kind}")(owner)
        while item:
            addresses.append(item)
            item = following(item)
        return addresses
