"""The XML that openEMS reads: settings of the run, mesh and materials. Lengths in millimetres."""

from __future__ import annotations

import xml.etree.ElementTree as Xml
from collections.abc import Sequence
from dataclasses import dataclass, field

from solvers.field.openems.mesh import Lines

Point = tuple[float, float, float]
Box = tuple[Point, Point]

PORT_VOLTAGE, PORT_CURRENT = "port_ut", "port_it"  # names of the probe files


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """One run: a lumped port excites metal over a dielectric slab."""

    x: Lines
    y: Lines
    z: Lines
    metal: Sequence[Box]  # sheets and posts, perfect conductors
    ground: Box
    slab: Box
    slab_eps_r: float
    slab_conductivity_s_m: float
    port: Box  # from ground to metal; its resistor fills the box
    port_ohm: float
    centre_hz: float
    half_bandwidth_hz: float  # where the Gaussian pulse has fallen by 20 dB
    end_criterion: float = 1e-4  # energy left over its maximum
    most_steps: int = 400_000
    boundary: str = "MUR"  # or PML_8
    extra: dict[str, str] = field(default_factory=dict)

    def xml(self) -> bytes:
        """Return the document."""
        root = Xml.Element("openEMS")
        self._settings(root)
        space = Xml.SubElement(root, "ContinuousStructure", CoordSystem="0")
        grid = Xml.SubElement(
            space, "RectilinearGrid", DeltaUnit="0.001", CoordSystem="0"
        )
        for name, lines in (("XLines", self.x), ("YLines", self.y), ("ZLines", self.z)):
            node = Xml.SubElement(grid, name, Qty=str(len(lines)))
            node.text = ",".join(map(_number, lines))
        Xml.SubElement(
            space, "BackgroundMaterial", Epsilon="1", Mue="1", Kappa="0", Sigma="0"
        )
        Xml.SubElement(space, "ParameterSet")
        self._properties(Xml.SubElement(space, "Properties"))
        return bytes(Xml.tostring(root, encoding="UTF-8", xml_declaration=True))

    def _settings(self, root: Xml.Element) -> None:
        run = Xml.SubElement(
            root,
            "FDTD",
            NumberOfTimesteps=str(self.most_steps),
            endCriteria=_number(self.end_criterion),
            f_max=_number(self.centre_hz + self.half_bandwidth_hz),
        )
        Xml.SubElement(
            run,
            "Excitation",
            Type="0",
            f0=_number(self.centre_hz),
            fc=_number(self.half_bandwidth_hz),
        )
        sides = ("xmin", "xmax", "ymin", "ymax", "zmin", "zmax")
        Xml.SubElement(run, "BoundaryCond", dict.fromkeys(sides, self.boundary))

    def _properties(self, properties: Xml.Element) -> None:
        slab = Xml.SubElement(properties, "Material", ID="0", Name="slab", Isotropy="1")
        _add_boxes(slab, [self.slab], priority=0)
        Xml.SubElement(
            slab,
            "Property",
            Epsilon=_number(self.slab_eps_r),
            Mue="1",
            Kappa=_number(self.slab_conductivity_s_m),
            Sigma="0",
            Density="0",
        )
        for number, (name, boxes) in enumerate(
            (("ground", [self.ground]), ("metal", self.metal))
        ):
            metal = Xml.SubElement(properties, "Metal", ID=str(number + 1), Name=name)
            _add_boxes(metal, boxes, priority=10)
        self._port(properties)

    def _port(self, properties: Xml.Element) -> None:
        resistor = Xml.SubElement(
            properties,
            "LumpedElement",
            ID="3",
            Name="port_resistor",
            Direction="2",
            Caps="1",
            R=_number(self.port_ohm),
        )
        _add_boxes(resistor, [self.port], priority=5)
        source = Xml.SubElement(
            properties,
            "Excitation",
            ID="4",
            Name="port_source",
            Number="0",
            Type="0",
            Frequency="0",
            Delay="0",
            Excite="0,0,-1",
            PropDir="0,0,0",
        )
        _add_boxes(source, [self.port], priority=5)
        Xml.SubElement(source, "Weight", X="1", Y="1", Z="1")
        (x0, y0, z0), (x1, y1, z1) = self.port
        x, y, z = (x0 + x1) / 2, (y0 + y1) / 2, (z0 + z1) / 2
        for number, name, kind, weight, normal, box in (
            ("5", PORT_VOLTAGE, "0", "-1", "-1", ((x, y, z0), (x, y, z1))),
            ("6", PORT_CURRENT, "1", "1", "2", ((x0, y0, z), (x1, y1, z))),
        ):
            probe = Xml.SubElement(
                properties,
                "ProbeBox",
                ID=number,
                Name=name,
                Number="0",
                Type=kind,
                Weight=weight,
                NormDir=normal,
                StartTime="0",
                StopTime="0",
            )
            _add_boxes(probe, [box], priority=0)


def _add_boxes(parent: Xml.Element, boxes: Sequence[Box], *, priority: int) -> None:
    primitives = Xml.SubElement(parent, "Primitives")
    for start, end in boxes:
        box = Xml.SubElement(primitives, "Box", Priority=str(priority))
        for name, point in (("P1", start), ("P2", end)):
            values = dict(zip("XYZ", map(_number, point), strict=True))
            Xml.SubElement(box, name, values)


def _number(value: float) -> str:
    return repr(float(value))
