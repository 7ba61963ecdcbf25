"""A module and its target in libLLVM's memory.

Only the engine's server process and its children use it: any call may end the process.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from ctypes import byref, c_size_t, c_void_p

from solvers.llvm.capi import CApi
from solvers.llvm.pipeline_text import unfit
from solvers.llvm.server_process import spawn, stderr_captured

BITCODE_MAGIC = (b"BC\xc0\xde", b"\xde\xc0\x17\x0b")
# Attributes that steer optimisation and never change what a program means.
STEERING = frozenset(
    {"noinline", "alwaysinline", "inlinehint", "minsize", "optsize", "cold", "hot"}
)
# The same with a value, for the code generator.
STEERING_WORDS = frozenset({"frame-pointer=all", "frame-pointer=non-leaf"})
EVERY_FUNCTION = "*"
# A function of the C library that passes may not call by themselves; on all functions, because
# LLVM inlines no function into one that is forbidden less.
_NO_BUILTIN = re.compile(r"no-builtin-[A-Za-z_]\w{0,62}", re.ASCII)

# LLVMLinkage of symbols that other objects can rely on.
_LINKAGES = {0: "external", 5: "weak", 6: "weak_odr", 11: "dllexport", 14: "common"}
_CALLS = frozenset({5, 45, 67})  # LLVMInvoke, LLVMCall, LLVMCallBr
_FUNCTION_INDEX = 0xFFFFFFFF  # LLVMAttributeFunctionIndex
_RETURN_STATUS, _OBJECT_FILE = 2, 1
# clang -Oz generates code at the default level.
_DEFAULT_LEVEL, _STATIC, _PIC, _DEFAULT_CODE_MODEL = (2, 1, 2, 0)
_TRIPLE = re.compile(r"[A-Za-z0-9_.]+(?:-[A-Za-z0-9_.]*){0,4}")
_CPU = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_FEATURES = re.compile(r"(?:[+-][A-Za-z0-9][A-Za-z0-9._-]*(?:,(?!$)|$))*")
_NOT_ELF = re.compile(
    r"darwin|macos|ios|tvos|watchos|xros|driverkit|windows|win32|cygwin|mingw|uefi|wasm|aix|zos"
    r"|spirv|dxil|nvptx"
)


# Settings of the code generator that make a target machine (llc's `codegen::RegisterCodeGenFlags`).
OF_MACHINE = frozenset(
    {
        "-addrsig", "-code-model", "-data-sections", "-emulated-tls", "-enable-tlsdesc",
        "-exception-model", "-float-abi", "-fp-contract", "-function-sections", "-mc-relax-all",
        "-meabi", "-nozero-initialized-in-bss", "-target-abi", "-tls-size",
        "-unique-section-names", "-use-ctors", "-x86-relax-relocations",
    }
)  # fmt: skip


def _name(word: str) -> str:
    return word.partition("=")[0]


class Refused(Exception):
    """The target or the module is not supported. `what` is "target" or "module"."""

    def __init__(self, what: str, message: str) -> None:
        super().__init__(message)
        self.what = what


class Session:
    """One context and one target machine."""

    def __init__(
        self,
        api: CApi,
        *,
        triple: str,
        cpu: str,
        features: str,
        pic: bool,
        codegen: Sequence[str] = (),
    ) -> None:
        self.api, self.cpu, self.features, self.pic = api, cpu, features, pic
        # Settings that do not belong to a target machine are set with each recipe's own options.
        self.words = tuple(word for word in codegen if _name(word) in OF_MACHINE)
        self.base_options = tuple(
            word for word in codegen if _name(word) not in OF_MACHINE
        )
        if not _TRIPLE.fullmatch(triple):
            raise Refused(
                "target",
                f"triple: expected one such as x86_64-unknown-linux-gnu, got {triple!r}",
            )
        if cpu and not _CPU.fullmatch(cpu):
            raise Refused(
                "target", f"cpu: expected a name such as x86-64 or cortex-m4, got {cpu!r}"
            )
        if not _FEATURES.fullmatch(features):  # without a sign, LLVM ends the process
            raise Refused(
                "target",
                "features: expected +name or -name, separated by commas, as in +avx2,-sse4.2, "
                f"got {features!r}",
            )
        # Triples of three parts are read by place: thumbv7em-none-eabi would lose its ABI.
        self.triple = triple = api.message(
            api.lib.LLVMNormalizeTargetTriple(triple.encode())
        )
        if _NOT_ELF.search(triple):
            raise Refused(
                "target",
                f"triple: expected a target with ELF objects, got {triple!r}; "
                "sizes are read from ELF",
            )
        self.context = api.lib.LLVMContextCreate()
        # Without value names, equal programs have equal digests; it is faster, too.
        api.lib.LLVMContextSetDiscardValueNames(self.context, 1)
        target, message = c_void_p(), c_void_p()
        if api.lib.LLVMGetTargetFromTriple(
            triple.encode(), byref(target), byref(message)
        ):
            raise Refused(
                "target",
                f"unknown target triple {triple!r}: {api.message(message.value).strip()}",
            )
        with stderr_captured() as stderr:
            try:
                machine = api.machine_by_flags(triple, self.machine_words, _DEFAULT_LEVEL)
            except ValueError as error:
                raise Refused("target", f"target {triple!r}: {error}") from error
            # True when the machine is set up as llc's is; otherwise llc makes every object.
            self.exact = machine is not None
            self.machine = machine or api.lib.LLVMCreateTargetMachine(
                target, triple.encode(), cpu.encode(), features.encode(),
                _DEFAULT_LEVEL, _PIC if pic else _STATIC, _DEFAULT_CODE_MODEL,
            )  # fmt: skip
        if stderr or not self.machine:  # LLVM only warns, and takes another processor
            lines = dict.fromkeys(
                stderr.decode("utf-8", "replace").strip().splitlines()
                or ["LLVM makes no code for it"]
            )
            text = "; ".join(lines)
            raise Refused(
                "target",
                f"target {triple!r}, CPU {cpu!r}, features {features!r}: {text[:400]}",
            )
        layout = api.lib.LLVMCreateTargetDataLayout(self.machine)
        self.layout = api.message(api.lib.LLVMCopyStringRepOfTargetData(layout))
        api.lib.LLVMDisposeTargetData(layout)
        self.options = api.lib.LLVMCreatePassBuilderOptions()

    @property
    def machine_words(self) -> list[str]:
        """Options that make `llc` use the same machine, apart from the triple."""
        words = [f"-relocation-model={'pic' if self.pic else 'static'}"]
        words += [f"-mcpu={self.cpu}"] if self.cpu else []
        words += [f"-mattr={self.features}"] if self.features else []
        return [*words, *self.words]

    def parse(self, data: bytes) -> Module:
        """Read bitcode or text, verify it and bind it to the target.

        Raises Refused with LLVM's message.
        """
        if not data.strip():
            raise Refused(
                "module", "module: expected LLVM bitcode or textual IR, got nothing"
            )
        # The text parser needs value names, which this context drops.
        if not data.startswith(BITCODE_MAGIC):
            data = self._assemble(data)
        module = self._read(self.context, data)
        self._bind(module)
        module.require_valid()
        return module

    def empty(self) -> Module:
        """Return an empty module for the target."""
        module = self._read(self.context, self._assemble(b'source_filename = "empty"\n'))
        self._bind(module)
        return module

    def _assemble(self, text: bytes) -> bytes:
        context = self.api.lib.LLVMContextCreate()
        module = self._read(context, text)
        module.require_valid()  # the bitcode writer trusts its input
        bitcode = module.bitcode()
        self.api.lib.LLVMDisposeModule(module.ref)
        self.api.lib.LLVMContextDispose(context)
        return bitcode

    def _read(self, context: int, data: bytes) -> Module:
        lib, reference, message = self.api.lib, c_void_p(), c_void_p()
        buffer = lib.LLVMCreateMemoryBufferWithMemoryRangeCopy(data, len(data), b"input")
        with stderr_captured() as stderr:
            # LLVMParseIRInContext frees the buffer.
            failed = lib.LLVMParseIRInContext(
                context, buffer, byref(reference), byref(message)
            )
        if failed or not reference.value:
            text = (
                self.api.message(message.value).strip()
                or stderr.decode("utf-8", "replace").strip()
            )
            raise Refused(
                "module", f"LLVM {self.api.version} cannot read the module: {text[:2000]}"
            )
        return Module(self, reference.value)

    def _bind(self, module: Module) -> None:
        """Set the module's target where it names none. Raises Refused when it names another."""
        lib = self.api.lib
        triple = lib.LLVMGetTarget(module.ref).decode()
        layout = lib.LLVMGetDataLayoutStr(module.ref).decode()
        if triple and self._kind(triple) != self._kind(self.triple):
            raise Refused(
                "module",
                f"the module was made for {triple!r}, the target of the job is {self.triple!r}",
            )
        if layout and layout != self.layout:
            raise Refused(
                "module",
                f"the module's data layout is {layout!r}, that of target {self.triple!r} "
                f"is {self.layout!r}",
            )
        if not triple:
            lib.LLVMSetTarget(module.ref, self.triple.encode())
        lib.LLVMSetDataLayout(module.ref, self.layout.encode())

    def _kind(self, triple: str) -> tuple[str, ...]:
        """Return architecture, system and environment, without vendor and versions.

        x86_64-unknown-linux5.10-gnu2.31 gives x86_64, linux, gnu.
        """
        normal = self.api.message(self.api.lib.LLVMNormalizeTargetTriple(triple.encode()))
        parts = [*normal.split("-"), "", "", ""][:4]
        system, environment = (
            re.sub(r"[\d.]+$", "", part).replace("unknown", "") for part in parts[2:]
        )
        return parts[0], system.replace("none", ""), environment


