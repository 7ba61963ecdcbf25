"""Units (groups of functions of a generated program) that read and write text."""

from __future__ import annotations

from workers.corpus.generator.source import Source

_COMMANDS = (
    *("set", "get", "add", "clear", "show", "reset"),
    *("mode", "limit", "scale", "swap", "load", "mask"),
)


def tokeniser(out: Source, name: str) -> None:
    """Write a state machine over text, like a lexer of configuration files."""
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
        cases.append(
            f"    case {state}: {' else '.join(tests)} else state = "
            f"{out.number(0, states - 1)}; break;"
        )
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
  for (unsigned i = 0; i + 1 < sizeof text; i++) text[i] = letters[next(&seed) \
% (sizeof letters - 1)];
  text[sizeof text - 1] = 0;
  uint32_t h = {name}_scan(text, count);
  for (int i = 0; i < 4; i++) h = mix(h, count[i]);
  return h;
}}""")
    out.runs.append(f"{name}_run")


def evaluator(out: Source, name: str) -> None:
    """Write a recursive-descent evaluator of expressions in text."""
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
  while (**p >= '0' && **p <= '9') v = v * {out.pick("10u", "16u", "8u")} \
+ (uint32_t)(*(*p)++ - '0');
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
  for (unsigned i = 0; i + 1 < sizeof text; i++) text[i] = letters[next(&seed) \
% (sizeof letters - 1)];
  text[sizeof text - 1] = 0;
  for (const char *p = text; *p;) {{ const char *before = p; h = mix(h, {name}_sum(&p, 0)); \
if (p == before) p++; }}
  return h;
}}""")
    out.runs.append(f"{name}_run")


def formatter(out: Source, name: str) -> None:
    """Write string handling without the library.

    Numbers are printed with padding, words trimmed and compared, a pattern matched.
    """
    base, width, size = (
        out.pick("10u", "16u", "8u"),
        out.number(2, 9),
        out.number(48, 120),
    )
    pattern = "".join(
        out.pick("a", "b", "?", "*a", "*B", "*") for _ in range(out.number(2, 4))
    )
    upper = out.likely(0.5)
    letter = "'A' + d - 10u" if upper else "'a' + d - 10u"
    fold = (
        "c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c"
        if upper
        else "c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c"
    )
    out.text.append(f"""
{out.linkage()}unsigned {name}_number(char *to, unsigned room, uint32_t v) {{
  char back[33];
  unsigned n = 0, k = 0;
  do {{
    uint32_t d = v % {base};
    back[n++] = (char)(d < 10u ? '0' + d : {letter});
    v /= {base};
  }} while (v);
  while (n < {width}u) back[n++] = '{out.pick("0", " ", "_")}';
  while (n && k + 1 < room) to[k++] = back[--n];
  if (room) to[k] = 0;
  return k;
}}
{out.linkage()}char {name}_fold(char c) {{ return {fold}; }}
{out.linkage()}int {name}_compare(const char *a, const char *b) {{
  while (*a && {name}_fold(*a) == {name}_fold(*b)) {{ a++; b++; }}
  return (int)(unsigned char){name}_fold(*a) - (int)(unsigned char){name}_fold(*b);
}}
{out.linkage()}int {name}_match(const char *p, const char *s) {{
  for (; *p; p++, s++) {{
    if (*p == '*') {{
      for (p++;; s++) {{
        if ({name}_match(p, s)) return 1;
        if (!*s) return 0;
      }}
    }}
    if (!*s || (*p != '?' && *p != *s)) return 0;
  }}
  return !*s;
}}
static unsigned {name}_trim(char *s) {{
  unsigned n = (unsigned)strlen(s), from = 0;
  while (n && (s[n - 1] == ' ' || s[n - 1] == '_')) n--;
  while (from < n && (s[from] == ' ' || s[from] == '_')) from++;
  memmove(s, s + from, n - from);
  s[n - from] = 0;
  return n - from;
}}
static uint32_t {name}_run(uint32_t seed) {{
  char line[{size}], word[{out.number(12, 40)}];
  uint32_t h = {out.word()};
  for (int i = 0; i < {out.number(4, 14)}; i++) {{
    unsigned used = 0;
    line[0] = 0;
    while (used + {width + 12}u < sizeof line) {{
      uint32_t draw = next(&seed);
      used += {name}_number(line + used, (unsigned)sizeof line - used, draw >> (draw & 31u));
      if (used + 1 < sizeof line) {{ line[used++] = '{out.pick(" ", ",", ";")}'; line[used] = 0; }}
    }}
    h = mix(h, {name}_trim(line));
    for (unsigned k = 0; k + 1 < sizeof word; k++) word[k] = "abcABC _"[next(&seed) & 7u];
    word[sizeof word - 1] = 0;
    h = mix(h, (uint32_t){name}_match("{pattern}", word) + ({name}_compare(word, line) \
< 0 ? 2u : 4u));
    for (const char *p = line; *p; p++) h = mix(h, (unsigned char)*p);
  }}
  return h;
}}""")
    out.runs.append(f"{name}_run")


