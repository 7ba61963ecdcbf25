"""C programs by seed: like firmware people write, executable, self-checking, without undefined behaviour.

A program is three to eight units (tokenisers, protocol codecs, tables, containers, filters, evaluators …) whose constants,
fields, states and expressions are drawn; `main` runs each on inputs it makes up and prints a checksum a unit and one of all.
Only unsigned arithmetic, shifts below the width, indices taken modulo the length: every correct compiler's program prints
the same.

    python -m workers.corpus.generator 17 > program.c         # seeds below 500 train, from 1000 on they are held out
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

_HEAD = """#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint32_t mix(uint32_t h, uint32_t v) { h ^= v + 0x9e3779b9u + (h << 6) + (h >> 2); return h * 2654435761u; }
static uint32_t next(uint32_t *state) { *state ^= *state << 13; *state ^= *state >> 17; *state ^= *state << 5; return *state; }
"""


@dataclass
class Source:
    """A program being written."""

    rng: np.random.Generator
    text: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)  # functions `uint32_t f(uint32_t seed)` for main to call

    def number(self, low: int, high: int) -> int:
        """In [low, high]."""
        return int(self.rng.integers(low, high + 1))

    def word(self) -> str:
        """A 32-bit constant."""
        return f"0x{int(self.rng.integers(1, 2**32)):08x}u"

    def pick(self, *choices: str) -> str:
        """One of them."""
        return choices[int(self.rng.integers(len(choices)))]

    def likely(self, share: float) -> bool:
        """True in `share` of the calls."""
        return float(self.rng.random()) < share

    def linkage(self) -> str:
        """Most helpers are static; some are exported, as a library's are."""
        return "static " if self.likely(0.7) else ""

    def expression(self, names: list[str], depth: int = 2) -> str:
        """A uint32_t expression over the named variables."""
        if depth == 0 or self.likely(0.15):
            return self.pick(*names) if self.likely(0.75) else str(self.number(0, 255)) + "u"
        a = self.expression(names, depth - 1)
        b = self.expression(names, depth - 1)
        return self.pick(
            f"({a} + {b})",
            f"({a} - {b})",
            f"({a} ^ {b})",
            f"({a} & {b})",
            f"({a} | {b})",
            f"({a} * {self.number(2, 63)}u)",
            f"({a} << {self.number(1, 9)})",
            f"({a} >> {self.number(1, 9)})",
            f"({a} % {self.number(3, 97)}u)",
            f"({a} < {b} ? {a} : {b})",
            f"({a} / ({b} | 1u))",
        )


def tokeniser(out: Source, name: str) -> None:
    """A state machine over text, as lexers of configuration files are."""
    states = out.number(3, 7)
    cases = []
    for state in range(states):
        tests = []
        for _ in range(out.number(1, 4)):
            test = out.pick(
                "c >= '0' && c <= '9'",
                "c == ' ' || c == '\\t'",
                "c >= 'a' && c <= 'z'",
                "c == '='",
                "c == '\"'",
                "c == '#'",
                "c == '\\n'",
            )
            does = out.pick(
                f"h = mix(h, {out.number(1, 99)}u + c);",
                f"count[{out.number(0, 3)}]++;",
                "value = value * 10u + (c & 15u);",
                "h = mix(h, value); value = 0;",
            )
            tests.append(f"if ({test}) {{ {does} state = {out.number(0, states - 1)}; }}")
        cases.append(f"    case {state}: {' else '.join(tests)} else state = {out.number(0, states - 1)}; break;")
    body = "\n".join(cases)
    out.text.append(f"""
{out.linkage()}uint32_t {name}_scan(const char *text, uint32_t count[4]) {{
  uint32_t h = {out.word()}, value = 0;
  int state = 0;
  for (; *text; text++) {{
    unsigned char c = (unsigned char)*text;
    switch (state) {{
{body}
    default: state = 0; break;
    }}
  }}
  return mix(h, (uint32_t)state);
}}
static uint32_t {name}_run(uint32_t seed) {{
  static const char letters[] = "abcz019 =\\"#\\n\\t_-x";
  char text[{out.number(60, 200)}];
  uint32_t count[4] = {{0}};
  for (unsigned i = 0; i + 1 < sizeof text; i++) text[i] = letters[next(&seed) % (sizeof letters - 1)];
  text[sizeof text - 1] = 0;
  uint32_t h = {name}_scan(text, count);
  for (int i = 0; i < 4; i++) h = mix(h, count[i]);
  return h;
}}""")
    out.runs.append(f"{name}_run")


