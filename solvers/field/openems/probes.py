"""Probe files of openEMS, and the impedance of a port from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


@dataclass(frozen=True, kw_only=True)
class Signal:
    """A probe over time."""

    time_s: Real
    value: Real  # V or A

    def spectrum(self, frequencies_hz: Real) -> Complex:
        """Return ∫ v(t) e^{−jωt} dt at each frequency, by the sum over all samples."""
        step = float(np.diff(self.time_s).mean())
        result = np.empty(len(frequencies_hz), complex)
        for index, frequency in enumerate(frequencies_hz):
            result[index] = (
                self.value * np.exp(-2j * np.pi * frequency * self.time_s)
            ).sum()
        return np.asarray(result * step)


def read_signal(path: Path) -> Signal:
    """Read a probe file: `%` comments, then time and value in columns. Raises ValueError."""
    try:
        table = np.loadtxt(path, comments="%", ndmin=2)
    except OSError as error:
        raise ValueError(f"{path.name}: openEMS wrote no such probe file") from error
    if table.ndim != 2 or table.shape[1] < 2 or len(table) < 2:
        raise ValueError(
            f"{path.name}: expected two columns and two rows, got {table.shape}"
        )
    if not np.isfinite(table).all():
        raise ValueError(
            f"{path.name}: the fields grew without bound; the run is unstable"
        )
    return Signal(time_s=table[:, 0], value=table[:, 1])


def impedance(voltage: Signal, current: Signal, frequencies_hz: Real) -> Complex:
    """Return V/I at each frequency, ohm."""
    return np.asarray(voltage.spectrum(frequencies_hz) / current.spectrum(frequencies_hz))
