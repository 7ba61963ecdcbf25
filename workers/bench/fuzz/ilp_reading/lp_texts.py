"""Random models as LP texts in every style, with their meaning."""

from __future__ import annotations

from fractions import Fraction

from workers.bench.fuzz.ilp_reading.drawn import Dice, Drawn

_LESS, _MORE, _EQUAL = ("<=", "=<", "<"), (">=", "=>", ">"), ("=", "=", "==")
_TURNED = {"<": ">", ">": "<", "=": "="}


class LpText:
    """Writer of one model."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self.model = Drawn()
        self._names = dice.names(brackets=True)
        self._plain = dice.chance(0.5)  # only constructs that both peers read
        self._open = False  # the last row has variables on its right

    def write(self) -> str:
        """Return the text; `model` is its meaning."""
        dice, model = self._dice, self.model
        for name in self._names:
            model.lower[name], model.upper[name] = Fraction(0), None
        used: list[str] = []
        parts = [self._comment(), self._objective(used), self._rows(used)]
        for name in [name for name in self._names if name not in used]:
            del model.lower[name], model.upper[name]
        self._names = [name for name in self._names if name in used]
        parts += self._later_sections()
        parts.append(dice.one("End", "END", "end") + "\n")
        text = "".join(parts)
        if dice.chance(0.1):
            text = text.replace("\n", "\r\n")
        if dice.chance(0.1):
            text = text.replace(" ", "\t")
        if not self._plain and dice.chance(0.05):
            text = "\ufeff" + text
        return text

    def _comment(self) -> str:
        return self._dice.one(
            "",
            "",
            "\\ a comment: x + y >= 1\n",
            "\\* a model of PuLP *\\\n",
            "\n\n",
            "\\\n",
        )

    def _objective(self, used: list[str]) -> str:
        dice, model = self._dice, self.model
        model.maximize = dice.chance(0.5)
        word = (
            dice.one("Maximize", "MAXIMIZE", "max", "Max")
            if model.maximize
            else dice.one("Minimize", "MINIMIZE", "min", "minimize", "Min")
        )
        label = dice.one("", "obj:", "OBJ: ", "cost :", "z1:")
        terms, text = self._terms(used, least=0 if label else 1)
        model.cost = terms
        if dice.chance(0.2):
            number, value = dice.number()
            sign = dice.one("+", "-")
            model.offset = value if sign == "+" else -value
            text += f" {sign} {number}"
        return f"{word}\n {label} {text}\n"

    def _terms(
        self, used: list[str], *, least: int = 1
    ) -> tuple[dict[str, Fraction], str]:
        """Return a sum of terms: its meaning, and the text."""
        dice = self._dice
        names = dice.some(self._names, least) if least or dice.chance(0.8) else []
        if names and not self._plain and dice.chance(0.1):
            names = [*names, names[0]]  # repeated variables are summed
        terms: dict[str, Fraction] = {}
        pieces: list[str] = []
        for place, name in enumerate(names):
            used.append(name)
            sign = (
                dice.one("+", "-", "+ -", "- -")
                if dice.chance(0.1)
                else dice.one("+", "+", "-")
            )
            value = Fraction(-1 if sign.count("-") % 2 else 1)
            number = ""
            if dice.chance(0.7):
                number, size = dice.number()
                value *= size
                if name[0] in "eE":
                    number += " "
                else:
                    number += (
                        dice.one(" ", " ", "", "  ")
                        if self._plain or dice.chance(0.9)
                        else " * "
                    )
            terms[name] = terms.get(name, Fraction(0)) + value
            if place == 0 and sign == "+" and dice.chance(0.8):
                sign = ""
            gap = dice.one(" ", " ", "", "\n ", "\n\n  ") if place else ""
            pieces.append(f"{gap}{sign}{dice.one(' ', ' ', '')}{number}{name}")
        return terms, " ".join(pieces)

    def _rows(self, used: list[str]) -> str:
        dice = self._dice
        out = [
            dice.one(
                "Subject To", "SUBJECT TO", "subject to", "st", "s.t.", "ST", "such that"
            )
            + "\n"
        ]
        for number in range(1 + dice.upto(4)):
            # After variables on the right, a line without a label could be theirs as well as the
            # next row.
            label = (
                f"{dice.one('c', 'R', 'end_', 'bound', 'max_r')}{number}:"
                if self._open or dice.chance(0.8)
                else ""
            )
            gap = dice.one(" ", "\n ", "  ") if label else " "
            out.append(f" {label}{gap}{self._row(used)}\n{dice.one('', '', '', chr(10))}")
        if not self._plain and dice.chance(0.1):
            terms, text = self._terms(used)
            out.append(f"{dice.one('Lazy Constraints', 'User Cuts')}\n l: {text} <= 3\n")
            self.model.rows.append((terms, None, Fraction(3)))
        return "".join(out)

    def _row(self, used: list[str]) -> str:
        dice, model = self._dice, self.model
        kind = dice.one("<", ">", "=")
        operator = dice.among({"<": _LESS, ">": _MORE, "=": _EQUAL}[kind])
        terms, left = self._terms(used)
        right, value = self._signed()
        self._open = False
        form = (
            "plain"
            if self._plain
            else dice.one(
                "plain",
                "turned",
                "between",
                "constant",
                "both sides",
                "infinite",
                "right sum",
            )
        )
        self._open = form in ("turned", "between", "both sides")
        if form == "turned":
            model.rows.append((terms, *_bounds(value, _TURNED[kind])))
            return f"{right} {operator} {left}"
        if form == "between" and kind != "=":
            size = dice.number()[1]
            other = value + size if kind == "<" else value - size
            model.rows.append(
                (terms, *((value, other) if kind == "<" else (other, value)))
            )
            return f"{right} {operator} {left} {operator} {_decimal(other)}"
        if form == "constant":
            shift, size = dice.number()
            model.rows.append((terms, *_bounds(value - size, kind)))
            return f"{left} + {shift} {operator} {right}"
        if form == "both sides":
            more, text = self._terms(used)
            for name, coefficient in more.items():
                terms[name] = terms.get(name, Fraction(0)) - coefficient
            model.rows.append((terms, *_bounds(Fraction(0), kind)))
            return f"{left} {operator} {' '.join(text.split())}"
        if form == "right sum":
            shift, size = dice.number()
            model.rows.append((terms, *_bounds(value + size, kind)))
            return f"{left} {operator} {right} + {shift}"
        if form == "infinite" and kind != "=":
            model.rows.append((terms, None, None))
            return f"{left} {operator} {'inf' if kind == '<' else '-infinity'}"
        model.rows.append((terms, *_bounds(value, kind)))
        return f"{left} {dice.one(operator, operator, chr(10) + ' ' + operator)} {right}"

    def _signed(self) -> tuple[str, Fraction]:
        text, value = self._dice.number()
        return self._dice.one(
            (text, value),
            (f"-{text}", -value),
            (f"- {text}", -value),
            (f"+{text}", value),
            ("0", Fraction(0)),
        )

    def _later_sections(self) -> list[str]:
        dice, model = self._dice, self.model
        binary = [name for name in self._names if dice.chance(0.25)]
        general = [
            name for name in self._names if name not in binary and dice.chance(0.3)
        ]
        bounded = [
            name for name in self._names if name not in binary and dice.chance(0.5)
        ]
        lines = [self._bound(name) for name in bounded]
        binaries_first = dice.chance(0.3)
        if not binaries_first:
            lines += [self._bound_of_binary(name) for name in binary if dice.chance(0.4)]
        for name in binary:
            model.integer.add(name)
            low, high = model.lower[name], model.upper[name]
            model.lower[name] = Fraction(0) if low is None else max(low, Fraction(0))
            model.upper[name] = Fraction(1) if high is None else min(high, Fraction(1))
        model.integer.update(general)
        bounds = (
            f"{dice.one('Bounds', 'BOUNDS', 'bounds', 'Bound')}\n" + "".join(lines)
            if lines or dice.chance(0.1)
            else ""
        )
        word = dice.one("Binary", "Binaries", "BINARY", "bin", "binaries")
        types = [self._listed(word, binary)] if binary else []
        if general:
            word = dice.one(
                "General", "Generals", "GENERAL", "Integers", "gen", "integer"
            )
            types.insert(dice.upto(len(types)), self._listed(word, general))
        return [*types, bounds] if binaries_first else [bounds, *types]

    def _listed(self, word: str, names: list[str]) -> str:
        gap = self._dice.one(" ", "\n ", "  ")
        return f"{word}\n {gap.join(names)}\n"

    def _bound(self, name: str) -> str:
        dice, model = self._dice, self.model
        number, low = dice.number()
        width = dice.number()[1]
        form = dice.one(
            "up",
            "lo",
            "two",
            "down",
            "fix",
            "free",
            "number first",
            "minus inf",
            "plus inf",
            "negative",
            "twice",
        )
        if form == "up":
            model.upper[name] = low
            return f" {name} {dice.among(_LESS)} {number}\n"
        if form == "lo":
            model.lower[name] = low
            return f" {name} {dice.among(_MORE)} {number}\n"
        if form in ("two", "down"):
            model.lower[name], model.upper[name] = low, low + width
            ends = (
                (number, "<=", _decimal(low + width))
                if form == "two"
                else (_decimal(low + width), ">=", number)
            )
            return f" {ends[0]} {ends[1]} {name} {ends[1]} {ends[2]}\n"
        if form == "fix":
            model.lower[name] = model.upper[name] = low
            return f" {name} = {number}\n"
        if form == "free":
            model.lower[name] = model.upper[name] = None
            return f" {name} {dice.one('free', 'FREE', 'Free')}\n"
        if form == "number first":
            model.upper[name] = low
            return f" {number} >= {name}\n"
        if form == "minus inf":
            model.lower[name], model.upper[name] = None, low
            low_text = dice.one("-inf", "-infinity", "-Inf", "-1e30", "-INF")
            return f" {low_text} <= {name} <= {number}\n"
        if form == "plus inf":
            model.lower[name] = low
            high_text = dice.one("+inf", "inf", "+infinity", "1e30", "Infinity")
            return f" {number} <= {name} <= {high_text}\n"
        if form == "negative":
            model.lower[name], model.upper[name] = -low - width, -low
            return f" {name} <= -{number}\n {name} >= {_decimal(-low - width)}\n"
        model.upper[name] = low  # the last bound counts
        return f" {name} <= {_decimal(low + width)}\n {name} <= {number}\n"

    def _bound_of_binary(self, name: str) -> str:
        dice, model = self._dice, self.model
        if self._plain or dice.chance(0.5):
            value = Fraction(dice.upto(1))
            model.lower[name] = model.upper[name] = value
            return f" {name} = {value}\n"
        if dice.chance(0.5):
            model.upper[name] = Fraction(5)
            return f" {name} <= 5\n"
        model.lower[name], model.upper[name] = Fraction(-1), Fraction(1)
        return f" -1 <= {name} <= 1\n"


def _bounds(value: Fraction, kind: str) -> tuple[Fraction | None, Fraction | None]:
    return (None if kind == "<" else value), (None if kind == ">" else value)


def _decimal(value: Fraction) -> str:
    return repr(float(value))
