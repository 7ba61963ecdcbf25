"""Random models as MPS texts in every style, with their meaning."""

from __future__ import annotations

from fractions import Fraction

from workers.bench.fuzz.ilp_reading.drawn import Dice, Drawn


class MpsText:
    """Writer of one model."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self.model = Drawn()
        self._fixed = dice.chance(0.25)
        self._plain = dice.chance(0.5)  # only constructs that both peers read
        self._names = self._columns()
        self._rows = [
            f"{dice.one('c', 'R', 'row', 'lim')}{number}"
            for number in range(1 + dice.upto(4))
        ]
        self._kinds = {row: dice.one("L", "G", "E") for row in self._rows}
        self._objective = dice.one("COST", "obj", "Z", "OBJROW")
        self._other = "" if self._plain or dice.chance(0.8) else "N2"
        self._sides: dict[str, Fraction] = {}

    def _columns(self) -> list[str]:
        names = self._dice.names(brackets=True)
        if self._fixed:
            names = [name[:8] for name in names if name.isascii()]
            if not self._plain and self._dice.chance(0.5):
                names.append("my col")
        return list(dict.fromkeys(names)) or ["x"]

    def write(self) -> str:
        """Return the text; `model` is its meaning."""
        dice = self._dice
        for name in self._names:
            self.model.lower[name], self.model.upper[name] = Fraction(0), None
        parts = [self._head(), self._row_section(), self._column_section()]
        later = [self._rhs(), self._ranges(), self._bounds()]
        if not self._plain and dice.chance(0.3):
            later = dice.some(later, 3)
        text = "".join([*parts, *later, "ENDATA\n"])
        if dice.chance(0.1):
            text = text.replace("\n", "\r\n")
        if dice.chance(0.1) and not self._fixed:
            text = text.replace(" ", "\t")
        if not self._plain and dice.chance(0.05):
            text = "\ufeff" + text
        return text

    def _head(self) -> str:
        dice, model = self._dice, self.model
        model.maximize = dice.chance(0.4)
        name = dice.one(
            "NAME          model\n", "NAME\n", "NAME a b c\n", "* a comment\nNAME m\n"
        )
        if self._plain and name == "NAME\n":
            name = "NAME m\n"
        words = ("MAX", "MAXIMIZE") if model.maximize else ("MIN", "MINIMIZE")
        sense = ""
        if model.maximize or dice.chance(0.3):
            word = dice.among(words)
            sense = f"OBJSENSE\n    {word}\n"
            if dice.chance(0.4):
                sense = f"OBJSENSE {words[0] if self._plain else word}\n"
        return name + sense

    def _line(self, *words: str) -> str:
        """Return a line of data: fixed columns, or words with gaps."""
        if self._fixed:
            return fixed(*words)
        gap = self._dice.one(" ", "  ", "    ")
        comment = "" if self._plain or not self._dice.chance(0.04) else " $ a comment"
        return " " + gap.join(word for word in words if word) + comment + "\n"

    def _row_section(self) -> str:
        lines = [self._line("N", self._objective)]
        lines += [self._line(kind, row) for row, kind in self._kinds.items()]
        if self._other:
            lines.insert(
                self._dice.upto(len(lines) - 1) + 1, self._line("N", self._other)
            )
        return "ROWS\n" + "".join(lines)

    def _column_section(self) -> str:
        dice, model = self._dice, self.model
        terms: dict[str, dict[str, Fraction]] = {row: {} for row in self._rows}
        out = ["COLUMNS\n"]
        inside = False
        for number, name in enumerate(self._names):
            whole = dice.chance(0.4)
            if whole != inside:
                inside = whole
                out.append(self._marker(number, "INTORG" if whole else "INTEND"))
            if whole:
                model.integer.add(name)
                model.upper[name] = Fraction(1)  # until a bound is given
            entries: list[tuple[str, str]] = []
            if dice.chance(0.8) or number == 0:
                text, value = self._signed()
                model.cost[name] = value
                entries.append((self._objective, text))
            for row in dice.some(self._rows, 1):
                text, value = self._signed()
                terms[row][name] = value
                entries.append((row, text))
            if self._other and dice.chance(0.5):
                entries.append((self._other, "3"))
            while entries:
                first = entries.pop(0)
                second = entries.pop(0) if entries and dice.chance(0.5) else ("", "")
                out.append(self._line("", name, *first, *second))
        if inside:
            out.append(self._marker(len(self._names), "INTEND"))
        for row in self._rows:
            model.rows.append((terms[row], None, None))
        return "".join(out)

    def _marker(self, number: int, word: str) -> str:
        if self._fixed:
            return f"    {f'M{number}':<8}  'MARKER'                 '{word}'\n"
        return f" M{number} 'MARKER' '{word}'\n"

    def _signed(self) -> tuple[str, Fraction]:
        text, value = self._dice.number()
        return self._dice.one((text, value), (f"-{text}", -value), (f"+{text}", value))

    def _rhs(self) -> str:
        dice, model = self._dice, self.model
        pairs: list[tuple[str, str]] = []
        for row in self._rows:
            if dice.chance(0.8):
                text, value = self._signed()
                self._sides[row] = value
                pairs.append((row, text))
        if dice.chance(0.2):
            text, value = self._signed()
            model.offset = -value
            pairs.append((self._objective, text))
        if self._other and dice.chance(0.3):
            pairs.append((self._other, "4"))
        name = "RHS" if self._plain or self._fixed or dice.chance(0.8) else ""
        self._settle({})
        return "RHS\n" + self._pairs(name, pairs)

    def _pairs(self, name: str, pairs: list[tuple[str, str]]) -> str:
        out = []
        pairs = list(pairs)
        while pairs:
            first = pairs.pop(0)
            second = pairs.pop(0) if pairs and self._dice.chance(0.5) else ("", "")
            out.append(self._line("", name, *first, *second))
        return "".join(out)

    def _ranges(self) -> str:
        dice = self._dice
        spreads: dict[str, Fraction] = {}
        pairs: list[tuple[str, str]] = []
        for row in self._rows:
            if dice.chance(0.25):
                text, value = self._signed()
                spreads[row] = value
                pairs.append((row, text))
        self._settle(spreads)
        if not pairs:
            return ""
        name = "RNG" if self._plain or self._fixed or dice.chance(0.8) else ""
        return "RANGES\n" + self._pairs(name, pairs)

    def _settle(self, spreads: dict[str, Fraction]) -> None:
        """Set the sides of the rows from types, right-hand sides and ranges."""
        for index, row in enumerate(self._rows):
            kind, side, spread = (
                self._kinds[row],
                self._sides.get(row, Fraction(0)),
                spreads.get(row),
            )
            low = side if kind != "L" else None
            high = side if kind != "G" else None
            if spread is not None:
                if kind == "L":
                    low = side - abs(spread)
                elif kind == "G":
                    high = side + abs(spread)
                else:
                    low, high = min(side, side + spread), max(side, side + spread)
            self.model.rows[index] = (self.model.rows[index][0], low, high)

    def _bounds(self) -> str:
        dice = self._dice
        name = "BND" if self._plain or self._fixed or dice.chance(0.8) else ""
        out = [self._bound(name, column) for column in self._names if dice.chance(0.6)]
        return "BOUNDS\n" + "".join(out) if out or dice.chance(0.2) else ""

    def _bound(self, name: str, column: str) -> str:
        dice, model = self._dice, self.model
        text, value = dice.number()
        width = dice.number()[1]
        integer = column in model.integer
        if integer:
            model.upper[column] = None  # any bound makes the default [0, ∞)
        forms = ["UP", "LO", "FX", "FR", "MI", "PL", "BV", "LI", "UI", "two", "below"]
        form = dice.among(
            forms if self._plain else [*forms, "negative UP", "infinite UP"]
        )
        if form == "UP":
            model.upper[column] = value
        elif form == "LO":
            model.lower[column] = value
        elif form == "FX":
            model.lower[column] = model.upper[column] = value
        elif form == "FR":
            model.lower[column] = model.upper[column] = None
            return self._line("FR", name, column)
        elif form == "MI":
            model.lower[column] = None
            return self._line("MI", name, column)
        elif form == "PL":
            return self._line("PL", name, column)
        elif form == "BV":
            model.integer.add(column)
            model.lower[column], model.upper[column] = Fraction(0), Fraction(1)
            return self._line("BV", name, column)
        elif form in ("LI", "UI"):
            model.integer.add(column)
            text, value = "3", Fraction(3)
            if form == "LI":
                model.lower[column] = value
            else:
                model.upper[column] = value
        elif form == "two":
            model.lower[column], model.upper[column] = value, value + width
            lines = [
                self._line("LO", name, column, text),
                self._line("UP", name, column, repr(float(value + width))),
            ]
            return "".join(lines if dice.chance(0.7) else lines[::-1])
        elif form == "below":
            model.lower[column], model.upper[column] = None, -value
            return self._line("MI", name, column) + self._line(
                "UP", name, column, f"-{text}"
            )
        elif form == "negative UP":
            model.lower[column], model.upper[column] = None, -value
            return self._line("UP", name, column, f"-{text}")
        else:
            return self._line("UP", name, column, dice.one("1e30", "Inf", "inf", "1E+20"))
        return self._line(form, name, column, text)


def fixed(kind: str, *fields: str) -> str:
    """Return a line in fixed columns: 2, 5, 15, 25, 40 and 50."""
    line = f" {kind:<2} "
    starts = (4, 14, 24, 39, 49)
    for start, text in zip(starts, fields, strict=False):
        line = f"{line:<{start}}{text}"
    return line.rstrip() + "\n"
