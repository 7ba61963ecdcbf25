"""Module compiled from C with switches, structs, indirect calls and wide integers."""

from __future__ import annotations

from pathlib import Path

from solvers.llvm.frontend import compile_to_bitcode
from solvers.llvm.types import Target

SWITCHES = r"""
struct pair { int a; struct pair *next; double weights[3]; };
int kind(int c) {
  switch (c) { case 1: return 7; case 2: return 9; case 40: return c * 3; default: return -c; }
}
double walk(struct pair *p) {
  double s = 0;
  for (; p; p = p->next) s += p->weights[p->a % 3] * (float)p->a;
  return s;
}
int twice(int (*f)(int), int x) { return f(f(x)) + kind(x); }
unsigned long long wide(unsigned __int128 v) {
  return (unsigned long long)(v >> 64) ^ (unsigned long long)v;
}
"""


def written_in_c(folder: Path) -> bytes:
    """Compile the module in `folder`."""
    (folder / "switches.c").write_text(SWITCHES)
    return compile_to_bitcode([folder / "switches.c"], workdir=folder, target=Target())[0]
