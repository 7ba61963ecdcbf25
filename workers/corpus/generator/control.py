"""Units (groups of functions of a generated program) of control flow: menus, machines."""

from __future__ import annotations

from workers.corpus.generator.source import Source


def handlers(out: Source, name: str) -> None:
    """Write a menu of commands over small handlers that change the registers of a machine.

    The menu is a switch or a table of function pointers.
    """
    count = out.number(5, 14)
    made, names = [], ["m->a", "m->b", "m->c", "x"]
    for i in range(count):
        lines = []
        for _ in range(out.number(1, 4)):
            target = out.pick("m->a", "m->b", "m->c")
            guard = (
                f"if ({out.expression(names, 1)} > {out.number(0, 5000)}u) "
                if out.likely(0.4)
                else ""
            )
            lines.append(
                f"{guard}{target} {out.pick('=', '^=', '+=')} {out.expression(names)};"
            )
        made.append(
            f"static void {name}_do{i}(struct {name} *m, uint32_t x) {{ {' '.join(lines)} }}"
        )
    all_of_them = "\n".join(made)
    if out.likely(0.5):
        listed = ", ".join(f"{name}_do{i}" for i in range(count))
        call = (
            f"static void (*const table[{count}])(struct {name} *, uint32_t) = {{{listed}}};\n"
            f"  table[op % {count}u](m, x);"
        )
    else:
        step = out.pick("1", "3", "16")
        cases = " ".join(
            f"case {i}u * {step}u: {name}_do{i}(m, x); break;" for i in range(count)
        )
        call = f"switch (op % {count}u * {step}u) {{ {cases} default: m->a++; }}"
    out.text.append(f"""
struct {name} {{ uint32_t a, b, c; }};
{all_of_them}
{out.linkage()}void {name}_step(struct {name} *m, uint32_t op, uint32_t x) {{
  {call}
}}
static uint32_t {name}_run(uint32_t seed) {{
  struct {name} m = {{{out.number(0, 9)}u, {out.number(0, 99)}u, {out.word()}}};
  for (int i = 0; i < {out.number(40, 150)}; i++) {{ uint32_t op = next(&seed); {name}_step(&m, \
op, op >> 8); }}
  return mix(mix(m.a, m.b), m.c);
}}""")
    out.runs.append(f"{name}_run")


def machine(out: Source, name: str) -> None:
    """Write an interpreter of byte code with a stack, bounds checked, ended by a step count."""
    depth, length = out.number(8, 24), out.number(40, 120)
    operations = [
        f"if (m->top < {depth}) m->stack[m->top++] = code[m->pc % {length}u]; m->pc++;",
        "if (m->top) m->top--;",
        f"if (m->top && m->top < {depth}) {{ m->stack[m->top] = m->stack[m->top - 1]; m->top++; }}",
        "if (m->top > 1) { uint32_t v = m->stack[m->top - 1]; m->stack[m->top - 1] = "
        "m->stack[m->top - 2]; m->stack[m->top - 2] = v; }",
        f"if (m->top && m->stack[--m->top]) m->pc = m->pc + code[m->pc % {length}u]; else m->pc++;",
        f"m->acc = mix(m->acc, m->top ? m->stack[m->top - 1] : {out.number(0, 99)}u);",
        f"if (m->top) m->stack[m->top - 1] = {out.expression(['m->stack[m->top - 1]', 'm->acc'])};",
    ]
    for _ in range(out.number(2, 7)):
        formed = out.expression(["a", "b"])
        operations.append(
            "if (m->top > 1) "
            "{ uint32_t b = m->stack[--m->top], a = m->stack[m->top - 1]; "
            f"m->stack[m->top - 1] = {formed}; (void)a; (void)b; }}"
        )
    cases = "\n".join(
        f"    case {number}u: {does} break;" for number, does in enumerate(operations)
    )
    out.text.append(f"""
struct {name} {{ uint32_t stack[{depth}], acc, pc; unsigned top; }};
{out.linkage()}uint32_t {name}_execute(struct {name} *m, const uint8_t *code, unsigned steps) {{
  while (steps--) {{
    uint8_t op = code[m->pc++ % {length}u];
    switch (op % {len(operations) + out.number(0, 3)}u) {{
{cases}
    default: m->acc += op; break;
    }}
  }}
  return m->acc;
}}
static uint32_t {name}_run(uint32_t seed) {{
  uint8_t code[{length}];
  struct {name} m;
  memset(&m, 0, sizeof m);
  for (unsigned i = 0; i < sizeof code; i++) code[i] = (uint8_t)next(&seed);
  uint32_t h = {name}_execute(&m, code, {out.number(100, 600)});
  for (unsigned i = 0; i < m.top; i++) h = mix(h, m.stack[i]);
  return h;
}}""")
    out.runs.append(f"{name}_run")
