"""Small C and C++ programs without headers, in two parts, for differential tests of compilers.

The library has what is compared: functions with arithmetic of all widths, tables, structs, loops,
switches, floating point, and in C++ exceptions, destructors, virtual calls and templates. The
driver calls it and prints what it returned. Nothing is undefined or left to the implementation:
unsigned arithmetic, masked indices, no fused multiplication.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from workers.corpus.generator.source import Source


@dataclass(frozen=True, kw_only=True)
class SmallProgram:
    """Program in two parts.

    `library` alone makes an object; with `driver` it is a program that prints a few lines and
    ends with 0.
    """

    library: str
    driver: str
    cxx: bool


Part = Callable[[Source, str], str]
"""(source, name) → text of a function with the head of that name."""


def small_program(rng: np.random.Generator, *, cxx: bool, hosted: bool) -> SmallProgram:
    """Return a program of 2 to 5 functions.

    `hosted`: the target has threads and a run-time library for C++.
    """
    source = Source(rng=rng)
    parts = [*_C]
    parts += _HOSTED if hosted else ()
    parts += _CXX if cxx else ()
    parts += _CXX_HOSTED if cxx and hosted else ()
    names = [f"work_{number}" for number in range(source.number(2, 5))]
    texts = [parts[source.number(0, len(parts) - 1)](source, name) for name in names]
    prototypes = [f"{_head(name)};" for name in names]
    prefix = [
        "typedef unsigned long long wide;",
        *([] if not cxx else ['extern "C" {', *prototypes, "}"]),
    ]
    driver = [
        *(['extern "C" {'] if cxx else []),
        "int printf(const char *, ...);",
        *prototypes,
        *(["}"] if cxx else []),
    ]
    driver += [
        "int main(void) {",
        "    unsigned seed = 1;",
        "    for (int i = 0; i < 6; i++) {",
    ]
    for name in names:
        driver.append(
            f"        seed = seed * 1664525u + {name}(seed, seed >> 7) + 1013904223u;"
        )
    driver += ['        printf("%08x\\n", seed);', "    }", "    return 0;", "}", ""]
    return SmallProgram(
        library="\n".join([*prefix, *texts, ""]), driver="\n".join(driver), cxx=cxx
    )


def _head(name: str) -> str:
    return f"unsigned {name}(unsigned a, unsigned b)"


def _arithmetic(s: Source, name: str) -> str:
    return (
        f"{_head(name)} {{\n    unsigned c = {s.expression(['a', 'b'])};\n"
        f"    for (unsigned i = 0; i < {s.number(2, 40)}u; i++) c = "
        f"{s.expression(['a', 'b', 'c', 'i'])};\n    return c;\n}}"
    )


def _wide(s: Source, name: str) -> str:
    return (
        f"{_head(name)} {{\n    wide x = ((wide)a << 32) | b, y = {s.word()};\n"
        f"    for (int i = 0; i < {s.number(1, 9)}; i++) "
        f"{{ x = x * {s.number(3, 99)}u + y; y ^= x >> {s.number(1, 60)}; }}\n"
        f"    return (unsigned)(x / (y | 1)) ^ (unsigned)(x % ({s.number(3, 9999)}u)) ^ "
        f"(unsigned)(y >> 32);\n}}"
    )


def _table(s: Source, name: str) -> str:
    rows = ", ".join(s.word() for _ in range(16))
    kind = s.pick("static const unsigned", "static unsigned", "const unsigned")
    return (
        f"{kind} {name}_table[16] = {{{rows}}};\n{_head(name)} {{\n    unsigned c = b;\n"
        f"    for (unsigned i = 0; i < {s.number(3, 20)}u; i++) c = (c << 5 | c >> 27) ^ "
        f"{name}_table[(a >> (i & 7)) & 15];\n"
        f"    return c;\n}}"
    )


def _switch(s: Source, name: str) -> str:
    step = s.number(1, 4)
    cases = "".join(
        f"    case {i * step}: c = {s.expression(['a', 'b', 'c'], 1)}; break;\n"
        for i in range(s.number(3, 9))
    )
    return (
        f"{_head(name)} {{\n    unsigned c = a;\n    switch (b % 40u) {{\n{cases}"
        f"    default: c ^= {s.word()};\n    }}\n    return c;\n}}"
    )


def _floating(s: Source, name: str) -> str:
    kind = s.pick("float", "double")
    suffix = "f" if kind == "float" else ""
    return (
        f"{kind} {name}_of({kind} x, {kind} y, int n);\n{kind} {name}_of({kind} x, {kind} y, "
        f"int n) {{\n"
        f"    {kind} sum = 0;\n    for (int i = 0; i < n; i++) "
        f"{{\n        {kind} p = x * y;\n        sum = sum + p;\n"
        f"        x = x / ({s.number(2, 7)}.0{suffix});\n"
        f"        if (sum > {s.number(100, 9000)}.0{suffix}) sum = sum - y;\n    }}\n"
        f"    return sum;\n}}\n{_head(name)} {{\n"
        f"    {kind} r = {name}_of((int)(a & 1023u), (int)(b & 511u) + 1, {s.number(2, 12)});\n"
        f"    return (unsigned)(int)r + (r < 0);\n}}"
    )


def _state(s: Source, name: str) -> str:
    start = s.pick("", f" = {s.number(1, 9)}")
    return (
        f"{s.linkage()}unsigned {name}_count{start};\nstatic unsigned char "
        f"{name}_ring[{s.pick('8', '32', '64')}];\n"
        f"{_head(name)} {{\n    {name}_count += a & 3u;\n"
        f"    {name}_ring[b % sizeof {name}_ring] = (unsigned char)(a ^ {name}_count);\n    "
        "unsigned c = 0;\n"
        f"    for (unsigned i = 0; i < sizeof {name}_ring; i++) c = c * 31u + "
        f"{name}_ring[i];\n    return c;\n}}"
    )


def _struct(s: Source, name: str) -> str:
    return (
        f"struct {name}_t "
        f"{{ unsigned short key; unsigned low : {s.number(3, 11)}; "
        f"unsigned high : {s.number(3, 11)}; "
        f"unsigned char name[{s.number(2, 9)}]; "
        f"}};\nstatic void {name}_fill(struct {name}_t *t, unsigned a) {{\n"
        f"    t->key = (unsigned short)a; t->low = a >> 3; t->high = a >> 9;\n"
        "    for (unsigned i = 0; i < sizeof t->name; i++) t->name[i] = (unsigned char)(a "
        f">> i);\n}}\n"
        f"{_head(name)} {{\n    struct {name}_t x[2], y;\n"
        f"    {name}_fill(&x[0], a); {name}_fill(&x[1], b);\n"
        "    y = x[a & 1u]; y.low += x[b & 1u].high;\n    return y.key * 7u + y.low * 3u + "
        f"y.high + y.name[1];\n}}"
    )


def _pointers(s: Source, name: str) -> str:
    return (
        f"static unsigned {name}_p(unsigned a) {{ return a * {s.number(3, 99)}u; }}\n"
        f"static unsigned {name}_q(unsigned a) {{ return a ^ {s.word()}; }}\n"
        f"static unsigned (*const {name}_of[])(unsigned) = {{{name}_p, {name}_q}};\n"
        f"{_head(name)} {{ return {name}_of[a & 1u](b) + {name}_of[b & 1u](a); }}"
    )


def _strings(s: Source, name: str) -> str:
    words = ", ".join(
        f'"{"".join(s.pick(*"abcdefxyz") for _ in range(s.number(1, 8)))}"'
        for _ in range(6)
    )
    return (
        f"static const char *const {name}_words[] = {{{words}}};\n{_head(name)} {{\n"
        f"    unsigned h = b;\n    for (const char *p = {name}_words[a % 6u]; *p; p++) h = h "
        "* 33u ^ (unsigned char)*p;\n"
        f"    return h;\n}}"
    )


def _recursive(s: Source, name: str) -> str:
    return (
        f"static unsigned {name}_walk(unsigned n, unsigned a) {{\n"
        f"    return n == 0 ? a : {name}_walk(n - 1, a * {s.number(2, 9)}u + n)\n"
        f"        ^ {name}_walk(n / 2, a + {s.number(1, 9)}u);\n}}\n"
        f"{_head(name)} {{ return {name}_walk({s.number(2, 6)}u, a ^ b); }}"
    )


def _copies(s: Source, name: str) -> str:
    size = s.number(8, 90)
    call = s.pick(
        "__builtin_memcpy(from, to, sizeof to);",
        "__builtin_memset(from, 5, sizeof from);",
    )
    return (
        f"{_head(name)} {{\n    unsigned char from[{size}], to[{size}];\n"
        f"    for (unsigned i = 0; i < {size}u; i++) from[i] = (unsigned char)(a + i * b);\n"
        f"    for (unsigned i = 0; i < {size}u; i++) to[i] = from[{size - 1}u - i];\n"
        f"    {call}\n"
        f"    return from[{s.number(0, size - 1)}] * 256u + to[a % {size}u];\n}}"
    )


def _attributes(s: Source, name: str) -> str:
    word = s.pick(
        "noinline",
        "cold",
        "always_inline",
        "used",
        "weak",
        "aligned(16)",
        "const",
        "minsize",
    )
    static = (
        "static inline "
        if word == "always_inline"
        else ("" if word == "weak" else "static ")
    )
    return (
        f"__attribute__(({word})) {static}unsigned {name}_of(unsigned a) "
        f"{{ return a * a + {s.word()}; }}\n"
        f"{_head(name)} {{ return {name}_of(a) ^ {name}_of(b + 1u); }}"
    )


def _volatile(s: Source, name: str) -> str:
    return (
        f"static volatile unsigned {name}_port;\n{_head(name)} {{\n"
        f"    {name}_port = a; {name}_port |= b & {s.word()};\n    return {name}_port + "
        f"{name}_port * {s.number(2, 9)}u;\n}}"
    )


def _thread_local(s: Source, name: str) -> str:
    return (
        f"static __thread unsigned {name}_own = {s.number(0, 5)};\n"
        f"{_head(name)} {{ {name}_own += a ^ b; return {name}_own; }}"
    )


def _constructor(s: Source, name: str) -> str:
    return (
        f"static unsigned {name}_ready;\n__attribute__((constructor)) static void "
        f"{name}_start(void) "
        f"{{ {name}_ready = {s.word()}; }}\n{_head(name)} {{ return a * {name}_ready + b; }}"
    )


def _virtual(s: Source, name: str) -> str:
    return (
        f"namespace {{ struct {name}_base {{ virtual unsigned of(unsigned) const = 0; }};\n"
        f"struct {name}_x final : {name}_base "
        f"{{ unsigned of(unsigned a) const override {{ return a + {s.word()}; }} }};\n"
        f"struct {name}_y final : {name}_base "
        f"{{ unsigned k; explicit {name}_y(unsigned v) : k(v) {{}}\n"
        f"    unsigned of(unsigned a) const override {{ return a * k; }} }}; }}\n"
        f"{_head(name)} {{ {name}_x x; {name}_y y(b); const {name}_base *p = (a & 1u) ? "
        f"static_cast<const {name}_base *>(&x) : &y; return p->of(a); }}"
    )


def _template(s: Source, name: str) -> str:
    return (
        f"template <class T, int N> static T {name}_sum(T a) "
        f"{{ T r = 0; for (int i = 0; i < N; i++) r = r * 3 + (a >> i); "
        f"return r; }}\n{_head(name)} {{ return {name}_sum<unsigned, {s.number(2, 9)}>(a) + "
        f"(unsigned){name}_sum<wide, {s.number(2, 9)}>(b); }}"
    )


def _lambda(s: Source, name: str) -> str:
    return (
        f"{_head(name)} {{ auto f = [=](unsigned c) {{ return c * a + b; }};\n"
        f"    auto g = [&f](unsigned c) noexcept {{ return f(c) ^ {s.word()}; }}; return "
        f"g(a) + f({s.number(1, 99)}u); }}"
    )


def _guard(s: Source, name: str) -> str:
    return (
        "namespace "
        f"{{ struct {name}_guard {{ unsigned &n; "
        f"explicit {name}_guard(unsigned &v) : n(v) {{ n += 3; }} "
        f"~{name}_guard() {{ n ^= {s.word()}; }} }}; }}\n"
        f"{_head(name)} {{ unsigned n = a; {{ {name}_guard g(n); n *= b | 1u; }} return n; }}"
    )


def _throws(s: Source, name: str) -> str:
    kind, value = s.pick(
        "int|(int)(a & 255u)",
        'const char *|&"abcdefgh"[a & 7u]',
        f"{name}_e|{name}_e{{a}}",
    ).split("|")
    caught = {"int": "(unsigned)e", "const char *": "(unsigned char)*e"}.get(
        kind, "e.code"
    )
    return (
        f"struct {name}_e {{ unsigned code; }};\n"
        f"namespace {{ struct {name}_guard {{ unsigned &n; ~{name}_guard() {{ n += 11; }} }}; }}\n"
        f"__attribute__((noinline)) static unsigned {name}_may(unsigned a, unsigned &n) "
        f"{{ {name}_guard g{{n}};\n"
        f"    if (a % {s.number(2, 4)}u == 0) throw {value}; return a * 3u; }}\n"
        f"{_head(name)} {{ unsigned n = b;\n    try {{ return {name}_may(a, n) + n; }}\n"
        f"    catch ({kind} e) "
        f"{{ return {caught} ^ n; }}{s.pick('', ' catch (...) { return 1; }')} }}"
    )


def _noexcept(s: Source, name: str) -> str:
    return (
        f"__attribute__((noinline)) static unsigned {name}_in(unsigned a) "
        f"{{ if (a == {s.word()}) throw 1; return a + 1; }}\n"
        f"static unsigned {name}_out(unsigned a) noexcept "
        f"{{ return {name}_in(a | 1u) * {s.number(2, 9)}u; }}\n"
        f"{_head(name)} {{ return {name}_out(a & 0xffffu) ^ b; }}"
    )


def _local_static(s: Source, name: str) -> str:
    return (
        f"static unsigned {name}_first(unsigned a) "
        f"{{ static unsigned once = a * {s.number(3, 99)}u + 1u; return once; }}\n"
        f"{_head(name)} {{ return {name}_first(a) + b; }}"
    )


def _heap(s: Source, name: str) -> str:
    return (
        f"{_head(name)} {{ unsigned n = (a & 15u) + 1u; unsigned *p = new unsigned[n];\n"
        f"    for (unsigned i = 0; i < n; i++) p[i] = b * i + {s.word()};\n"
        f"    unsigned r = p[n - 1] ^ p[0]; delete[] p; return r; }}"
    )


_C: tuple[Part, ...] = (
    *(_arithmetic, _wide, _table, _switch, _floating, _floating, _state, _struct),
    *(_pointers, _strings, _recursive, _copies, _attributes, _volatile),
)
_HOSTED: tuple[Part, ...] = (_thread_local, _constructor)
_CXX: tuple[Part, ...] = (_template, _lambda, _guard)
_CXX_HOSTED: tuple[Part, ...] = (
    _virtual,
    _throws,
    _throws,
    _noexcept,
    _local_static,
    _heap,
)