def checksum(out: Source, name: str) -> None:
    """A table made at run time or constant, and a hash over bytes with it."""
    rounds, poly = out.number(4, 8), out.word()
    constant = out.likely(0.5)
    if constant:
        values = ", ".join(out.word() for _ in range(32))
        table, make = f"static const uint32_t {name}_table[32] = {{{values}}};", ""
    else:
        table = f"static uint32_t {name}_table[32];"
        make = f"""
static void {name}_make(void) {{
  for (uint32_t i = 0; i < 32; i++) {{
    uint32_t v = i << {out.number(0, 20)};
    for (int k = 0; k < {rounds}; k++) v = v & 1u ? v >> 1 ^ {poly} : v >> 1;
    {name}_table[i] = v;
  }}
}}"""
    names = ["h", "(uint32_t)p[i]", "n"]
    out.text.append(f"""
{table}{make}
{out.linkage()}uint32_t {name}_hash(const unsigned char *p, uint32_t n) {{
  uint32_t h = ~0u;
  for (uint32_t i = 0; i < n; i++) {{
    h = {name}_table[(h ^ p[i]) & 31u] ^ h >> {out.number(3, 8)};
    {"h ^= " + out.expression(names) + ";" if out.likely(0.6) else ""}
  }}
  return ~h;
}}
static uint32_t {name}_run(uint32_t seed) {{
  unsigned char data[{out.number(32, 120)}];
  {"" if constant else f"{name}_make();"}
  for (unsigned i = 0; i < sizeof data; i++) data[i] = (unsigned char)next(&seed);
  return {name}_hash(data, sizeof data);
}}""")
    out.runs.append(f"{name}_run")


def records(out: Source, name: str) -> None:
    """An array of structs: filled, sorted by a drawn key, searched, summed."""
    fields = out.number(2, 5)
    types = [out.pick("uint32_t", "uint16_t", "uint8_t") for _ in range(fields)]
    declared = " ".join(f"{kind} f{i};" for i, kind in enumerate(types))
    filled = " ".join(f"r[i].f{i} = ({kind})next(&seed);" for i, kind in enumerate(types))
    keys = [f"(uint32_t)a->f{i}" for i in range(fields)]  # a narrow one would become a signed int
    other = [key.replace("a->", "b->") for key in keys]
    key = out.number(0, fields - 1)
    count = out.number(12, 40)
    sums = " ".join(f"h = mix(h, r[i].f{i});" for i in range(fields))
    out.text.append(f"""
struct {name} {{ {declared} }};
{out.linkage()}int {name}_less(const struct {name} *a, const struct {name} *b) {{
  if (a->f{key} != b->f{key}) return a->f{key} < b->f{key};
  return {out.expression(keys)} < {out.expression(other)};
}}
{out.linkage()}void {name}_sort(struct {name} *r, int n) {{
  for (int gap = n / 2; gap > 0; gap /= 2)
    for (int i = gap; i < n; i++) {{
      struct {name} v = r[i];
      int j = i;
      for (; j >= gap && {name}_less(&v, &r[j - gap]); j -= gap) r[j] = r[j - gap];
      r[j] = v;
    }}
}}
{out.linkage()}int {name}_find(const struct {name} *r, int n, uint32_t key) {{
  int low = 0, high = n;
  while (low < high) {{
    int middle = low + (high - low) / 2;
    if (r[middle].f{key} < key) low = middle + 1; else high = middle;
  }}
  return low;
}}
static uint32_t {name}_run(uint32_t seed) {{
  struct {name} r[{count}];
  uint32_t h = {out.word()};
  for (int i = 0; i < {count}; i++) {{ {filled} }}
  {name}_sort(r, {count});
  for (int i = 0; i < {count}; i++) {{ {sums} }}
  for (uint32_t k = 0; k < 64; k += {out.number(3, 9)}) {{
    uint32_t key = k * {out.number(1, 900)}u;
    h = mix(h, (uint32_t){name}_find(r, {count}, key));
  }}
  return h;
}}""")
    out.runs.append(f"{name}_run")


