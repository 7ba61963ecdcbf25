"""Round values for the ticks of an axis, and their texts."""

from __future__ import annotations

import math

_MOST = 8
_FACTORS = (1, 2, 5, 10, 20, 50)
_LARGE, _SMALL = 1e6, 1e-4  # beyond them, powers of ten


def round_ticks(low: float, high: float, *, most: int = _MOST) -> list[float]:
    """Return the multiples of 1, 2 or 5 times a power of ten in [low, high], at most `most`.

    The ends of a range that no such multiple fits, or whose width is beyond the largest double.
    """
    span = high / most - low / most
    if not (math.isfinite(span) and span > 0):
        return [low, high]
    power = math.floor(math.log10(span))
    for factor in _FACTORS:
        step = factor * 10.0**power
        if step == 0:
            continue
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if 2 <= last - first + 1 <= most:
            # Divided by whole powers of ten, so that 3 * 0.1 is 0.3.
            return [
                i * factor * 10.0**power if power >= 0 else i * factor / 10.0**-power
                for i in range(first, last + 1)
            ]
    return [low, high]


def tick_text(value: float, span: float) -> str:
    """Return the text of a tick on an axis as long as `span`."""
    if value == 0:
        return "0"
    if not math.isfinite(span) or not _SMALL <= abs(value) < _LARGE:
        return f"{value:.4g}"
    # Two digits below the leading one of the span tell neighbours apart.
    decimals = max(0, 2 - math.floor(math.log10(span))) if span > 0 else 6
    text = f"{value:.{min(decimals, 12)}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"
