"""Boards that QEMU emulates, and their memory."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Board:
    """A machine of `qemu-system-*` that runs programs with semihosting."""

    name: str  # as QEMU's -machine takes it
    emulator: str  # program of QEMU
    package: str  # Debian's package that has it
    triples: str  # pattern of triples whose code it runs
    flash: int  # address of the memory that programs start in
    flash_bytes: int
    ram: int
    ram_bytes: int
    words: tuple[str, ...] = ()  # further arguments of QEMU


_MIB = 1 << 20
_CORTEX_M = ("qemu-system-arm", "qemu-system-arm")
# Sources: QEMU 7.2, docs/system/arm/{mps2,nrf,stm32}.rst and docs/system/riscv/virt.rst; Arm AN385
# and AN386, memory map; hw/riscv/virt.c (DRAM at 0x80000000).
BOARDS: tuple[Board, ...] = (
    Board(
        name="mps2-an386",  # Cortex-M4 with FPU
        emulator=_CORTEX_M[0],
        package=_CORTEX_M[1],
        triples=r"(thumbv(6m|7m|7em)|arm(v[67]e?m)?)-.*eabi",
        flash=0,
        flash_bytes=4 * _MIB,
        ram=0x20000000,
        ram_bytes=4 * _MIB,
    ),
    Board(
        name="mps2-an385",  # Cortex-M3
        emulator=_CORTEX_M[0],
        package=_CORTEX_M[1],
        triples=r"(thumbv(6m|7m)|arm(v[67]m)?)-.*eabi",
        flash=0,
        flash_bytes=4 * _MIB,
        ram=0x20000000,
        ram_bytes=4 * _MIB,
    ),
    Board(
        name="mps2-an500",  # Cortex-M7
        emulator=_CORTEX_M[0],
        package=_CORTEX_M[1],
        triples=r"(thumbv(6m|7m|7em)|arm(v[67]e?m)?)-.*eabi",
        flash=0,
        flash_bytes=4 * _MIB,
        ram=0x20000000,
        ram_bytes=4 * _MIB,
    ),
    Board(
        name="microbit",  # nRF51822, Cortex-M0
        emulator=_CORTEX_M[0],
        package=_CORTEX_M[1],
        triples=r"(thumbv6m|arm(v6m)?)-.*eabi",
        flash=0,
        flash_bytes=_MIB // 4,
        ram=0x20000000,
        ram_bytes=_MIB // 64,
    ),
    Board(
        name="netduinoplus2",  # STM32F405, Cortex-M4
        emulator=_CORTEX_M[0],
        package=_CORTEX_M[1],
        triples=r"(thumbv(6m|7m|7em)|arm(v[67]e?m)?)-.*eabi",
        flash=0x08000000,
        flash_bytes=_MIB,
        ram=0x20000000,
        ram_bytes=_MIB // 8,
    ),
    Board(
        name="stm32vldiscovery",  # STM32F100, Cortex-M3
        emulator=_CORTEX_M[0],
        package=_CORTEX_M[1],
        triples=r"(thumbv(6m|7m)|arm(v[67]m)?)-.*eabi",
        flash=0x08000000,
        flash_bytes=_MIB // 8,
        ram=0x20000000,
        ram_bytes=_MIB // 128,
    ),
    Board(
        name="virt-rv32",
        emulator="qemu-system-riscv32",
        package="qemu-system-misc",
        triples=r"riscv32-.*(elf|none)",
        flash=0x80000000,
        flash_bytes=4 * _MIB,
        ram=0x80400000,
        ram_bytes=16 * _MIB,
        words=("-bios", "none", "-m", "64M"),
    ),
    Board(
        name="virt-rv64",
        emulator="qemu-system-riscv64",
        package="qemu-system-misc",
        triples=r"riscv64-.*(elf|none)",
        flash=0x80000000,
        flash_bytes=4 * _MIB,
        ram=0x80400000,
        ram_bytes=16 * _MIB,
        words=("-bios", "none", "-m", "64M"),
    ),
)


def boards_for(triple: str) -> list[Board]:
    """Return the boards that run code for a triple without an operating system, best first."""
    return [board for board in BOARDS if re.match(board.triples, triple)]
