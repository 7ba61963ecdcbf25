"""For every accepted flag a source, a target and the opposite flag, whose objects differ.

The opposite of a flag is the flag of the other polarity, or none.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

X86, ARM, THUMB, AARCH64, RISCV32 = (
    "x86_64-unknown-linux-gnu",
    "armv7-unknown-linux-gnueabihf",
    "thumbv7em-none-eabi",
    "aarch64-unknown-linux-gnu",
    "riscv32-unknown-elf",
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """`flags` make another object than `opposite` of the same source."""

    flags: tuple[str, ...]
    opposite: tuple[str, ...]
    source: str
    triple: str = X86
    cxx: bool = False
    level: str = "Oz"

    @property
    def name(self) -> str:
        """For the test's identifier."""
        return " ".join(self.flags)


_PLAIN = "int x; int f(int a) { return a + x; } int g(int a) { return a * x; }"
_FLOAT = "double f(double a, double b, double c) { return a / b + c * a + (a - a); }"
_NAN = "int f(double a) { return a != a; }"
_LOOP = "void f(int *a, const int *b) { for (int i = 0; i < 4; i++) a[i] = b[i] + 1; }"
_VECTOR = (
    "void f(int *restrict a, const int *restrict b, int n) "
    "{ for (int i = 0; i < n; i++) a[i] = b[i] * 3; }"
)
_ARRAY = "int h(char *); int f(void) { char b[40]; return h(b); }"
_CALL = "int g(int); int f(int a) { return g(a + 1); }"
_OVER = "int f(int a) { return a + 1 > a; }"
_POINTER = "int f(char *p, unsigned long n) { return p + n < p; }"
_SWITCH = (
    "int a(void); int b(void); int c(void); int d(void); int e(void); int f(int i) { switch (i) { "
    "case 0: return a(); case 1: return b() + 1; case 2: return c() + 2; "
    "case 3: return d() * 2; case 4: return e() - 5; "
    "case 5: return a() ^ 9; case 6: return b() | 77; } return 0; }"
)
_THROW = "int g(); struct R { ~R(); }; int f() { R r; return g(); }"
_MEMORY = (
    "void *malloc(unsigned long); int f(void) { return malloc(4) != 0; } "
    "int puts(const char *); int printf(const char *, ...);"
    + (' int g(void) { return printf("hello\\n"), 0; }')
)


def _pair(
    word: str,
    source: str,
    *,
    triple: str = X86,
    cxx: bool = False,
    with_: tuple[str, ...] = (),
    level: str = "Oz",
) -> list[Case]:
    """Both polarities of `-fword` or `-mword`, each against the other."""
    on, off = (*with_, f"-{word}"), (*with_, f"-{word[0]}no-{word[1:]}")
    return [
        Case(
            flags=flags,
            opposite=opposite,
            source=source,
            triple=triple,
            cxx=cxx,
            level=level,
        )
        for flags, opposite in ((on, off), (off, on))
    ]


def _alone(
    flag: str,
    source: str,
    *,
    triple: str = X86,
    cxx: bool = False,
    with_: tuple[str, ...] = (),
) -> list[Case]:
    return [
        Case(flags=(*with_, flag), opposite=with_, source=source, triple=triple, cxx=cxx)
    ]


def _macro(name: str) -> str:
    on, off = "int on(void) { return 1; }", "int off(void) { return 2; }"
    return f"#ifdef {name}\n{on}\n#else\n{off}\n#endif\n"


