"""How a program is built and run: macros, folders, sources, flags, libraries, test runs.

Each is a name or an option with one spelling in the trade, so it is found by its form, near a word
that says what it is: `-DNDEBUG`, "the headers are in inc", "once with the argument 10".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from search.domains.plan.reading.binding.bound import Bound
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.stems import vocabulary
from search.domains.plan.reading.tokens import Form
from search.domains.plan.reading.units import Dimension

FILES, EXCLUDE = "spec.build.files", "spec.build.exclude"
INCLUDE, DEFINES, FLAGS = "spec.build.include", "spec.build.defines", "spec.build.flags"
LIBRARIES, RUNS = "spec.link.libraries", "spec.runs"
_KIND = "compile"
_PATH = r"(?<![\w./-])(?:[\w.*-]+/)*[\w.*-]+"
_SOURCE = re.compile(_PATH + r"\.(?:c|cc|cpp|cxx)\b(?!/)", re.I)
_FOLDER_PATTERN = re.compile(r"(?<![\w./*-])(?:[\w.-]+/)+\*{1,2}(?![\w.])")
_DEFINE_OPTION = re.compile(r"(?<![\w-])-D\s?([A-Za-z_]\w*(?:=[\w.\"-]+)?)")
_DEFINE_CUE = re.compile(
    r"\b(?:defin(?:e|es|ed|ing)|macros?|preprocessor|#define)\b", re.I
)
_MACRO = re.compile(r"\b[A-Za-z_]\w*=[\w.]+|\b[A-Z][A-Z0-9_]{2,}\b")
_NO_MACRO = vocabulary(
    "LLVM SCIP MPS ARM GPU CPU RAM ROM FPU SIMD CSV RISC NOT ONLY AND THE"
)
_INCLUDE_OPTION = re.compile(r"(?<![\w-])-I\s?([\w./-]+)")
_HEADERS = re.compile(
    r"\b(?:headers?(?: files?)?|includes?(?: (?:path|paths|dir|dirs|directory|folder|files))?"
    r"|include[- ]path)\b[^.\n;]{0,30}?(?:\b(?:in|under|inside|from|is|are in|within|at)\b|[:=])"
    r"(?: (?:the|a|its|folder|directory|dir|subfolder|subdirectory|called|named|path)\b)*"
    r"\s*[`'\"]?([A-Za-z_.][\w./-]*)",
    re.I,
)
_HEADERS_BEHIND = re.compile(
    r"[`'\"]?\b([A-Za-z_][\w./-]*)[`'\"]?/?(?: (?:folder|directory|dir))?"
    r" (?:holds|contains|has|is where)(?: the| all| our)? (?:headers|header files|includes)",
    re.I,
)
_FLAG = re.compile(
    r"(?<![\w-])-(?:std=[\w+]+|f[a-z][\w=-]+|m[a-z][\w=.-]+|W[a-z][\w=-]*)"
)
_NO_FLAG = ("-mllvm", "-mcpu", "-march", "-mattr", "-mtriple")
_LIBRARIES = {
    "m": r"-lm\b|\blibm\b|\bmath(?:s|ematics|ematical)?[ -]lib(?:rary)?\b|\blib ?math\b",
    "pthread": r"-l?pthreads?\b|\b(?:lib)?pthreads?\b"
    r"|\b(?:posix )?thread(?:s|ing)?[ -]lib(?:rary)?\b|\bposix threads\b",
    "dl": r"-ldl\b|\blibdl\b|\bdynamic[ -](?:loading|loader|linking)[ -]lib(?:rary)?\b|\bdl lib",
    "rt": r"-lrt\b|\blibrt\b|\breal[ -]?time lib(?:rary)?\b|\brt lib",
}
_LINK_LIST = re.compile(
    r"\blink(?:ed|s|ing)?(?: \w+)? (?:it )?(?:against|with|to|in)?(?: the)?(?: libraries| libs)?:?"
    r" ((?:(?:m|pthread|dl|rt)\b(?:,| and| &| )*)+)",
    re.I,
)
_LIBRARY_NAMES = re.compile(r"\b(m|pthread|dl|rt)\b", re.I)
_EXIT = re.compile(
    r"\b(?:(?:exit|return)(?:s|ed)?(?: |-)(?:code|status|value)|exits?(?: with)?|"
    r"returns?(?=\s+\d))\b[^.\n;\d]{0,40}?(\d{1,3})\b",
    re.I,
)
_STDIN = re.compile(
    r"\b(?:standard[ -]input|stdin|std ?in|piped? in|pipes?|feed(?: it)?|fed|typed? in)\b",
    re.I,
)
_STDIN_WORD = re.compile(
    r"\b(?:the )?(?:word|text|line|string|letters?|input)\s+[\"'`]?([\w-]{1,60})[\"'`]?",
    re.I,
)
_STDOUT = re.compile(
    r"\b(?:must|should|has to|have to|expected?|expects|needs to|shall|supposed to)\b[^.\n;]{0,40}?"
    r"\b(?:prints?|outputs?|stdout|write|answer|say)\b",
    re.I,
)
_ARGUMENT = re.compile(
    r"\b(?:command[ -]line )?(?:arguments?|args?|parameters?|argv|inputs?)\b", re.I
)
_RUN = re.compile(
    r"\b(?:run|runs|ran|running|test|tested|tests|testing|check|checked|validate|validated|verify"
    r"|verified|validation|launch|call|called|execute|executed|exercise|exercised|try it|once)\b",
    re.I,
)
_RUN_VALUE = re.compile(
    r"`([^`\n]{1,200})`|\"([^\"\n]{1,200})\"|(?<![\w.])(-{1,2}[A-Za-z][\w=-]*)"
    r"|(?<![\w.,-])(\d[\d,_]*(?:\.\d+)?)(?![\w%]|\.\d)"
)
_KILLED = vocabulary("kill killed kills abort aborted terminate terminated timeout hangs")
_LEADS = vocabulary(
    "with on argument arguments arg args input inputs of is are for by to parameter "
    "parameters : = using use takes value values number being say"
)
_NEW_RUN = vocabulary("once then another second third ; also again next")
_SAME_RUN = vocabulary("and , the argument arguments value values")
_OUT = vocabulary(
    "out exclude excluded excluding skip except without omit omitted ignore leave leaving not "
    "excludes drop minus besides don't dont"
)
_FOLDER_WORDS = vocabulary("folder directory dir subfolder folders")
_FOLDERS_LEFT_OUT = vocabulary(
    "tests test examples example docs doc bench benchmarks demo demos"
)


def builds_of(scene: Scene, kinds: Sequence[str]) -> list[Bound]:
    """Return what the goal says about building, linking and running its programs."""
    if _KIND not in kinds:
        return []
    found: list[Bound] = []
    found += _files_and_left_out(scene)
    found += _defines(scene)
    found += _folders(scene)
    found += _flags(scene)
    found += _libraries(scene)
    taken = {t for bound in found for t in bound.tokens}
    found += _runs(scene, taken)
    return found


def _tokens(scene: Scene, start: int, end: int) -> list[int]:
    """Return the tokens that have a character in [start, end)."""
    return [i for i, t in enumerate(scene.tokens) if t.start < end and start < t.end]


def _bound(path: str, value: Any, tokens: Sequence[int]) -> Iterator[Bound]:
    if tokens:
        row = tuple(dict.fromkeys(sorted(tokens)))
        yield Bound(paths={_KIND: path}, values={_KIND: (value,)}, tokens=row)


def _files_and_left_out(scene: Scene) -> Iterator[Bound]:
    """Read sources inside an archive, and those to leave out."""
    attached = {name.lower() for name in scene.files}
    chosen: list[str] = []
    out: list[str] = []
    tokens: dict[bool, list[int]] = {True: [], False: []}
    for pattern in (_SOURCE, _FOLDER_PATTERN):
        for match in pattern.finditer(scene.text.folded):
            if match[0].lower() in attached or not _has_archive(scene):
                continue
            if pattern is _SOURCE and not _inside_archive(scene, match[0]):
                continue
            places = _tokens(scene, match.start(), match.end())
            left_out = bool(places) and _is_left_out(scene, places)
            (out if left_out else chosen).append(match[0])
            tokens[left_out] += places
    out += list(_named_folders(scene, out, tokens[True]))
    if chosen:
        yield from _bound(FILES, list(dict.fromkeys(chosen)), tokens[False])
    if out:
        yield from _bound(EXCLUDE, list(dict.fromkeys(out)), tokens[True])


def _has_archive(scene: Scene) -> bool:
    return any(
        "members" in file.facts
        or file.name.lower().endswith((".zip", ".tgz", ".tar", ".gz"))
        for file in scene.files.values()
    )


def _inside_archive(scene: Scene, path: str) -> bool:
    """Return whether a source is one in an archive: a path, or the only sort of file there is."""
    return (
        "/" in path
        or "*" in path
        or all("members" in f.facts for f in scene.files.values())
    )


def _is_left_out(scene: Scene, places: Sequence[int]) -> bool:
    sentence = scene.sentence(places[0])
    return any(
        scene.word(i) in _OUT
        and scene.sentence(i) == sentence
        and scene.crossing(i, places[0]) < 3
        for i in range(max(0, places[0] - 11), min(len(scene.tokens), places[-1] + 6))
    )


def _named_folders(scene: Scene, have: Sequence[str], tokens: list[int]) -> Iterator[str]:
    """Read "leave out the tests", "without the examples folder"."""
    for i, token in enumerate(scene.tokens):
        named = scene.word(i) in _FOLDERS_LEFT_OUT
        folder = scene.word(i + 1) in _FOLDER_WORDS and token.form is Form.WORD
        if folder and scene.word(i) in ("the", "a", "that", "this"):
            continue
        named = named or (scene.word(i - 1) in _FOLDER_WORDS and token.form is Form.WORD)
        glob = f"{token.text}/*"
        if token.form is not Form.WORD or i in tokens or not (named or folder):
            continue
        if scene.word(i + 1) == "/" or glob in have or not _is_left_out(scene, [i]):
            continue
        said = {scene.word(t) for t in range(max(0, i - 10), i)} | {
            scene.word(t)
            for t in range(i + 1, i + 5)
            if scene.word(t) in ("out", "excluded")
        }
        if said & _OUT and _has_archive(scene):
            tokens.append(i)
            yield glob


def _defines(scene: Scene) -> Iterator[Bound]:
    text = scene.text.folded
    values: list[str] = []
    tokens: list[int] = []
    for match in _DEFINE_OPTION.finditer(text):
        values.append(match[1])
        tokens += _tokens(scene, match.start(), match.end())
    for cue in _DEFINE_CUE.finditer(text):
        start, end = _sentence_around(scene, cue.start())
        for match in _MACRO.finditer(text, start, end):
            places = _tokens(scene, match.start(), match.end())
            if match[0] in _NO_MACRO or any(t in tokens for t in places):
                continue
            if any(scene.tokens[t].form is Form.FILE for t in places):
                continue
            if scene.lexicon.is_value(match[0]) or match[0] in values:
                continue
            values.append(match[0])
            tokens += places
        if values:
            tokens += _tokens(scene, cue.start(), cue.end())
    if values:
        yield from _bound(DEFINES, values, tokens)


def _sentence_around(scene: Scene, at: int) -> tuple[int, int]:
    """Return the characters of the sentence around a character."""
    places = _tokens(scene, at, at + 1)
    if not places:
        return at, at
    sentence = scene.sentence(places[0])
    here = [i for i in range(len(scene.tokens)) if scene.sentence(i) == sentence]
    return scene.tokens[here[0]].start, scene.tokens[here[-1]].end


def _folders(scene: Scene) -> Iterator[Bound]:
    """Read the folders of headers."""
    values: list[str] = []
    tokens: list[int] = []
    for pattern in (_INCLUDE_OPTION, _HEADERS, _HEADERS_BEHIND):
        for match in pattern.finditer(scene.text.folded):
            folder = match[1].rstrip("./") or "."
            if (
                folder.lower() in ("the", "of", "in", "it", "that", "for")
                or "." in folder[1:]
            ):
                continue
            if folder not in values:
                values.append(folder)
                tokens += _tokens(scene, match.start(), match.end())
    if values:
        yield from _bound(INCLUDE, values, tokens)


def _flags(scene: Scene) -> Iterator[Bound]:
    found = [
        m
        for m in _FLAG.finditer(scene.text.folded)
        if not m[0].lower().startswith(_NO_FLAG)
    ]
    tokens = [t for m in found for t in _tokens(scene, m.start(), m.end())]
    if found:
        yield from _bound(FLAGS, [m[0] for m in found], tokens)


def _libraries(scene: Scene) -> Iterator[Bound]:
    text = scene.text.folded
    found: dict[str, list[int]] = {}
    for name, pattern in _LIBRARIES.items():
        for match in re.finditer(pattern, text, re.I):
            found.setdefault(name, []).extend(_tokens(scene, match.start(), match.end()))
    for match in _LINK_LIST.finditer(text):
        for library in _LIBRARY_NAMES.finditer(text, match.start(1), match.end(1)):
            places = _tokens(scene, library.start(), library.end())
            found.setdefault(library[1].lower(), []).extend(places)
    if found:
        names = [name for name in _LIBRARIES if name in found]
        tokens = [t for row in found.values() for t in row]
        linked = [t for t in range(len(scene.tokens)) if scene.word(t).startswith("link")]
        near = [t for t in linked if scene.sentence(t) == scene.sentence(min(tokens))]
        yield from _bound(LIBRARIES, names, [*tokens, *near])


def _runs(scene: Scene, taken: set[int]) -> Iterator[Bound]:
    """Read the test runs of a program: arguments, input, and what must come out."""
    runs: list[dict[str, Any]] = []
    tokens: list[int] = []
    for sentence in dict.fromkeys(scene.sentence(i) for i in range(len(scene.tokens))):
        here = [i for i in range(len(scene.tokens)) if scene.sentence(i) == sentence]
        _runs_of(scene, here, taken, runs, tokens)
    _streams(scene, runs, tokens)
    _time_of_a_run(scene, runs, tokens)
    if runs:
        yield from _bound(RUNS, runs, tokens)


def _runs_of(
    scene: Scene,
    here: Sequence[int],
    taken: set[int],
    runs: list[dict[str, Any]],
    tokens: list[int],
) -> None:
    start, end = scene.tokens[here[0]].start, scene.tokens[here[-1]].end
    text = scene.text.folded
    argument = next((i for i in here if _ARGUMENT.fullmatch(scene.word(i))), None)
    run = next((i for i in here if _RUN.fullmatch(scene.word(i))), None)
    cue = run if argument is None else argument
    if cue is None:
        if runs and all(scene.tokens[i].form in (Form.QUOTE, Form.MARK) for i in here):
            quotes = [i for i in here if scene.tokens[i].form is Form.QUOTE]
            runs += [{"arguments": [scene.tokens[i].text[1:-1]]} for i in quotes]
            tokens += quotes
        return
    last = -1
    for match in _RUN_VALUE.finditer(text, start, end):
        places = _tokens(scene, match.start(), match.end())
        value = match[1] or match[2] or match[3] or match[4]
        if (
            not places
            or set(places) & taken
            or not _is_argument(scene, places, match, last, named=argument is not None)
        ):
            continue
        if run is not None and argument is None and places[0] < run:
            continue
        separate = last < 0 or _is_new_run(scene, last, places[0])
        plain = value if match[4] is None else value.replace(",", "").replace("_", "")
        if separate:
            runs.append({"arguments": [plain]})
        else:
            runs[-1]["arguments"].append(plain)
        tokens += places
        last = places[-1]
    if last >= 0:
        tokens.append(cue)


def _is_argument(
    scene: Scene,
    places: Sequence[int],
    match: re.Match[str],
    last: int,
    *,
    named: bool,
) -> bool:
    """Return whether a number, an option or a quoted word is given to the program."""
    at = places[0]
    if any(scene.tokens[t].form is Form.FILE for t in places):
        return False
    if any(at in q.tokens and (q.units or q.suffix) for q in scene.quantities):
        return False
    following = scene.word(places[-1] + 1)
    if following in ("-", "bit", "bits", "x"):
        return False
    before = at - 1
    while scene.word(before) in ("the", "a", "only", "one", "just", "single", "1"):
        before -= 1
    led = scene.word(before) in _LEADS or scene.word(at - 1) in _LEADS
    joined = last >= 0 and all(
        scene.word(t) in _SAME_RUN | _NEW_RUN | _LEADS | {"once", "or", "for"}
        for t in range(last + 1, at)
    )
    trailing = following in ("as", "for") and any(
        scene.word(t).startswith(("arg", "input", "param"))
        for t in range(places[-1] + 1, min(places[-1] + 5, len(scene.tokens)))
    )
    if not (led or joined or trailing):
        return False
    # A number in front of what it counts is no argument: "with 200 evaluations".
    head = any(
        item.start <= places[-1] + 1 < item.end
        and any(s.role.value in ("head", "counted") for s in item.senses)
        for item in scene.items
    )
    counts = head and not following.startswith(("arg", "run", "input"))
    if match[4] is not None and counts and following not in (",", "."):
        return False
    in_front = {
        s.path
        for item in scene.items
        if item.end in (at, at - 1)
        for s in item.senses
        if s.role.value == "head"
    }
    if match[4] is not None and in_front and not named:
        return False
    return not (in_front and scene.word(before).startswith(("seed", "prio")))


def _is_new_run(scene: Scene, last: int, at: int) -> bool:
    """Return whether a value begins another run, not another argument of the last one."""
    between = [scene.word(t) for t in range(last + 1, at)]
    if _NEW_RUN & set(between):
        return True
    prepositions = {"with", "on", "for", "by"} & set(between)
    return bool(prepositions) or any(w.startswith("argument") for w in between)


def _streams(scene: Scene, runs: list[dict[str, Any]], tokens: list[int]) -> None:
    """Add exit code, standard input and expected output to the runs."""
    text = scene.text.folded
    row: dict[str, Any] = {}
    places: list[int] = []
    if (match := _EXIT.search(text)) is not None:
        row["expected_exit"] = int(match[1])
        places += _tokens(scene, match.start(), match.end())
    if (match := _STDIN.search(text)) is not None:
        start, end = _sentence_around(scene, match.start())
        word = _quoted(text, start, end) or _STDIN_WORD.search(text, start, end)
        if word is not None:
            row["stdin"] = next(g for g in word.groups() if g)
            places += _tokens(scene, match.start(), match.end())
            places += _tokens(scene, word.start(), word.end())
    if (match := _STDOUT.search(text)) is not None:
        start, end = _sentence_around(scene, match.start())
        printed = _quoted(text, match.end(), end)
        if printed is not None:
            row["expected_stdout"] = next(g for g in printed.groups() if g)
            places += _tokens(scene, match.start(), match.end())
            places += _tokens(scene, printed.start(), printed.end())
    if not row:
        return
    value = str(row.get("expected_exit", ""))
    for run in runs:
        if (
            value
            and run.get("arguments", [None])[-1] == value
            and len(run["arguments"]) > 1
        ):
            run["arguments"].pop()
    runs[:] = [r for r in runs if r.get("arguments") != [value] or not value]
    stdin = row.get("stdin")
    runs[:] = [r for r in runs if r.get("arguments") != [stdin] or not stdin]
    if not runs:
        runs.append({})
    for run in runs:
        run.update(row)
    tokens += places


def _time_of_a_run(scene: Scene, runs: list[dict[str, Any]], tokens: list[int]) -> None:
    """Read "kill a run that needs more than 2 s", which limits no search."""
    for quantity in scene.quantities:
        seconds = quantity.reading(Dimension.TIME)
        if seconds is None or not quantity.units:
            continue
        here = [
            i
            for i in range(
                max(0, quantity.start - 14), min(len(scene.tokens), quantity.end + 8)
            )
            if scene.sentence(i) == scene.sentence(quantity.start)
            and (i < quantity.start or i >= quantity.end)
        ]
        words = [scene.word(i) for i in here]
        one_run = any(
            words[k]
            in (
                "a",
                "each",
                "every",
                "per",
                "that",
                "one",
                "any",
                "single",
                "the",
                "test",
            )
            and words[k + 1] in ("run", "test", "execution")
            for k in range(len(words) - 1)
        )
        if _KILLED & set(words) and (one_run or runs):
            for run in runs or [{}]:
                run["timeout_seconds"] = seconds[0]
                if run not in runs:
                    runs.append(run)
            tokens += range(quantity.start, quantity.end)
            tokens += [i for i in here if scene.word(i) in _KILLED]


def _quoted(text: str, start: int, end: int) -> re.Match[str] | None:
    return re.compile(r"\"([^\"\n]{1,500})\"|`([^`\n]{1,500})`|'([^'\n]{1,500})'").search(
        text, start, end
    )