def codec(out: Source, name: str) -> None:
    """A message packed into bytes and read again, with lengths checked, as protocol code does."""
    fields = [(f"m{i}", out.pick("8", "16", "32")) for i in range(out.number(3, 7))]
    declared = " ".join(f"uint{bits}_t {field_};" for field_, bits in fields)
    big = out.likely(0.5)
    put, get, need = [], [], 0
    for field_, bits in fields:
        size = int(bits) // 8
        need += size
        for k in range(size):
            shift = 8 * (size - 1 - k if big else k)
            put.append(f"  p[n++] = (unsigned char)((uint32_t)m->{field_} >> {shift});")
        terms = " | ".join(f"(uint32_t)p[n + {k}] << {8 * (size - 1 - k if big else k)}" for k in range(size))
        get.append(
            f"  if (n + {size} > length) return {out.number(-9, -1)};\n  m->{field_} = (uint{bits}_t)({terms});\n  n += {size};"
        )
        if out.likely(0.3):
            get.append(f"  if (m->{field_} == {out.number(0, 250)}u) return {out.number(-20, -10)};")
    filled = " ".join(f"m.{field_} = (uint{bits}_t)next(&seed);" for field_, bits in fields)
    sums = " ".join(f"h = mix(h, back.{field_});" for field_, _ in fields)
    lines_put, lines_get = "\n".join(put), "\n".join(get)
    out.text.append(f"""
struct {name} {{ {declared} }};
{out.linkage()}int {name}_put(const struct {name} *m, unsigned char *p) {{
  int n = 0;
{lines_put}
  return n;
}}
{out.linkage()}int {name}_get(struct {name} *m, const unsigned char *p, int length) {{
  int n = 0;
{lines_get}
  return n;
}}
static uint32_t {name}_run(uint32_t seed) {{
  uint32_t h = {out.word()};
  for (int i = 0; i < {out.number(5, 20)}; i++) {{
    struct {name} m, back;
    unsigned char wire[{need + 4}];
    memset(&back, 0, sizeof back);
    {filled}
    int n = {name}_put(&m, wire);
    h = mix(h, (uint32_t){name}_get(&back, wire, i % 3 ? n : n - {out.number(1, 3)}));
    {sums}
  }}
  return h;
}}""")
    out.runs.append(f"{name}_run")


def pool(out: Source, name: str) -> None:
    """A list in a fixed pool of nodes: insert, remove, walk."""
    size = out.number(12, 40)
    visit = out.expression(["p->key", "h", "depth"])
    out.text.append(f"""
struct {name} {{ uint32_t key; struct {name} *next; }};
static struct {name} {name}_nodes[{size}], *{name}_free, *{name}_list;
{out.linkage()}void {name}_reset(void) {{
  {name}_free = {name}_list = 0;
  for (int i = 0; i < {size}; i++) {{ {name}_nodes[i].next = {name}_free; {name}_free = &{name}_nodes[i]; }}
}}
{out.linkage()}int {name}_insert(uint32_t key) {{
  struct {name} *fresh = {name}_free, **at = &{name}_list;
  if (!fresh) return 0;
  {name}_free = fresh->next;
  while (*at && (*at)->key < key) at = &(*at)->next;
  fresh->key = key; fresh->next = *at; *at = fresh;
  return 1;
}}
{out.linkage()}int {name}_remove(uint32_t key) {{
  for (struct {name} **at = &{name}_list; *at; at = &(*at)->next)
    if ((*at)->key == key) {{
      struct {name} *gone = *at;
      *at = gone->next; gone->next = {name}_free; {name}_free = gone;
      return 1;
    }}
  return 0;
}}
static uint32_t {name}_run(uint32_t seed) {{
  uint32_t h = {out.word()}, depth = 0;
  {name}_reset();
  for (int i = 0; i < {out.number(30, 90)}; i++) {{
    uint32_t key = next(&seed) % {out.number(10, 60)}u;
    h = mix(h, (uint32_t)(i % {out.number(2, 4)} ? {name}_insert(key) : {name}_remove(key)));
  }}
  for (struct {name} *p = {name}_list; p; p = p->next, depth++) h = mix(h, {visit});
  return h;
}}""")
    out.runs.append(f"{name}_run")


