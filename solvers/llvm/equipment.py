"""Programs and libraries of this server for targets beside its own, with Debian's packages."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Equipment:
    """A program or file, the package that has it, and what a job goes without if it is missing."""

    place: str  # name of a program, or path of a file
    package: str
    without: str

    @property
    def present(self) -> bool:
        """Whether it is installed."""
        if "/" in self.place:
            return Path(self.place).exists()
        return shutil.which(self.place) is not None


_PICOLIBC = "/usr/lib/picolibc/{}/include/stdio.h"
EQUIPMENT: tuple[Equipment, ...] = (
    Equipment(
        place="/usr/lib/llvm-22/bin/llc", package="llvm-22", without="code for RISC-V"
    ),
    Equipment(
        place="arm-none-eabi-gcc",
        package="gcc-arm-none-eabi",
        without="libgcc, and gcc -Os in the table, for Cortex-M",
    ),
    Equipment(
        place=_PICOLIBC.format("arm-none-eabi"),
        package="picolibc-arm-none-eabi",
        without="picolibc for Cortex-M",
    ),
    Equipment(
        place="/usr/include/newlib/newlib.h",
        package="libnewlib-arm-none-eabi",
        without="newlib for Cortex-M",
    ),
    Equipment(
        place="riscv64-unknown-elf-gcc",
        package="gcc-riscv64-unknown-elf",
        without="libgcc, and gcc -Os in the table, for RISC-V",
    ),
    Equipment(
        place=_PICOLIBC.format("riscv64-unknown-elf"),
        package="picolibc-riscv64-unknown-elf",
        without="picolibc for RISC-V",
    ),
    Equipment(
        place="qemu-arm", package="qemu-user", without="runs of other processors' Linux"
    ),
    Equipment(
        place="qemu-system-arm", package="qemu-system-arm", without="runs on Cortex-M"
    ),
    Equipment(
        place="qemu-system-riscv32",
        package="qemu-system-misc",
        without="runs on RISC-V without an operating system",
    ),
    Equipment(
        place="/usr/lib32/crt1.o",
        package="libc6-dev-i386 lib32gcc-12-dev",
        without="links for i386 Linux",
    ),
    Equipment(
        place="/usr/aarch64-linux-gnu/lib/crt1.o",
        package="libc6-dev-arm64-cross libgcc-12-dev-arm64-cross",
        without="links for AArch64 Linux",
    ),
    Equipment(
        place="/usr/arm-linux-gnueabihf/lib/crt1.o",
        package="libc6-dev-armhf-cross libgcc-12-dev-armhf-cross",
        without="links for 32-bit Arm Linux",
    ),
    Equipment(
        place="/usr/riscv64-linux-gnu/lib/crt1.o",
        package="libc6-dev-riscv64-cross libgcc-12-dev-riscv64-cross",
        without="links for RISC-V Linux",
    ),
)


def missing() -> list[Equipment]:
    """Return what is not installed here."""
    return [row for row in EQUIPMENT if not row.present]
