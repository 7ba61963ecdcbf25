"""Units (groups of functions of a generated program) of structs and pointers."""

from __future__ import annotations

from workers.corpus.generator.source import Source


def records(out: Source, name: str) -> None:
    """Write an array of structs: filled, sorted by a drawn key, searched, summed."""
    fields = out.number(2, 5)
    types = [out.pick("uint32_t", "uint16_t", "uint8_t") for _ in range(fields)]
    declared = " ".join(f"{kind} f{i};" for i, kind in enumerate(types))
    filled = " ".join(f"r[i].f{i} = ({kind})next(&seed);" for i, kind in enumerate(types))
    # A narrow one would become a signed int.
    keys = [f"(uint32_t)a->f{i}" for i in range(fields)]
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


def pool(out: Source, name: str) -> None:
    """Write a list in a fixed pool of nodes: insert, remove, walk."""
    size = out.number(12, 40)
    visit = out.expression(["p->key", "h", "depth"])
    out.text.append(f"""
struct {name} {{ uint32_t key; struct {name} *next; }};
static struct {name} {name}_nodes[{size}], *{name}_free, *{name}_list;
{out.linkage()}void {name}_reset(void) {{
  {name}_free = {name}_list = 0;
  for (int i = 0; i < {size}; i++) {{ {name}_nodes[i].next = {name}_free; \
{name}_free = &{name}_nodes[i]; }}
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


def table(out: Source, name: str) -> None:
    """Write a hash table with open addressing: put, get, delete with tombstones, counted probes."""
    size = out.pick("32", "64", "128")
    step = out.pick("1u", "2u * probe + 1u", "(key >> 16 | 1u)")
    value = out.expression(["key", "old", "n"])
    out.text.append(f"""
struct {name} {{ struct {{ uint32_t key, value; unsigned char state; }} slot[{size}]; \
uint32_t used, probes; }};
static struct {name} {name}_store;
{out.linkage()}int {name}_find(struct {name} *t, uint32_t key, int make) {{
  uint32_t at = (key * {out.word()} >> {out.number(3, 20)}) % {size}u;
  int grave = -1;
  for (uint32_t probe = 0; probe < {size}u; probe++) {{
    t->probes++;
    if (t->slot[at].state == 0) {{
      if (!make || t->used + {out.number(2, 8)}u > {size}u) return -1;
      if (grave >= 0) at = (uint32_t)grave;
      t->slot[at].key = key; t->slot[at].value = 0; t->slot[at].state = 1; t->used++;
      return (int)at;
    }}
    if (t->slot[at].state == 1 && t->slot[at].key == key) return (int)at;
    if (t->slot[at].state == 2 && grave < 0) grave = (int)at;
    at = (at + {step}) % {size}u;
  }}
  return -1;
}}
{out.linkage()}uint32_t {name}_put(struct {name} *t, uint32_t key, uint32_t n) {{
  int at = {name}_find(t, key, 1);
  if (at < 0) return 0;
  uint32_t old = t->slot[at].value;
  t->slot[at].value = {value};
  return old + 1u;
}}
{out.linkage()}uint32_t {name}_drop(struct {name} *t, uint32_t key) {{
  int at = {name}_find(t, key, 0);
  if (at < 0) return {out.number(0, 9)}u;
  t->slot[at].state = 2; t->used--;
  return t->slot[at].value;
}}
static uint32_t {name}_run(uint32_t seed) {{
  uint32_t h = {out.word()};
  memset(&{name}_store, 0, sizeof {name}_store);
  for (uint32_t n = 0; n < {out.number(60, 180)}u; n++) {{
    uint32_t key = next(&seed) % {out.number(20, 200)}u * {out.number(1, 77)}u;
    h = mix(h, n % {out.number(3, 6)}u ? {name}_put(&{name}_store, key, n) \
: {name}_drop(&{name}_store, key));
  }}
  for (int i = 0; i < {size}; i++) if ({name}_store.slot[i].state == 1) h = mix(h, \
{name}_store.slot[i].key ^ {name}_store.slot[i].value);
  return mix(h, {name}_store.probes);
}}""")
    out.runs.append(f"{name}_run")


def heap(out: Source, name: str) -> None:
    """Write a timer queue: a binary heap of structs by due time, events that schedule others."""
    size, kinds = out.number(16, 48), out.number(2, 5)
    cases = []
    for kind in range(kinds):
        effect = out.expression(["e.due", "e.data", "now"])
        delay, next_kind = out.number(1, 90), out.number(0, kinds - 1)
        push = f"{name}_push(q, now + {delay}u, {next_kind}u, e.data + 1u);"
        action = out.pick(push, "", "e.data >>= 1;")
        cases.append(f"    case {kind}u: h = mix(h, {effect}); {action} break;")
    listed = "\n".join(cases)
    out.text.append(f"""
struct {name}_event {{ uint32_t due; uint16_t data; uint8_t kind; }};
struct {name} {{ struct {name}_event at[{size}]; unsigned count; }};
{out.linkage()}int {name}_push(struct {name} *q, uint32_t due, uint32_t kind, uint32_t data) {{
  if (q->count == {size}) return 0;
  unsigned i = q->count++;
  while (i && q->at[(i - 1) / 2].due > due) {{ q->at[i] = q->at[(i - 1) / 2]; i = (i - 1) / 2; }}
  q->at[i].due = due; q->at[i].kind = (uint8_t)kind; q->at[i].data = (uint16_t)data;
  return 1;
}}
{out.linkage()}int {name}_pop(struct {name} *q, struct {name}_event *e) {{
  if (!q->count) return 0;
  *e = q->at[0];
  struct {name}_event last = q->at[--q->count];
  unsigned i = 0;
  for (unsigned child; (child = 2 * i + 1) < q->count; i = child) {{
    if (child + 1 < q->count && q->at[child + 1].due < q->at[child].due) child++;
    if (q->at[child].due >= last.due) break;
    q->at[i] = q->at[child];
  }}
  q->at[i] = last;
  return 1;
}}
static uint32_t {name}_drain(struct {name} *q, uint32_t h, int most) {{
  struct {name}_event e;
  while (most-- > 0 && {name}_pop(q, &e)) {{
    uint32_t now = e.due;
    switch (e.kind % {kinds}u) {{
{listed}
    }}
    h = mix(h, e.data);
  }}
  return h;
}}
static uint32_t {name}_run(uint32_t seed) {{
  struct {name} q;
  uint32_t h = {out.word()};
  memset(&q, 0, sizeof q);
  for (int i = 0; i < {out.number(20, 60)}; i++) {{
    uint32_t due = next(&seed) % {out.number(50, 5000)}u, kind = next(&seed);
    h = mix(h, (uint32_t){name}_push(&q, due, kind % {kinds}u, kind >> 8));
    if (i % {out.number(2, 7)} == 0) h = {name}_drain(&q, h, {out.number(1, 5)});
  }}
  return {name}_drain(&q, h, {out.number(60, 200)});
}}""")
    out.runs.append(f"{name}_run")
