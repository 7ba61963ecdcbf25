"""Build attributes of Arm objects: do they pass floating-point arguments as the program does?

lld links objects that disagree without a word, and the program computes nonsense. GNU ld refuses
them, by the same attribute. Source: Arm, Addenda to the ABI (IHI 0045), Tag_ABI_VFP_args.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from solvers.llvm import install
from solvers.llvm.frontend import SourceError, diagnostics, run_held
from solvers.llvm.toolchain import Command
from solvers.llvm.types import Target

_READ_S = 60.0
_FILE = re.compile(r"^File: (?P<name>.*)$", re.MULTILINE)
_ARM = re.compile(r"arm(?!64)|thumb")
# Compilers write the size of enumerations. Assembly has no convention of its own.
_COMPILED, _ARGUMENTS = "TagName: ABI_enum_size", "TagName: ABI_VFP_args"


def check_float_abi(objects: Sequence[Path], machine: Target, *, workdir: Path) -> None:
    """Refuse prebuilt objects whose floating-point arguments go elsewhere than the program's.

    machine: the target with everything decided. Raises SourceError with the object's name.
    """
    if not objects or not _ARM.match(machine.triple):
        return
    hard = "-float-abi=hard" in machine.codegen
    for name, attributes in _attributes(objects, workdir):
        theirs = _ARGUMENTS in attributes
        if theirs == hard or (not theirs and _COMPILED not in attributes):
            continue
        ours, got = ("hard", "soft") if hard else ("soft", "hard")
        raise SourceError(
            f"{name}: expected an object with the float ABI of the program ({ours}), got one with "
            f"{got}: both would disagree where arguments are. Compile it with "
            f"-mfloat-abi={ours}, or set the program's by build.flags -mfloat-abi={got}",
            "",
        )


def _attributes(objects: Sequence[Path], workdir: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the printed attributes of each object and member of an archive."""
    path = install.find_llvm().tool("llvm-readelf")
    command = Command(words=(str(path),), folders=(path.resolve().parents[1],))
    with tempfile.TemporaryDirectory(dir=workdir, prefix="attributes-") as made:
        folder = Path(made).resolve()
        for file in objects:
            done = run_held(
                [str(path), "--arch-specific", str(file.resolve())],
                command=command,
                root=folder,
                readable=[file.resolve()],
                timeout_s=_READ_S,
                stopped=lambda: False,
            )
            if done.exit_code != 0:
                raise SourceError(
                    f"{file.name} cannot be read",
                    diagnostics(done, command.folders, folder, folder),
                )
            text = done.stdout.decode("utf-8", "replace")
            parts = _FILE.split(text)
            yield file.name, parts[0]
            for member, attributes in zip(parts[1::2], parts[2::2], strict=True):
                inside = re.search(r"\((?P<name>[^)]*)\)", member)
                name = f"{file.name}({inside['name']})" if inside else file.name
                yield name, attributes