_FUSED = "float f(float a, float b, float c) { return a * b + c; }"
_APART = "float f(float a, float b, float c) { float p = a * b; return p + c; }"
# Features of x86 and the macros that say they are on; some imply others, which are then off.
_X86_FEATURES = {
    "mmx": "__MMX__", "sse": "__SSE__", "sse2": "__SSE2__", "sse3": "__SSE3__",
    "ssse3": "__SSSE3__", "sse4": "__SSE4_1__", "sse4.1": "__SSE4_1__", "sse4.2": "__SSE4_2__",
    "avx": "__AVX__", "avx2": "__AVX2__", "bmi": "__BMI__", "bmi2": "__BMI2__",
    "popcnt": "__POPCNT__", "lzcnt": "__LZCNT__", "fma": "__FMA__", "f16c": "__F16C__",
    "aes": "__AES__", "pclmul": "__PCLMUL__", "sha": "__SHA__", "crc32": "__CRC32__",
    "movbe": "__MOVBE__", "adx": "__ADX__",
}  # fmt: skip
_BEFORE: dict[str, tuple[str, ...]] = {}

CASES: list[Case] = [
    *_pair("fasynchronous-unwind-tables", _PLAIN),
    *_pair("fblocks", _macro("__BLOCKS__")),
    *_pair("fbuiltin", _MEMORY),
    *_pair("fchar8_t", "void f(decltype(u8'a')) {}", cxx=True, with_=("-std=c++20",)),
    *_pair("fcommon", "int x; int f(void) { return x; }"),
    *_pair("fdata-sections", _PLAIN),
    *_pair(
        "fdelete-null-pointer-checks", "int f(int *p) { int a = *p; return p ? a : 3; }"
    ),
    *_pair(
        "fexceptions",
        "void g(void); void d(int *); int f(void) { __attribute__((cleanup(d))) int x = 1; "
        "g(); return x; }",
    ),
    *_pair("ffast-math", _FLOAT),
    *_pair("ffinite-math-only", _NAN),
    *_alone("-ffreestanding", _MEMORY),
    *_pair("ffunction-sections", _PLAIN),
    *_pair("fgnu89-inline", "inline int f(int a) { return a + 1; }"),
    *_pair(
        "fhonor-infinities",
        "int f(double a) { return __builtin_isinf(a); }",
        with_=("-ffast-math",),
    ),
    *_pair("fhonor-nans", _NAN, with_=("-ffast-math",)),
    *_pair(
        "finline",
        "static inline int g(int a) { return a + 1; } int f(int a) { return g(a); }",
    ),
    *_pair(
        "finline-functions",
        "static int g(int a) { return a + 1; } int f(int a) { return g(a); }",
    ),
    *_pair("fjump-tables", _SWITCH),
    *_pair("fmath-errno", "double sqrt(double); double f(double a) { return sqrt(a); }"),
    *_pair(
        "fmerge-all-constants",
        "static const int a[3] = {1, 2, 3}; void g(const int *); "
        "void f(void) { const int b[3] = {1, 2, 3}; "
        "g(a); g(b); }",
    ),
    *_pair(
        "fms-extensions",
        "struct A { int a[3]; }; struct B { struct A; int b; }; "
        "int f(void) { return sizeof(struct B); }",
    ),
    *_pair("fomit-frame-pointer", _ARRAY),
    *_pair("foptimize-sibling-calls", _CALL),
    *_pair("fpic", "extern int x; int f(void) { return x; }"),
    *_pair("fPIC", "int x; int f(void) { return x; }"),
    *_pair("fpie", "extern int x; int f(void) { return x; }"),
    *_pair("fPIE", "extern int x; int f(void) { return x; }"),
    *_pair("fplt", _CALL.replace("int f", "int f")),
    *_pair(
        "freciprocal-math",
        "void f(float *a, float s) { a[0] /= s; a[1] /= s; a[2] /= s; }",
    ),
    *_pair("frounding-math", "double f(void) { return 1.0 / 3.0; }"),
    *_pair("frtti", "struct A { virtual int f(); }; int A::f() { return 1; }", cxx=True),
    *_pair(
        "fsemantic-interposition",
        "int g(int a) { return a + 1; } int f(int a) { return g(a) + g(a + 2); }",
        with_=("-fPIC",),
    ),
    *_pair("fshort-enums", "enum e { A, B }; int f(void) { return sizeof(enum e); }"),
    *_pair("fshort-wchar", "int f(void) { return sizeof(L'a'); }"),
    *_pair("fsigned-char", "int f(char *p) { return *p; }"),
    *_pair("fsigned-zeros", "double f(double a) { return a + 0.0; }"),
    *_pair(
        "fsized-deallocation",
        "struct S { int a[4]; ~S(); }; void f(S *p) { delete p; }",
        cxx=True,
    ),
    *_pair("fstack-protector", "void g(char *); void f(void) { char b[64]; g(b); }"),
    *_alone("-fstack-protector-all", _CALL),
    *_alone("-fstack-protector-strong", _ARRAY),
    *_pair("fstrict-aliasing", "int f(int *a, float *b) { *a = 1; *b = 2; return *a; }"),
    *_pair(
        "fstrict-enums",
        "enum E { A, B, C }; bool f(E *e) { return (int)*e < 5; }",
        cxx=True,
    ),
    *_pair("fstrict-overflow", _OVER),
    *_pair(
        "fthreadsafe-statics",
        "int g(); int f() { static int x = g(); return x; }",
        cxx=True,
    ),
    *_pair(
        "ftrapping-math",
        "double f(double a) { (void)(a / 0.0); return a + 1.0 + (1.0 / 3.0); } "
        "int g(double a) { return (int)a; }",
    ),
    *_pair("ftree-vectorize", _VECTOR, level="O2"),
    *_pair("funroll-loops", _LOOP, level="O2"),
    *_pair("funsafe-math-optimizations", _FLOAT),
    *_pair("funsigned-char", "int f(char *p) { return *p; }"),
    *_pair("funwind-tables", _PLAIN, with_=("-fno-asynchronous-unwind-tables",)),
    *_pair("fuse-cxa-atexit", "struct S { S(); ~S(); } s;", cxx=True),
    *_pair("fvectorize", _VECTOR, level="O2"),
    *_pair(
        "fvisibility-inlines-hidden",
        "inline int g(int a) { return a; } int (*f)(int) = g;",
        cxx=True,
    ),
    *_pair("fwrapv", _OVER),
    *_pair("fwrapv-pointer", _POINTER),
    *_pair("fzero-initialized-in-bss", "static int x[30]; int *f(void) { return x; }"),
    *_pair(
        "flax-vector-conversions",
        "typedef int v4 __attribute__((vector_size(16))); "
        "typedef short s8 __attribute__((vector_size(16)));"
        " v4 f(s8 a) { return a; }",
    ),
    *_pair("mred-zone", "int f(int n) { volatile int a[4]; a[n & 3] = n; return a[0]; }"),
    *_pair(
        "momit-leaf-frame-pointer",
        "int f(int n) { volatile int a[4]; a[n & 3] = n; return a[0]; }",
        with_=("-fno-omit-frame-pointer",),
    ),
    *_pair(
        "moutline",
        "void g(int, int, int); void f(void) { g(1, 2, 3); g(4, 5, 6); } "
        "void h(void) { g(1, 2, 3); g(4, 5, 6); } "
        "void i(void) { g(1, 2, 3); g(4, 5, 6); }",
        triple=AARCH64,
    ),
    *_pair(
        "munaligned-access",
        "struct __attribute__((packed)) s { char c; int i; }; int f(struct s *p) { return p->i; }",
        triple=ARM,
    ),
    *_pair(
        "mstrict-align",
        "struct __attribute__((packed)) s { char c; int i; }; int f(struct s *p) { return p->i; }",
        triple=AARCH64,
    ),
    *_pair(
        "msave-restore",
        "int g(int); int f(int a, int b) { return g(a) + g(b) + a * b; }",
        triple=RISCV32,
    ),
    *_alone("-mthumb", _PLAIN, triple=ARM),
    *_alone("-marm", _PLAIN, triple=ARM, with_=("-mthumb",)),
    *(
        case
        for word in _X86_FEATURES
        for case in _pair(
            f"m{word}", _macro(_X86_FEATURES[word]), with_=_BEFORE.get(word, ())
        )
    ),
    *_alone("-DON", _macro("ON")),
    *_alone("-DON=2", "int x = ON + 0;", with_=("-DON=1",)),
    *_alone("-UON", _macro("ON"), with_=("-DON",)),
    *_alone("-std=c11", "long f(void) { return __STDC_VERSION__; }"),
    *_alone("-std=c++14", "long f() { return __cplusplus; }", cxx=True),
    *_alone("-ansi", _macro("__STRICT_ANSI__")),
    *_alone("-pedantic-errors", "int f(void) { return ({ 1; }); }"),
    *_alone("-Werror=unused-variable", "int f(void) { int x; return 0; }"),
    *_alone("-pthread", _macro("_REENTRANT")),
    *_alone("-trigraphs", 'const char *f(void) { return "??("; }'),
    *_alone("-undef", _macro("__linux__")),
    *_alone("-nostdinc", "#include <stdio.h>\nFILE *x;"),
    *_alone("-nostdinc++", "#include <cstddef>\nstd::size_t x;", cxx=True),
    *_alone("-fno-builtin-printf", _MEMORY),
    *_alone("-fvisibility=hidden", _PLAIN),
    *_alone("-fvisibility=internal", _PLAIN),
    *_alone("-fvisibility=protected", _PLAIN),
    *_alone("-fvisibility=default", _PLAIN, with_=("-fvisibility=hidden",)),
    *_alone("-ffp-contract=off", _FUSED, triple=AARCH64),
    *_alone("-ffp-contract=on", _FUSED, triple=AARCH64, with_=("-ffp-contract=off",)),
    *_alone("-ffp-contract=fast", _APART, triple=AARCH64),
    *_alone("-ffp-contract=fast-honor-pragmas", _APART, triple=AARCH64),
    *_alone("-ffp-model=strict", "double f(double a) { return a + 1.0 + 1.0 / 3.0; }"),
    *_alone("-ffp-model=fast", _FLOAT),
    *_alone("-ffp-model=aggressive", _FLOAT),
    *_alone("-ffp-model=precise", _FLOAT, with_=("-ffast-math",)),
    *_alone(
        "-ftemplate-depth=5",
        "template <int N> struct F { enum { v = F<N - 1>::v + 1 }; }; "
        "template <> struct F<0> { enum { v = 0 "
        "}; }; int x = F<9>::v;",
        cxx=True,
    ),
    *_alone(
        "-fconstexpr-depth=5",
        "constexpr int f(int n) { return n ? f(n - 1) + 1 : 0; } int x = f(20); "
        "static_assert(f(20) == 20);",
        cxx=True,
    ),
    *_alone("-mtune=atom", (Path(__file__).parent / "drivers.c").read_text()),
    *_alone("-mfloat-abi=hard", "float f(float a) { return a + 1; }", triple=THUMB),
    *_alone("-mfloat-abi=softfp", "float f(float a) { return a + 1; }", triple=THUMB),
    *_alone(
        "-mfloat-abi=soft",
        "float f(float a) { return a + 1; }",
        triple=THUMB,
        with_=("-mfloat-abi=hard",),
    ),
    *_alone(
        "-mfpu=neon-vfpv4", "float f(float a, float b) { return a * b + 1; }", triple=ARM
    ),
    *_alone(
        "-mabi=apcs-gnu",
        "struct s { long long a; char b; }; int f(void) { return sizeof(struct s); }",
        triple=ARM,
    ),
]

# One of each pair of polarities.
FIRST = [
    case
    for number, case in enumerate(CASES)
    if case.opposite not in [other.flags for other in CASES[:number]]
]