def filter_(out: Source, name: str) -> None:
    """Fixed-point signal processing: a filter with constant taps, saturation, a peak."""
    taps = [out.number(1, 4000) for _ in range(out.number(4, 16))]
    shift = out.number(8, 14)
    limit = out.number(2000, 60000)
    listed = ", ".join(map(str, taps))
    out.text.append(f"""
static const uint16_t {name}_taps[{len(taps)}] = {{{listed}}};
{out.linkage()}uint32_t {name}_clamp(uint32_t v) {{ return v > {limit}u ? {limit}u : v; }}
{out.linkage()}void {name}_filter(const uint16_t *in, uint16_t *out, int n) {{
  for (int i = 0; i < n; i++) {{
    uint32_t sum = 0;
    for (int k = 0; k < {len(taps)}; k++) if (i >= k) sum += (uint32_t)in[i - k] * {name}_taps[k] >> {out.number(1, 4)};
    out[i] = (uint16_t){name}_clamp(sum >> {shift});
  }}
}}
static uint32_t {name}_run(uint32_t seed) {{
  uint16_t in[{out.number(24, 64)}], out[sizeof in / sizeof in[0]];
  uint32_t h = {out.word()}, peak = 0;
  for (unsigned i = 0; i < sizeof in / sizeof in[0]; i++) in[i] = (uint16_t)next(&seed);
  {name}_filter(in, out, (int)(sizeof in / sizeof in[0]));
  for (unsigned i = 0; i < sizeof in / sizeof in[0]; i++) {{ if (out[i] > peak) peak = out[i]; h = mix(h, out[i]); }}
  return mix(h, peak);
}}""")
    out.runs.append(f"{name}_run")


def handlers(out: Source, name: str) -> None:
    """A menu of commands: a switch or a table of function pointers over small handlers that change a machine's registers."""
    count = out.number(5, 14)
    made, names = [], ["m->a", "m->b", "m->c", "x"]
    for i in range(count):
        lines = []
        for _ in range(out.number(1, 4)):
            target = out.pick("m->a", "m->b", "m->c")
            guard = f"if ({out.expression(names, 1)} > {out.number(0, 5000)}u) " if out.likely(0.4) else ""
            lines.append(f"{guard}{target} {out.pick('=', '^=', '+=')} {out.expression(names)};")
        made.append(f"static void {name}_do{i}(struct {name} *m, uint32_t x) {{ {' '.join(lines)} }}")
    all_of_them = "\n".join(made)
    if out.likely(0.5):
        listed = ", ".join(f"{name}_do{i}" for i in range(count))
        call = f"static void (*const table[{count}])(struct {name} *, uint32_t) = {{{listed}}};\n  table[op % {count}u](m, x);"
    else:
        step = out.pick("1", "3", "16")
        cases = " ".join(f"case {i}u * {step}u: {name}_do{i}(m, x); break;" for i in range(count))
        call = f"switch (op % {count}u * {step}u) {{ {cases} default: m->a++; }}"
    out.text.append(f"""
struct {name} {{ uint32_t a, b, c; }};
{all_of_them}
{out.linkage()}void {name}_step(struct {name} *m, uint32_t op, uint32_t x) {{
  {call}
}}
static uint32_t {name}_run(uint32_t seed) {{
  struct {name} m = {{{out.number(0, 9)}u, {out.number(0, 99)}u, {out.word()}}};
  for (int i = 0; i < {out.number(40, 150)}; i++) {{ uint32_t op = next(&seed); {name}_step(&m, op, op >> 8); }}
  return mix(mix(m.a, m.b), m.c);
}}""")
    out.runs.append(f"{name}_run")