class Module:
    """An LLVM module. `ref` is the raw LLVMModuleRef, `api` the library."""

    def __init__(self, session: Session, ref: int) -> None:
        self.session, self.api, self.ref = session, session.api, ref

    def verify(self) -> str | None:
        """Return the objection of LLVM's verifier, or None."""
        message = c_void_p()
        with stderr_captured() as stderr:
            failed = self.api.lib.LLVMVerifyModule(
                self.ref, _RETURN_STATUS, byref(message)
            )
        text = self.api.message(message.value).strip()
        if not failed:
            return None
        return (
            text
            or stderr.decode("utf-8", "replace").strip()
            or "refused without a reason"
        )

    def require_valid(self) -> None:
        """Raise Refused with the objection of LLVM's verifier, if any."""
        if problem := self.verify():
            raise Refused(
                "module", f"LLVM's verifier refuses the module: {problem[:2000]}"
            )

    def run(self, pipeline: str) -> str | None:
        """Run a module pipeline; return LLVM's error for an invalid one, which changes nothing."""
        lib = self.api.lib
        if problem := unfit(pipeline):
            return problem
        return self.api.error(
            lib.LLVMRunPasses(
                self.ref, pipeline.encode(), self.session.machine, self.session.options
            )
        )

    def run_on_function(self, name: str, pipeline: str) -> str | None:
        """Run a function pipeline on one function. Raises KeyError when it is not defined here."""
        lib, function = self.api.lib, self.function(name)
        if function is None:
            raise KeyError(name)
        if problem := unfit(pipeline):
            return problem
        session = self.session
        return self.api.error(
            lib.LLVMRunPassesOnFunction(
                function, pipeline.encode(), session.machine, session.options
            )
        )

    def complete(self) -> int:
        """Set target attributes on the defined functions that lack them; return their number.

        Such functions use the machine's processor and features anyway. Written out, every tool uses
        the same: the -mcpu of `opt` would rewrite all functions.
        """
        lib, session, changed = self.api.lib, self.session, 0
        words = [
            (b"target-cpu", session.cpu.encode()),
            (b"target-features", session.features.encode()),
        ]
        for function in self.api.each(self.ref, "Function"):
            if lib.LLVMIsDeclaration(function):
                continue
            lacking = [
                (key, value)
                for key, value in words
                if value
                and not lib.LLVMGetStringAttributeAtIndex(
                    function, _FUNCTION_INDEX, key, len(key)
                )
            ]
            if len(lacking) < len([value for _, value in words if value]):
                continue  # one of the two alone is meant as it is
            for key, value in lacking:
                made = lib.LLVMCreateStringAttribute(
                    session.context, key, len(key), value, len(value)
                )
                lib.LLVMAddAttributeAtIndex(function, _FUNCTION_INDEX, made)
            changed += bool(lacking)
        return changed

    def function(self, name: str) -> int | None:
        """Return the address of a defined function, or None."""
        if "\0" in name:
            return None
        address = self.api.lib.LLVMGetNamedFunction(self.ref, name.encode())
        return (
            address if address and not self.api.lib.LLVMIsDeclaration(address) else None
        )

    def set_attribute(self, name: str, word: str, *, added: bool) -> str | None:
        """Add or remove a steering attribute of a defined function; return the problem, if any.

        `no-builtin-NAME` is for EVERY_FUNCTION.
        """
        if name == EVERY_FUNCTION:
            return self._forbid_call(word, added=added)
        if word not in STEERING | STEERING_WORDS:
            names = ", ".join(sorted(STEERING | STEERING_WORDS))
            return f"attribute: expected one of {names}, got {word!r}"
        function = self.function(name)
        if function is None:
            return f"attribute {word!r}: the module does not define function {name!r}"
        if word in STEERING_WORDS:
            if not added:
                return f"attribute {word!r}: expected to be added, got its removal"
            self._set_word(function, *word.split("="))
            return None
        lib = self.api.lib
        kind = lib.LLVMGetEnumAttributeKindForName(word.encode(), len(word))
        if kind == 0:
            return f"this LLVM does not know attribute {word!r}"
        lib.LLVMRemoveEnumAttributeAtIndex(function, _FUNCTION_INDEX, kind)
        if added:
            lib.LLVMAddAttributeAtIndex(
                function,
                _FUNCTION_INDEX,
                lib.LLVMCreateEnumAttribute(self.session.context, kind, 0),
            )
        return None

    def _forbid_call(self, word: str, *, added: bool) -> str | None:
        """Set `no-builtin-NAME` on all defined functions; return the problem, if any."""
        if not _NO_BUILTIN.fullmatch(word) or not added:
            return (
                "attribute of all functions: expected no-builtin- and the name of a library "
                f"function, added, got {word!r}"
            )
        for name in self.functions():
            function = self.function(name)
            assert function is not None
            self._set_word(function, word, "")
        return None

    def _set_word(self, function: int, key: str, value: str) -> None:
        """Set an attribute of two words where the function has none: its owner's stays."""
        lib, name, text = self.api.lib, key.encode(), value.encode()
        if lib.LLVMGetStringAttributeAtIndex(function, _FUNCTION_INDEX, name, len(name)):
            return
        made = lib.LLVMCreateStringAttribute(
            self.session.context, name, len(name), text, len(text)
        )
        lib.LLVMAddAttributeAtIndex(function, _FUNCTION_INDEX, made)

    def count(self) -> int:
        """Return the number of instructions of all functions."""
        if self.api.count_module is not None:
            return int(self.api.count_module(self.ref))
        return sum(
            self.count_of(function) for function in self.api.each(self.ref, "Function")
        )

    def count_of(self, function: int) -> int:
        """Return the number of instructions of one function."""
        if self.api.count_function is not None:
            return int(self.api.count_function(function))
        return sum(
            len(self.api.each(block, "Instruction"))
            for block in self.api.each(function, "BasicBlock")
        )

    def functions(self) -> dict[str, int]:
        """Return the number of instructions of every defined function, by name."""
        return {
            self.api.name(item): self.count_of(item)
            for item in self.api.each(self.ref, "Function")
            if not self.api.lib.LLVMIsDeclaration(item)
        }

    def declared(self) -> list[str]:
        """Return the functions that are used and defined elsewhere, without intrinsics."""
        declarations = [
            item
            for item in self.api.each(self.ref, "Function")
            if self.api.lib.LLVMIsDeclaration(item)
        ]
        return sorted(
            name
            for name in map(self.api.name, declarations)
            if not name.startswith("llvm.")
        )

    def exported(self) -> dict[str, str]:
        """Return linkage and visibility of the symbols that other objects can rely on, by name.

        Discardable symbols (linkonce) are not among them.
        """
        lib, symbols = self.api.lib, {}
        for kind in ("Function", "Global", "GlobalAlias", "GlobalIFunc"):
            for item in self.api.each(self.ref, kind):
                linkage = _LINKAGES.get(lib.LLVMGetLinkage(item))
                if linkage and not lib.LLVMIsDeclaration(item):
                    symbols[self.api.name(item)] = (
                        linkage
                        + ("", " hidden", " protected")[lib.LLVMGetVisibility(item)]
                    )
        return {
            name: kind for name, kind in symbols.items() if not name.startswith("llvm.")
        }

    def has_inline_asm(self) -> bool:
        """Return whether the module holds assembly, at its top or in a call."""
        lib, length = self.api.lib, c_size_t()
        lib.LLVMGetModuleInlineAsm(self.ref, byref(length))
        if length.value:
            return True
        opcode, following = lib.LLVMGetInstructionOpcode, lib.LLVMGetNextInstruction
        for function in self.api.each(self.ref, "Function"):
            for block in self.api.each(function, "BasicBlock"):
                item = lib.LLVMGetFirstInstruction(block)
                while item:
                    if opcode(item) in _CALLS and lib.LLVMIsAInlineAsm(
                        lib.LLVMGetCalledValue(item)
                    ):
                        return True
                    item = following(item)
        return False

    def has_constructors(self) -> bool:
        """Return whether code runs before or after main."""
        lib = self.api.lib
        return any(
            lib.LLVMGetNamedGlobal(self.ref, name)
            for name in (b"llvm.global_ctors", b"llvm.global_dtors")
        )

    def clone(self) -> Module:
        """Return a copy in the same context."""
        return Module(self.session, self.api.lib.LLVMCloneModule(self.ref))

    def dispose(self) -> None:
        """Free the module."""
        self.api.lib.LLVMDisposeModule(self.ref)

    def bitcode(self) -> bytes:
        """Return the bitcode that `opt -o` writes."""
        return self.api.buffer(self.api.lib.LLVMWriteBitcodeToMemoryBuffer(self.ref))

    def text(self) -> str:
        """Return the text that `opt -S` writes."""
        return self.api.message(self.api.lib.LLVMPrintModuleToString(self.ref))

    def emit(
        self, *, llc: str = "", folder: str = "", options: Sequence[str] = ()
    ) -> bytes:
        """Generate the ELF object. The module must not be used afterwards: this changes it.

        Where the library lacks llc's settings, `llc` of the same build is run in `folder` with
        `options` (which hold in this process already), if there are settings beyond the C API's or
        the module has constructors: through the C API they become .ctors, which many linkers
        ignore, instead of .init_array. Raises RuntimeError.
        """
        if not self.session.exact and (self.session.words or self.has_constructors()):
            return self.emit_by_llc(llc, folder, options)
        message, buffer = c_void_p(), c_void_p()
        failed = self.api.lib.LLVMTargetMachineEmitToMemoryBuffer(
            self.session.machine, self.ref, _OBJECT_FILE, byref(message), byref(buffer)
        )
        if failed or not buffer.value:
            raise RuntimeError(
                f"code generation failed: {self.api.message(message.value)}"
            )
        return self.api.buffer(buffer.value)

    def emit_by_llc(self, llc: str, folder: str, options: Sequence[str]) -> bytes:
        """Generate the ELF object by `llc`, whose options those of this process do not touch.

        Raises RuntimeError.
        """
        if not llc:
            raise RuntimeError(
                "the module's object needs llc of the same LLVM build; install its tools"
            )
        session, stem = self.session, os.path.join(folder, f"llc-{os.getpid()}")
        command = [
            llc, "-filetype=obj", "-O2", f"-mtriple={session.triple}", *session.machine_words,
            *options, "-o", f"{stem}.o", f"{stem}.bc",
        ]  # fmt: skip
        try:
            with open(f"{stem}.bc", "wb") as file:
                file.write(self.bitcode())
            status = os.waitpid(spawn(command), 0)[1]
            if status:
                raise RuntimeError(f"llc ended with {os.waitstatus_to_exitcode(status)}")
            with open(f"{stem}.o", "rb") as file:
                return file.read()
        finally:
            for name in (f"{stem}.bc", f"{stem}.o"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name)