def commands(out: Source, name: str) -> None:
    """Write a table-driven command line over a configuration.

    The table has names, least and most arguments, and effects.
    """
    order = out.rng.permutation(len(_COMMANDS))
    chosen = [_COMMANDS[int(i)] for i in order[: out.number(4, 10)]]
    slots = out.number(4, 12)
    does, rows = [], []
    for number, word in enumerate(chosen):
        least = out.number(0, 2)
        effect = out.pick(
            f"c->v[a[0] % {slots}u] = {out.expression(['a[0]', 'a[1]', 'c->mode'])};",
            f"c->mode = a[0] % {out.number(2, 9)}u;",
            f"for (int i = 0; i < {slots}; i++) c->v[i] {out.pick('+=', '^=', '-=')} "
            f"{out.expression(['a[0]', 'a[1]'], 1)};",
            f"if (c->mode > {out.number(0, 6)}u) return {out.number(2, 9)}u; c->v[a[1] % "
            f"{slots}u]++;",
            f"return {out.expression(['c->mode', 'c->v[0]', 'a[0]'])};",
        )
        does.append(
            f"static uint32_t {name}_do{number}(struct {name} *c, const uint32_t *a) "
            f"{{ (void)a; {effect} return c->v[0]; }}"
        )
        rows.append(
            f'  {{"{word}", {least}, {least + out.number(0, 1)}, {name}_do{number}}},'
        )
    listed, table = "\n".join(does), "\n".join(rows)
    spoken = ", ".join(f'"{word}"' for word in [*chosen, "quit", "help"])
    out.text.append(f"""
struct {name} {{ uint32_t v[{slots}], mode; }};
{listed}
static const struct {{ const char *word; unsigned char least, most; uint32_t (*f)(struct {name} \
*, const uint32_t *); }} {name}_table[] = {{
{table}
}};
{out.linkage()}uint32_t {name}_line(struct {name} *c, char *line) {{
  uint32_t args[4] = {{0}};
  unsigned count = 0;
  char *p = line;
  while (*p && *p != ' ') p++;
  if (*p) *p++ = 0;
  while (*p && count < 4) {{
    uint32_t v = 0;
    while (*p == ' ') p++;
    if (*p < '0' || *p > '9') return {out.number(900, 999)}u;
    while (*p >= '0' && *p <= '9') v = v * 10u + (uint32_t)(*p++ - '0');
    args[count++] = v;
  }}
  for (unsigned i = 0; i < sizeof {name}_table / sizeof {name}_table[0]; i++)
    if (!strcmp({name}_table[i].word, line)) {{
      if (count < {name}_table[i].least) return {out.number(700, 799)}u;
      if (count > {name}_table[i].most) return {out.number(800, 899)}u;
      return {name}_table[i].f(c, args);
    }}
  return {out.number(600, 699)}u;
}}
static uint32_t {name}_run(uint32_t seed) {{
  static const char *const words[] = {{{spoken}}};
  struct {name} c = {{{{0}}, {out.number(0, 5)}u}};
  uint32_t h = {out.word()};
  char line[64];
  for (int i = 0; i < {out.number(20, 70)}; i++) {{
    uint32_t draw = next(&seed);
    int n = snprintf(line, sizeof line, "%s", words[draw % {len(chosen) + 2}u]);
    for (uint32_t k = draw >> 8 & 3u; k && n < 40; k--) n += snprintf(line + n, \
sizeof line - (size_t)n, " %u", (unsigned)(next(&seed) & 1023u));
    h = mix(h, {name}_line(&c, line));
  }}
  for (int i = 0; i < {slots}; i++) h = mix(h, c.v[i]);
  return h;
}}""")
    out.runs.append(f"{name}_run")
