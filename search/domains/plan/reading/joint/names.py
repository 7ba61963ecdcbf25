"""Names, paths, options and texts from the words that state them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from search.domains.plan.reading.joint.place import Place, unquoted
from search.domains.plan.reading.lexicon import Role
from search.domains.plan.reading.stems import distance, vocabulary

_QUOTES = "\"'`“”‘’ "
_SPLIT = re.compile(
    r"\s*(?:,|;|&|\+|/|\band\b|\bor\b|\bnor\b|\bwith\b|\bund\b|\bet\b|\bplus\b)\s*", re.I
)
_BLANKS = re.compile(r"\s+")
_LITTLE = vocabulary(
    "the a an table tables both with as well also and or nor neither macro macros define defined "
    "folder directory dir library lib libraries flag flags option options symbol symbols function "
    "functions file files in on to of unsplit whole together not named called link linked against "
    "argument arguments arg args input inputs run runs it keep kept is are only just script entry "
    "point linker headers header compiler all three ones one own each either"
)
_MACRO = re.compile(r"[A-Za-z_]\w*(?:=[\w.\"+-]+)?")
_OPTION = re.compile(r"(?<![\w-])-[A-Za-z][\w=+,.-]*")
_STANDARD = re.compile(r"(?<![\w=+-])(?:c|gnu)(?:\+\+)?\d\d\b", re.I)
_KEY = re.compile(r"([A-Za-z0-9][\w.\-/]{0,62})\s?[=:]\s?$")
_PROCESSOR = re.compile(
    r"cortex[- ]?[amrx]\d+\+?|[a-z][a-z0-9]*(?:-[a-z0-9]+)*\d[a-z0-9+-]*|[a-z][\w-]{3,}"
)
_PATH = re.compile(r"[\w.*/+-]*[\w*][\w.*/+-]*")
_SYMBOL = re.compile(r"[A-Za-z_$][\w$.]*\*?|\*")
_ARGUMENT = re.compile(r"\"([^\"]*)\"|'([^']*)'|`([^`]*)`|([^\s,;]+)")
_PAIR = re.compile(
    r"[\"'`]?([A-Za-z0-9][\w.\-/]{0,62})\s?[=:]\s?[\"'`]?([\w./+-]*[\w/-])"
)
_FEATURE = re.compile(r"([+-]?)([a-z][\w.]*)", re.I)
_OFF = vocabulary("off no without not disabled minus")
_ON = vocabulary("on with plus enabled and both feature features")
_LIBRARIES = ("m", "pthread", "dl", "rt")


def plain_text(places: Sequence[Place]) -> str:
    """Return words as they stand, without quotation marks around them."""
    goal = [p.scene.text.goal[_goal(p)] for p in places]
    return " ".join(goal).strip().strip(_QUOTES)


def _goal(place: Place) -> slice:
    at = place.scene.text.at
    if place.end <= place.start:
        return slice(at[place.start], at[place.start])
    return slice(at[place.start], at[place.end - 1] + 1)


def pieces(places: Sequence[Place]) -> list[str]:
    """Return the parts of a list in words, without little words and quotation marks."""
    found: list[str] = []
    for place in places:
        for part in _SPLIT.split(plain_text([place])):
            words = [w for w in _BLANKS.split(part) if w.lower() not in _LITTLE and w]
            if words:
                found.append(" ".join(words).strip(_QUOTES))
    return list(dict.fromkeys(piece for piece in found if piece))


def tables(places: Sequence[Place]) -> list[str]:
    """Return names of tables, as the attached lists spell them where they are near to these."""
    known = {
        _key(name): name
        for place in places[:1]
        for file in place.scene.files.values()
        for name in file.names
    }
    text = " ".join(plain_text([place]) for place in places)
    found = [_table(piece, known) for piece in pieces(places)]
    exact = [name for name in found if name in known.values()]
    if len(exact) == len(found):
        return exact
    # "user id or ad id": the list is known, so its names are looked for instead of separators.
    low = _key(text)
    inside = sorted((low.find(key), name) for key, name in known.items() if key in low)
    return [name for _, name in inside] or found


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _table(piece: str, known: Mapping[str, str]) -> str:
    key = _key(piece)
    if key in known:
        return known[key]
    near = [
        name
        for k, name in known.items()
        if len(k) > 3 and distance(key, k, 2) <= 1 + (len(k) > 7)
    ]
    if len(near) == 1:
        return near[0]
    return piece.replace(" ", "_") if " " in piece else piece


def macros(places: Sequence[Place]) -> list[str]:
    """Return macros: `NDEBUG`, `-DN=4`, "BUF set to 64"."""
    found: list[str] = []
    for place in places:
        text = re.sub(r"(?<![\w-])-D\s?", " ", plain_text([place]))
        text = re.sub(r"\s+(?:set to|equal to|equals|to|is|=)\s+(?=[\w\"])", "=", text)
        names = (match[0] for match in _MACRO.finditer(text))
        found += [name for name in names if name.lower() not in _LITTLE]
    return list(dict.fromkeys(found))


def options(places: Sequence[Place]) -> list[str]:
    """Return options of a compiler; a standard alone is one too: "c++20"."""
    standards = [
        m[0].lower() for p in places for m in _STANDARD.finditer(plain_text([p]))
    ]
    if standards:
        return [f"-std={standard}" for standard in standards]
    return [m[0].rstrip(".,") for p in places for m in _OPTION.finditer(plain_text([p]))]


def paths(places: Sequence[Place], *, folder: bool = False) -> list[str]:
    """Return paths and patterns; a folder to leave out is all that lies in it."""
    found: list[str] = []
    for place in places:
        for match in _PATH.finditer(plain_text([place])):
            path = match[0].rstrip(".,") if match[0] not in (".", "..") else match[0]
            if (
                not path
                or path.lower() in _LITTLE
                or path.lower()
                in ("everything", "below", "out", "from", "leave", "without")
            ):
                continue
            path = path.rstrip("/") if not folder else path
            if folder and "*" not in path and "." not in path.rpartition("/")[2]:
                path = f"{path.rstrip('/')}/*"
            found.append(path)
    return list(dict.fromkeys(found))


def symbols(places: Sequence[Place]) -> list[str]:
    """Return names and patterns of symbols; "whatever begins with isr_" is `isr_*`."""
    found = []
    for place in places:
        for match in _SYMBOL.finditer(plain_text([place])):
            name = match[0].rstrip(".")
            if name.lower() in _LITTLE or name.lower() in (
                "begins",
                "begin",
                "starting",
                "everything",
                "starts",
                "that",
                "whatever",
                "any",
            ):
                continue
            found.append(f"{name}*" if name.endswith("_") else name)
    return list(dict.fromkeys(found))


def arguments(places: Sequence[Place]) -> list[str]:
    """Return the arguments of a program, as a shell splits them."""
    found: list[str] = []
    for place in places:
        text = place.scene.text.goal[_goal(place)].strip()
        for match in _ARGUMENT.finditer(text):
            quoted = next((g for g in match.groups()[:3] if g is not None), None)
            word = match[4]
            if quoted is not None:
                found += quoted.split() if text.startswith("`") else [quoted]
            elif word and word.lower() not in _LITTLE:
                found.append(word)
    return found


def libraries(places: Sequence[Place]) -> list[str]:
    """Return libraries to link, of the closed list."""
    found = []
    for piece in pieces(places):
        for word in piece.split():
            key = word.lower().removeprefix("-l").removeprefix("lib").removesuffix("s")
            key = "m" if key.startswith("math") else key
            if key in _LIBRARIES:
                found.append(key)
            else:
                near = [
                    name
                    for name in _LIBRARIES
                    if len(name) > 2 and distance(key, name, 2) <= 2
                ]
                found += near[:1]
    return list(dict.fromkeys(found))


def labels(places: Sequence[Place]) -> dict[str, str]:
    """Return labels: `team=ops, site: north`."""
    found: dict[str, str] = {}
    for place in places:
        pairs = {m[1]: m[2] for m in _PAIR.finditer(plain_text([place]))}
        key = _KEY.search(place.scene.text.goal[: _goal(place).start])
        if not pairs and key is not None:
            pairs = {key[1]: plain_text([place])}
        found |= pairs
    return found


def features(places: Sequence[Place]) -> str:
    """Return features of a processor in LLVM's notation: "avx2 on, sse4a off"."""
    found: list[str] = []
    sign = "+"
    for place in places:
        for match in _FEATURE.finditer(plain_text([place])):
            word = match[2].lower()
            if word in _OFF and not match[1]:
                if found and word in ("off", "disabled"):
                    found[-1] = f"-{found[-1][1:]}"
                else:
                    sign = "-"
            elif word not in _ON or match[1]:
                found.append(f"{match[1] or sign}{word}")
            else:
                sign = "+"
    return ",".join(found)


