"""A module and its target in libLLVM's memory. Used by the engine's server process only; any call here may end the process."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
from collections.abc import Iterator, Sequence
from ctypes import byref, c_size_t, c_void_p

from solvers.llvm.capi import CApi

BITCODE_MAGIC = (b"BC\xc0\xde", b"\xde\xc0\x17\x0b")
# Attributes that steer optimisation and never change what a program means.
STEERING = frozenset(
    {"noinline", "alwaysinline", "inlinehint", "minsize", "optsize", "cold", "hot"}
)

_LINKAGES = {
    0: "external",
    5: "weak",
    6: "weak_odr",
    11: "dllexport",
    14: "common",
}  # what other objects can rely on
_CALLS = frozenset({5, 45, 67})  # LLVMInvoke, LLVMCall, LLVMCallBr
_FUNCTION_INDEX = 0xFFFFFFFF  # LLVMAttributeFunctionIndex
_RETURN_STATUS, _OBJECT_FILE = 2, 1
_DEFAULT_LEVEL, _STATIC, _PIC, _DEFAULT_CODE_MODEL = (
    2,
    1,
    2,
    0,
)  # clang -Oz generates code at the default level
_TRIPLE = re.compile(r"[A-Za-z0-9_.]+(?:-[A-Za-z0-9_.]*){0,4}")
_CPU = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_FEATURES = re.compile(r"(?:[+-][A-Za-z0-9][A-Za-z0-9._-]*(?:,(?!$)|$))*")
_NOT_ELF = re.compile(
    r"darwin|macos|ios|tvos|watchos|xros|driverkit|windows|win32|cygwin|mingw|uefi|wasm|aix|zos|spirv|dxil|nvptx"
)


# The code generator's settings that make a target machine; llc has them in one place, `codegen::RegisterCodeGenFlags`.
OF_MACHINE = frozenset(
    {
        "-addrsig", "-code-model", "-data-sections", "-emulated-tls", "-enable-tlsdesc", "-exception-model", "-float-abi",
        "-fp-contract", "-function-sections", "-mc-relax-all", "-meabi", "-nozero-initialized-in-bss", "-target-abi",
        "-tls-size", "-unique-section-names", "-use-ctors", "-x86-relax-relocations",
    }
)  # fmt: skip


def _name(word: str) -> str:
    return word.partition("=")[0]


# A path in a pass's parameters, or a pass that writes pictures of the program and shows them.
_ODD_TEXT = re.compile(r"[^\w<>()=,;.:@+\-*\s]|(?<![\w<-])(?:view|dot)-[\w-]+")
_LONGEST_PIPELINE = 1 << 20


def unfit(pipeline: str) -> str | None:
    """What keeps a text from being run as a pipeline, before LLVM sees it."""
    if len(pipeline) > _LONGEST_PIPELINE:
        return f"the pipeline has {len(pipeline):,} characters; at most {_LONGEST_PIPELINE:,} are taken"
    found = _ODD_TEXT.search(pipeline)
    return (
        f"{found.group()!r} at character {found.start()} does not belong in a pipeline"
        if found
        else None
    )


class Refused(Exception):
    """The target or the module cannot be taken. `what` is "target" or "module"."""

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
        self.api, self.triple, self.cpu, self.features, self.pic = (
            api,
            triple,
            cpu,
            features,
            pic,
        )
        # Those of the code generator's settings that are no target machine's are set with each recipe's own options.
        self.words = tuple(word for word in codegen if _name(word) in OF_MACHINE)
        self.base_options = tuple(word for word in codegen if _name(word) not in OF_MACHINE)
        if not _TRIPLE.fullmatch(triple):
            raise Refused(
                "target",
                f"target triple {triple!r} came; wanted one such as x86_64-unknown-linux-gnu",
            )
        if cpu and not _CPU.fullmatch(cpu):
            raise Refused(
                "target", f"CPU {cpu!r} came; wanted a name such as x86-64 or cortex-m4"
            )
        if not _FEATURES.fullmatch(features):  # LLVM ends the process on one without a sign
            raise Refused(
                "target",
                f"features {features!r} came; wanted +name or -name, comma between, as in +avx2,-sse4.2",
            )
        # Three parts are read by place: thumbv7em-none-eabi would be a system called eabi, without its ABI.
        self.triple = triple = api.message(
            api.lib.LLVMNormalizeTargetTriple(triple.encode())
        )
        if _NOT_ELF.search(triple):
            raise Refused(
                "target",
                f"target {triple!r} has no ELF objects, and sizes are read from ELF objects only",
            )
        self.context = api.lib.LLVMContextCreate()
        api.lib.LLVMContextSetDiscardValueNames(
            self.context, 1
        )  # equal programs get equal digests, and it is faster
        target, message = c_void_p(), c_void_p()
        if api.lib.LLVMGetTargetFromTriple(triple.encode(), byref(target), byref(message)):
            raise Refused(
                "target",
                f"unknown target triple {triple!r}: {api.message(message.value).strip()}",
            )
        with stderr_captured() as said:
            try:
                machine = api.machine_by_flags(triple, self.machine_words, _DEFAULT_LEVEL)
            except ValueError as error:
                raise Refused("target", f"target {triple!r}: {error}") from error
            # Whether the machine is set up as llc's is; without, llc makes every object.
            self.exact = machine is not None
            self.machine = machine or api.lib.LLVMCreateTargetMachine(
                target, triple.encode(), cpu.encode(), features.encode(),
                _DEFAULT_LEVEL, _PIC if pic else _STATIC, _DEFAULT_CODE_MODEL,
            )  # fmt: skip
        if said or not self.machine:  # LLVM goes on with another processor and only says so
            lines = dict.fromkeys(
                said.decode("utf-8", "replace").strip().splitlines()
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
        """What `llc` is told for this very machine, triple apart."""
        words = [f"-relocation-model={'pic' if self.pic else 'static'}"]
        words += [f"-mcpu={self.cpu}"] if self.cpu else []
        words += [f"-mattr={self.features}"] if self.features else []
        return [*words, *self.words]

    def parse(self, data: bytes) -> Module:
        """Reads bitcode or text, verifies it and binds it to the target. Raises Refused with LLVM's words."""
        if not data.strip():
            raise Refused(
                "module", "the module is empty; wanted LLVM bitcode or textual IR"
            )
        if not data.startswith(BITCODE_MAGIC):
            data = self._assemble(
                data
            )  # the reader of text needs names, and this context keeps none
        module = self._read(self.context, data)
        self._bind(module)
        problem = module.verify()
        if problem:
            raise Refused("module", f"LLVM's verifier refuses the module: {problem[:2000]}")
        return module

    def empty(self) -> Module:
        """A module without anything, for the target."""
        module = self._read(self.context, self._assemble(b'source_filename = "empty"\n'))
        self._bind(module)
        return module

    def _assemble(self, text: bytes) -> bytes:
        context = self.api.lib.LLVMContextCreate()
        module = self._read(context, text)
        problem = module.verify()  # the bitcode writer trusts what it gets
        if problem:
            raise Refused("module", f"LLVM's verifier refuses the module: {problem[:2000]}")
        bitcode = module.bitcode()
        self.api.lib.LLVMDisposeModule(module.ref)
        self.api.lib.LLVMContextDispose(context)
        return bitcode

    def _read(self, context: int, data: bytes) -> Module:
        lib, reference, message = self.api.lib, c_void_p(), c_void_p()
        buffer = lib.LLVMCreateMemoryBufferWithMemoryRangeCopy(data, len(data), b"input")
        with stderr_captured() as said:
            failed = lib.LLVMParseIRInContext(
                context, buffer, byref(reference), byref(message)
            )  # takes the buffer
        if failed or not reference.value:
            text = (
                self.api.message(message.value).strip()
                or said.decode("utf-8", "replace").strip()
            )
            raise Refused(
                "module", f"LLVM {self.api.version} cannot read the module: {text[:2000]}"
            )
        return Module(self, reference.value)

    def _bind(self, module: Module) -> None:
        """Gives the module the target when it names none; raises Refused when it was made for another."""
        lib = self.api.lib
        triple, layout = (
            lib.LLVMGetTarget(module.ref).decode(),
            lib.LLVMGetDataLayoutStr(module.ref).decode(),
        )
        if triple and self._kind(triple) != self._kind(self.triple):
            raise Refused(
                "module",
                f"the module was made for {triple!r}, the target asked for is {self.triple!r}",
            )
        if layout and layout != self.layout:
            raise Refused(
                "module",
                f"the module's data layout is {layout!r}, that of target {self.triple!r} is {self.layout!r}",
            )
        if not triple:
            lib.LLVMSetTarget(module.ref, self.triple.encode())
        lib.LLVMSetDataLayout(module.ref, self.layout.encode())

    def _kind(self, triple: str) -> tuple[str, ...]:
        """Architecture, system and environment without vendor and versions: x86_64-unknown-linux5.10-gnu2.31 is …-linux-gnu."""
        parts = [
            *self.api.message(
                self.api.lib.LLVMNormalizeTargetTriple(triple.encode())
            ).split("-"),
            "",
            "",
            "",
        ][:4]
        system, environment = (
            re.sub(r"[\d.]+$", "", part).replace("unknown", "") for part in parts[2:]
        )
        return parts[0], system.replace("none", ""), environment


