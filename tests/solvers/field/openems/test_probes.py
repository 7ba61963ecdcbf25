from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from solvers.field.openems.probes import Signal, impedance, read_signal


def test_reads_what_openems_writes(tmp_path: Path) -> None:
    file = tmp_path / "port_ut"
    file.write_text("% time-domain voltage\n% t/s\tvoltage\n0\t0\n1e-12\t0.5\n2e-12\t1\n")
    signal = read_signal(file)
    assert signal.time_s.tolist() == [0, 1e-12, 2e-12]
    assert signal.value.tolist() == [0, 0.5, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("% nothing\n0 1\n", "two rows"),
        ("1\n2\n3\n", "two columns"),
        ("0 nan\n1 inf\n", "unstable"),
    ],
)
def test_refuses_other_files(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "port_ut"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_signal(file)
    with pytest.raises(ValueError, match="no such probe"):
        read_signal(tmp_path / "other")


def test_impedance_of_a_resistor_with_an_inductor() -> None:
    """A pulse through 30 Ω and 1 nH in series: V = R I + L dI/dt."""
    t = np.arange(0, 20e-9, 2e-12)
    current = np.exp(-(((t - 2e-9) / 3e-10) ** 2)) * np.cos(2 * np.pi * 2e9 * t)
    voltage = 30 * current + 1e-9 * np.gradient(current, t)
    frequencies = np.array([1.5e9, 2e9, 2.5e9])
    z = impedance(
        Signal(time_s=t, value=voltage), Signal(time_s=t, value=current), frequencies
    )
    assert z == pytest.approx(30 + 2j * np.pi * frequencies * 1e-9, rel=2e-3)
