"""Units (groups of functions of a generated program) of bits and numbers."""

from __future__ import annotations

from workers.corpus.generator.source import Source


def checksum(out: Source, name: str) -> None:
    """Write a hash over bytes with a table, made at run time or constant."""
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


def codec(out: Source, name: str) -> None:
    """Write a codec that packs a message into bytes and reads it with checked lengths."""
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
        terms = " | ".join(
            f"(uint32_t)p[n + {k}] << {8 * (size - 1 - k if big else k)}"
            for k in range(size)
        )
        get.append(
            f"  if (n + {size} > length) return {out.number(-9, -1)};\n  m->{field_} = "
            f"(uint{bits}_t)({terms});\n  n += {size};"
        )
        if out.likely(0.3):
            get.append(
                f"  if (m->{field_} == {out.number(0, 250)}u) return {out.number(-20, -10)};"
            )
    filled = " ".join(
        f"m.{field_} = (uint{bits}_t)next(&seed);" for field_, bits in fields
    )
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


def filter_(out: Source, name: str) -> None:
    """Write a fixed-point filter with constant taps, saturation and a peak."""
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
    for (int k = 0; k < {len(taps)}; k++) if (i >= k) \
sum += (uint32_t)in[i - k] * {name}_taps[k] >> {out.number(1, 4)};
    out[i] = (uint16_t){name}_clamp(sum >> {shift});
  }}
}}
static uint32_t {name}_run(uint32_t seed) {{
  uint16_t in[{out.number(24, 64)}], out[sizeof in / sizeof in[0]];
  uint32_t h = {out.word()}, peak = 0;
  for (unsigned i = 0; i < sizeof in / sizeof in[0]; i++) in[i] = (uint16_t)next(&seed);
  {name}_filter(in, out, (int)(sizeof in / sizeof in[0]));
  for (unsigned i = 0; i < sizeof in / sizeof in[0]; i++) {{ if (out[i] > peak) peak = out[i]; \
h = mix(h, out[i]); }}
  return mix(h, peak);
}}""")
    out.runs.append(f"{name}_run")


def cipher(out: Source, name: str) -> None:
    """Write a small block cipher whose decryption gives the text back.

    Rounds of add, rotate, xor and substitution are drawn.
    """
    box = out.rng.permutation(16)
    inverse = [0] * 16
    for place, value in enumerate(box):
        inverse[int(value)] = place
    forward, back = [], []
    for _ in range(out.number(2, 5)):
        a, b = ("x", "y") if out.likely(0.5) else ("y", "x")
        turn, word = out.number(1, 31), out.word()
        kind = out.number(0, 3)
        if kind == 0:
            forward.append(f"{a} += {b} ^ k;")
            back.append(f"{a} -= {b} ^ k;")
        elif kind == 1:
            forward.append(f"{a} = {name}_turn({a}, {turn}) ^ {b};")
            back.append(f"{a} = {name}_turn({a} ^ {b}, {32 - turn});")
        elif kind == 2:
            forward.append(f"{a} = {name}_box({a}, {name}_s);")
            back.append(f"{a} = {name}_box({a}, {name}_i);")
        else:
            forward.append(f"{a} ^= ({b} + {word}) * (k | 1u);")
            back.append(f"{a} ^= ({b} + {word}) * (k | 1u);")
    forwards, backs = " ".join(forward), " ".join(reversed(back))
    rounds = out.number(4, 16)
    out.text.append(f"""