class Module:
    """An LLVM module. `ref` is the raw LLVMModuleRef, `api` the library."""

    def __init__(self, session: Session, ref: int) -> None:
        self.session, self.api, self.ref = session, session.api, ref

    def verify(self) -> str | None:
        """What LLVM's verifier objects to."""
        message = c_void_p()
        with stderr_captured() as said:
            failed = self.api.lib.LLVMVerifyModule(self.ref, _RETURN_STATUS, byref(message))
        text = self.api.message(message.value).strip()
        return (
            (text or said.decode("utf-8", "replace").strip() or "refused without a reason")
            if failed
            else None
        )

    def run(self, pipeline: str) -> str | None:
        """Runs a module pipeline; the text of the error when it is not one (the module is then unchanged)."""
        lib = self.api.lib
        if problem := unfit(pipeline):
            return problem
        return self.api.error(
            lib.LLVMRunPasses(
                self.ref, pipeline.encode(), self.session.machine, self.session.options
            )
        )

    def run_on_function(self, name: str, pipeline: str) -> str | None:
        """Runs a function pipeline on one function; raises KeyError when it is not defined here."""
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
        """Gives defined functions without target words those of the session's machine; the number of functions changed.

        Such functions take the machine's processor and features anyway. Written out, they take the same from every tool: from
        `opt`, whose -mcpu would rewrite all functions.
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
                continue  # one of the two alone means what it says
            for key, value in lacking:
                made = lib.LLVMCreateStringAttribute(
                    session.context, key, len(key), value, len(value)
                )
                lib.LLVMAddAttributeAtIndex(function, _FUNCTION_INDEX, made)
            changed += bool(lacking)
        return changed

    def function(self, name: str) -> int | None:
        """Address of a defined function."""
        found = (
            self.api.lib.LLVMGetNamedFunction(self.ref, name.encode())
            if "\0" not in name
            else None
        )
        return found if found and not self.api.lib.LLVMIsDeclaration(found) else None

    def set_attribute(self, name: str, word: str, *, added: bool) -> str | None:
        """Adds or removes a steering attribute of a defined function; says what is wrong."""
        if word not in STEERING:
            return f"attribute {word!r} came; wanted one of {', '.join(sorted(STEERING))}"
        function = self.function(name)
        if function is None:
            return f"attribute {word!r} is for function {name!r}, which the module does not define"
        lib, kind = (
            self.api.lib,
            self.api.lib.LLVMGetEnumAttributeKindForName(word.encode(), len(word)),
        )
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

    def count(self) -> int:
        """Instructions of all functions."""
        if self.api.count_module is not None:
            return int(self.api.count_module(self.ref))
        return sum(
            self.count_of(function) for function in self.api.each(self.ref, "Function")
        )

    def count_of(self, function: int) -> int:
        """Instructions of one function."""
        if self.api.count_function is not None:
            return int(self.api.count_function(function))
        return sum(
            len(self.api.each(block, "Instruction"))
            for block in self.api.each(function, "BasicBlock")
        )

    def functions(self) -> dict[str, int]:
        """Instructions of every defined function by name."""
        found = self.api.each(self.ref, "Function")
        return {
            self.api.name(item): self.count_of(item)
            for item in found
            if not self.api.lib.LLVMIsDeclaration(item)
        }

    def declared(self) -> list[str]:
        """Functions that are used and defined elsewhere, without LLVM's intrinsics."""
        found = [
            item
            for item in self.api.each(self.ref, "Function")
            if self.api.lib.LLVMIsDeclaration(item)
        ]
        return sorted(
            name for name in map(self.api.name, found) if not name.startswith("llvm.")
        )

    def exported(self) -> dict[str, str]:
        """Symbols other objects can rely on: name → linkage and visibility. Discardable ones (linkonce) are not among them."""
        lib, found = self.api.lib, {}
        for kind in ("Function", "Global", "GlobalAlias", "GlobalIFunc"):
            for item in self.api.each(self.ref, kind):
                linkage = _LINKAGES.get(lib.LLVMGetLinkage(item))
                if linkage and not lib.LLVMIsDeclaration(item):
                    found[self.api.name(item)] = (
                        linkage + ("", " hidden", " protected")[lib.LLVMGetVisibility(item)]
                    )
        return {name: said for name, said in found.items() if not name.startswith("llvm.")}

    def has_inline_asm(self) -> bool:
        """Whether there is assembly, of the module or in a call."""
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
        """Whether code runs before main or after it."""
        lib = self.api.lib
        return any(
            lib.LLVMGetNamedGlobal(self.ref, name)
            for name in (b"llvm.global_ctors", b"llvm.global_dtors")
        )

    def clone(self) -> Module:
        """A copy in the same context."""
        return Module(self.session, self.api.lib.LLVMCloneModule(self.ref))

    def dispose(self) -> None:
        """Frees it."""
        self.api.lib.LLVMDisposeModule(self.ref)

    def bitcode(self) -> bytes:
        """As `opt -o` would write it."""
        return self.api.buffer(self.api.lib.LLVMWriteBitcodeToMemoryBuffer(self.ref))

    def text(self) -> str:
        """As `opt -S` would write it."""
        return self.api.message(self.api.lib.LLVMPrintModuleToString(self.ref))

    def emit(
        self, *, llc: str = "", folder: str = "", options: Sequence[str] = ()
    ) -> bytes:
        """The ELF object. Code generation changes the module: nothing may be asked of it afterwards.

        Where the library lacks llc's settings, `llc` of the same build does it, with its files in `folder` and `options` (which
        hold in this process already), when there are settings beyond the C API's or the module has constructors: the C API
        has no way to ask for .init_array, and the old .ctors it would write is ignored by many linkers. Raises RuntimeError.
        """
        if not self.session.exact and (self.session.words or self.has_constructors()):
            return self._emit_by_llc(llc, folder, options)
        message, buffer = c_void_p(), c_void_p()
        failed = self.api.lib.LLVMTargetMachineEmitToMemoryBuffer(
            self.session.machine, self.ref, _OBJECT_FILE, byref(message), byref(buffer)
        )
        if failed or not buffer.value:
            raise RuntimeError(f"code generation failed: {self.api.message(message.value)}")
        return self.api.buffer(buffer.value)

    def _emit_by_llc(self, llc: str, folder: str, options: Sequence[str]) -> bytes:
        if not llc:
            raise RuntimeError(
                "the module's object needs llc of the same LLVM build; install its tools"
            )
        session, stem = self.session, os.path.join(folder, f"llc-{os.getpid()}")
        command = [
            llc, "-filetype=obj", "-O2", f"-mtriple={session.triple}", *session.machine_words, *options,
            "-o", f"{stem}.o", f"{stem}.bc",
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


PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int, signal_number: int) -> None:
    """Asks the kernel for a signal when the parent ends; leaves at once when it ended already."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def spawn(command: Sequence[str]) -> int:
    """Starts a program that dies with this process and inherits its limits and stderr; its process id."""
    here = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        die_with_parent(here, 9)
        os.execve(command[0], list(command), {"LC_ALL": "C"})  # noqa: S606 - fixed program, no shell
    finally:
        os._exit(127)


@contextlib.contextmanager
def stderr_captured() -> Iterator[bytearray]:
    """What the library writes to stderr meanwhile, at most 64 KiB; filled when the block ends.

    Stderr is a file that can be read, in the server and in its children: so nothing is lost when the process ends inside.
    """
    said, start = bytearray(), os.lseek(2, 0, os.SEEK_END)
    try:
        yield said
    finally:
        said += os.pread(2, 1 << 16, start)
