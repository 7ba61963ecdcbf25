"""Cores, memory and GPUs of this machine or container."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers import resources


def test_resources_are_the_containers_when_those_are_less(tmp_path: Path) -> None:
    whole = resources.look(tmp_path)
    assert whole.cores >= 1
    assert whole.memory_bytes > 2**28
    folder = tmp_path / "sys/fs/cgroup"
    folder.mkdir(parents=True)
    (folder / "cpu.max").write_text("50000 100000\n")
    (folder / "memory.max").write_text("1048576\n")
    held = resources.look(tmp_path)
    assert (held.cores, held.memory_bytes) == (0.5, 2**20)
    (folder / "cpu.max").write_text("max 100000\n")
    (folder / "memory.max").write_text("max\n")
    assert resources.look(tmp_path).as_json() == whole.as_json()


def test_gpus_are_read_from_the_drivers_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA L4, 23034'\necho 'N/A'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert resources.gpus() == (
        resources.Gpu(name="NVIDIA L4", memory_bytes=23034 * 2**20),
    )
    program.write_text("#!/bin/sh\nexit 9\n")
    assert resources.gpus() == ()