def choices(places: Sequence[Place], allowed: Iterable[str]) -> list[str]:
    """Return the members of a closed list that some words name, "the three lb-relax ones" too."""
    names = list(allowed)
    keys = {_key(name): name for name in names}
    found: list[str] = []
    for piece in pieces(places):
        key = _key(piece)
        if key in keys:
            found.append(keys[key])
            continue
        family = (
            [name for name in names if _key(name).startswith(key)] if len(key) > 4 else []
        )
        near = [
            name for k, name in keys.items() if len(k) > 3 and distance(key, k, 2) <= 2
        ]
        found += family if len(family) > 1 else near[:1] or family
    return list(dict.fromkeys(found))


def first_word(places: Sequence[Place], pattern: re.Pattern[str]) -> Any | None:
    """Return the first piece of some words that has a form; None without one."""
    match = pattern.search(plain_text(places))
    return None if match is None else match[0]


def value_named(places: Sequence[Place], kind: str, path: str) -> Any | None:
    """Return the choice of a slot that some words name, by the files of words; None without one."""
    for place in places:
        bare = unquoted(place)
        for here in (place, bare):
            inside = set(here.tokens)
            for phrase in here.scene.items:
                if not inside & set(range(phrase.start, phrase.end)):
                    continue
                for sense in phrase.of(Role.VALUE):
                    if (sense.kind, sense.path) == (kind, path) and isinstance(
                        sense.value, str
                    ):
                        return sense.value
    return None


def processor(places: Sequence[Place]) -> str | None:
    """Return LLVM's name of a processor, as it stands or by the files of words."""
    known = value_named(places, "compile", "spec.target.cpu")
    if known is not None:
        return str(known)
    text = plain_text(places).lower()
    match = _PROCESSOR.search(text)
    return None if match is None else match[0].replace(" ", "-").replace("+", "plus")


def only_or_last(names: Sequence[str]) -> str | None:
    """Return the last of some names; None of none."""
    return names[-1] if names else None