def evaluator(out: Source, name: str) -> None:
    """A recursive-descent evaluator of expressions in text."""
    operators = [op for op in "+-*%&|^" if out.likely(0.6)] or ["+"]
    does = {
        "+": "v += w;",
        "-": "v -= w;",
        "*": "v *= w;",
        "%": "v %= w | 1u;",
        "&": "v &= w;",
        "|": "v |= w;",
        "^": "v ^= w;",
    }
    cases = " ".join(f"case '{op}': {does[op]} break;" for op in operators)
    letters = "".join(operators)
    out.text.append(f"""
static uint32_t {name}_sum(const char **p, int depth);
static uint32_t {name}_atom(const char **p, int depth) {{
  uint32_t v = 0;
  if (**p == '(' && depth < {out.number(4, 12)}) {{
    ++*p;
    v = {name}_sum(p, depth + 1);
    if (**p == ')') ++*p;
    return v;
  }}
  while (**p >= '0' && **p <= '9') v = v * {out.pick("10u", "16u", "8u")} + (uint32_t)(*(*p)++ - '0');
  return v;
}}
static uint32_t {name}_sum(const char **p, int depth) {{
  uint32_t v = {name}_atom(p, depth);
  for (;;) {{
    char op = **p;
    if (!op || !strchr("{letters}", op)) return v;
    ++*p;
    uint32_t w = {name}_atom(p, depth);
    switch (op) {{ {cases} default: break; }}
  }}
}}
static uint32_t {name}_run(uint32_t seed) {{
  static const char letters[] = "0123456789(()){letters}{letters}";
  char text[{out.number(40, 120)}];
  uint32_t h = {out.word()};
  for (unsigned i = 0; i + 1 < sizeof text; i++) text[i] = letters[next(&seed) % (sizeof letters - 1)];
  text[sizeof text - 1] = 0;
  for (const char *p = text; *p;) {{ const char *before = p; h = mix(h, {name}_sum(&p, 0)); if (p == before) p++; }}
  return h;
}}""")
    out.runs.append(f"{name}_run")


UNITS: tuple[Callable[[Source, str], None], ...] = (
    tokeniser,
    checksum,
    records,
    codec,
    pool,
    filter_,
    handlers,
    evaluator,
)


def program(seed: int) -> str:
    """C source of the program of a seed. Raises ValueError below 0."""
    if seed < 0:
        raise ValueError(f"seed {seed} came; wanted 0 or more")
    out = Source(np.random.default_rng((seed, 22)))
    for number in range(out.number(3, 8)):
        unit = UNITS[out.number(0, len(UNITS) - 1)]
        unit(out, f"{unit.__name__.rstrip('_')}{number}")
    calls = "\n".join(
        f'  h = {run}(seed + {i}u);\n  printf("{run} %08x\\n", (unsigned)h);\n  all = mix(all, h);'
        for i, run in enumerate(out.runs)
    )
    main = f"""
int main(int argc, char **argv) {{
  uint32_t h, all = 0, seed = {out.word()};
  if (argc > 1) for (const char *p = argv[1]; *p; p++) seed = mix(seed, (unsigned char)*p) | 1u;
{calls}
  printf("checksum %08x\\n", (unsigned)all);
  return 0;
}}
"""
    return _HEAD + "\n".join(out.text) + "\n" + main


if __name__ == "__main__":
    sys.stdout.write(program(int(sys.argv[1])))