static const uint8_t {name}_s[16] = {{{", ".join(map(str, box))}}};
static const uint8_t {name}_i[16] = {{{", ".join(map(str, inverse))}}};
static uint32_t {name}_turn(uint32_t v, unsigned n) {{ return v << n | v >> (32u - n); }}
static uint32_t {name}_box(uint32_t v, const uint8_t box[16]) {{
  uint32_t made = 0;
  for (unsigned i = 0; i < 32; i += 4) made |= (uint32_t)box[v >> i & 15u] << i;
  return made;
}}
{out.linkage()}void {name}_schedule(uint32_t key[{rounds}], uint32_t seed) {{
  for (unsigned r = 0; r < {rounds}; r++) {{ seed = {out.expression(["seed", "r"])} \
+ {out.word()}; key[r] = {name}_turn(seed, 1u + r % 31u); }}
}}
{out.linkage()}void {name}_encrypt(uint32_t b[2], const uint32_t key[{rounds}]) {{
  uint32_t x = b[0], y = b[1];
  for (unsigned r = 0; r < {rounds}; r++) {{ uint32_t k = key[r]; (void)k; {forwards} }}
  b[0] = x; b[1] = y;
}}
{out.linkage()}void {name}_decrypt(uint32_t b[2], const uint32_t key[{rounds}]) {{
  uint32_t x = b[0], y = b[1];
  for (unsigned r = {rounds}; r-- > 0;) {{ uint32_t k = key[r]; (void)k; {backs} }}
  b[0] = x; b[1] = y;
}}
static uint32_t {name}_run(uint32_t seed) {{
  uint32_t key[{rounds}], b[2], h = {out.word()}, before = 0;
  {name}_schedule(key, seed);
  for (int i = 0; i < {out.number(5, 30)}; i++) {{
    uint32_t first = next(&seed), second = next(&seed);
    b[0] = first ^ before; b[1] = second;
    {name}_encrypt(b, key);
    before = b[1];
    h = mix(mix(h, b[0]), b[1]);
    {name}_decrypt(b, key);
    if (b[1] != second) return 0xbadu;
  }}
  return h;
}}""")
    out.runs.append(f"{name}_run")


def grid(out: Source, name: str) -> None:
    """Write a board of cells: neighbours counted, a drawn rule applied, components filled.

    The fill has a stack of its own.
    """
    rows, columns, most = out.number(5, 14), out.number(5, 14), out.number(2, 5)
    rule = out.expression(["n", "was", "x"])
    out.text.append(f"""
static uint8_t {name}_cells[2][{rows}][{columns}];
static unsigned {name}_around(const uint8_t c[{rows}][{columns}], int y, int x) {{
  unsigned n = 0;
  for (int dy = -1; dy <= 1; dy++)
    for (int dx = -1; dx <= 1; dx++) {{
      int v = (y + dy + {rows}) % {rows}, u = (x + dx + {columns}) % {columns};
      if (dy || dx) n += c[v][u];
    }}
  return n;
}}
{out.linkage()}void {name}_step(uint8_t to[{rows}][{columns}], \
const uint8_t from[{rows}][{columns}]) {{
  for (int y = 0; y < {rows}; y++)
    for (int i = 0; i < {columns}; i++) {{
      uint32_t n = {name}_around(from, y, i), was = from[y][i], x = (uint32_t)i;
      (void)x; (void)was;
      to[y][i] = (uint8_t)(({rule}) % {most}u);
    }}
}}
{out.linkage()}unsigned {name}_fill(uint8_t c[{rows}][{columns}], int y, int x, uint8_t to) {{
  uint8_t from = c[y][x];
  short stack[{4 * rows * columns + 4}];
  unsigned size = 0, filled = 0;
  if (from == to) return 0;
  stack[size++] = (short)(y * {columns} + x);
  while (size) {{
    int at = stack[--size], v = at / {columns}, u = at % {columns};
    if (c[v][u] != from) continue;
    c[v][u] = to; filled++;
    if (v) stack[size++] = (short)(at - {columns});
    if (v + 1 < {rows}) stack[size++] = (short)(at + {columns});
    if (u) stack[size++] = (short)(at - 1);
    if (u + 1 < {columns}) stack[size++] = (short)(at + 1);
  }}
  return filled;
}}
static uint32_t {name}_run(uint32_t seed) {{
  uint32_t h = {out.word()};
  for (int y = 0; y < {rows}; y++) for (int x = 0; x < {columns}; x++) \
{name}_cells[0][y][x] = (uint8_t)(next(&seed) % {most}u);
  for (int i = 0; i < {out.number(2, 8)}; i++) {{
    {name}_step({name}_cells[(i + 1) & 1], (const uint8_t(*)[{columns}]){name}_cells[i & 1]);
    for (int y = 0; y < {rows}; y++) for (int x = 0; x < {columns}; x++) h = mix(h, \
{name}_cells[(i + 1) & 1][y][x]);
  }}
  for (int i = 0; i < {out.number(1, 5)}; i++) {{
    uint32_t y = next(&seed) % {rows}u, x = next(&seed) % {columns}u;
    h = mix(h, {name}_fill({name}_cells[0], (int)y, (int)x, {most}));
  }}
  return h;
}}""")
    out.runs.append(f"{name}_run")
