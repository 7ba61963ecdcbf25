"""Units of quantities, with their factors to the unit that a dimension is counted in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from search.domains.plan.reading.stems import vocabulary


class Dimension(StrEnum):
    """Dimension of a quantity, and the unit that it is kept in."""

    TIME = "seconds"
    MEMORY = "GiB"
    LENGTH = "mm"
    FREQUENCY = "Hz"
    RATIO = "ratio"
    LEVEL = "dB"
    BANDWIDTH = "GB/s"
    RESISTANCE = "ohm"
    CONDUCTIVITY = "S/m"
    COUNT = "count"


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A reading of a unit's word."""

    dimension: Dimension
    factor: float
    note: str = ""


GB_NOTE = "read as GiB (2^30 bytes), the unit of the request"  # vendors write GB for both
_TABLE: dict[Dimension, dict[float, str]] = {
    Dimension.TIME: {
        1e-3: "ms msec millisecond milliseconds",
        1.0: "s sec secs second seconds",
        60.0: "m min mins minute minutes",
        3600.0: "h hr hrs hour hours",
        86400.0: "d day days",
    },
    Dimension.LENGTH: {
        1.0: "mm millimeter millimeters millimetre millimetres millis",
        10.0: "cm centimeter centimeters centimetre centimetres",
        0.001: "um micron microns micrometer micrometers micrometre micrometres",
        0.0254: "mil mils thou",
        25.4: "inch inches",
        1000.0: "metre metres meter meters",
    },
    Dimension.FREQUENCY: {
        1.0: "hz hertz",
        1e3: "khz kilohertz",
        1e6: "mhz megahertz meg megs",
        1e9: "ghz gigahertz gig gigs",
        1e12: "thz terahertz",
    },
    Dimension.RATIO: {
        0.01: "% percent pct prozent procent percents",
        0.001: "permille permil \u2030",
    },
    Dimension.LEVEL: {1.0: "db decibel decibels"},
    Dimension.RESISTANCE: {1.0: "ohm ohms \u03c9 \u2126"},
    Dimension.MEMORY: {
        1.0: "gib gibibyte gibibytes g gb gig gigs gigabyte gigabytes gbyte gbytes gibs go",
        1024.0: "tib tebibyte tebibytes tb terabyte terabytes",
        1 / 1024: "mib mb megabyte megabytes",
        1 / 1024**2: "kib kb kilobyte kilobytes",
        1 / 1024**3: "b byte bytes",
    },
}
_NOTED = vocabulary(
    "g gb gig gigs gigabyte gigabytes tb terabyte terabytes mb megabyte megabytes kb"
)
UNITS: dict[str, tuple[Unit, ...]] = {}
for _dimension, _factors in _TABLE.items():
    for _factor, _words in _factors.items():
        for _word in _words.split():
            _note = GB_NOTE if _dimension is Dimension.MEMORY and _word in _NOTED else ""
            _unit = Unit(dimension=_dimension, factor=_factor, note=_note)
            UNITS[_word] = (*UNITS.get(_word, ()), _unit)
_PER_SECOND: dict[tuple[str, ...], Unit] = {
    (word, link, end): Unit(dimension=Dimension.BANDWIDTH, factor=factor)
    for factor, words in {
        1.0: "gb gib gigabyte gigabytes gbyte gbytes gigs gig",
        1000.0: "tb terabyte terabytes tbyte tbytes",
        0.001: "mb megabyte megabytes mbyte mbytes",
        0.125: "gbit gbits gigabit gigabits",
    }.items()
    for word in words.split()
    for link in ("/", "per", "a", "each", "every")
    for end in ("s", "sec", "second")
}
COMPOUND: dict[tuple[str, ...], Unit] = {
    **_PER_SECOND,
    ("s", "/", "m"): Unit(dimension=Dimension.CONDUCTIVITY, factor=1.0),
    ("per", "cent"): Unit(dimension=Dimension.RATIO, factor=0.01),
    ("per", "mille"): Unit(dimension=Dimension.RATIO, factor=0.001),
    ("per", "mil"): Unit(dimension=Dimension.RATIO, factor=0.001),
    ("basis", "points"): Unit(dimension=Dimension.RATIO, factor=1e-4),
    ("basis", "point"): Unit(dimension=Dimension.RATIO, factor=1e-4),
    ("percentage", "points"): Unit(dimension=Dimension.RATIO, factor=0.01),
}
SINGLE: dict[str, Unit] = {
    "gbps": Unit(dimension=Dimension.BANDWIDTH, factor=0.125),
    **{
        word: Unit(dimension=Dimension.BANDWIDTH, factor=0.125)
        for word in ("gbit", "gbits", "gigabit", "gigabits")
    },
}
UNITS |= {word: (unit,) for word, unit in SINGLE.items()}
