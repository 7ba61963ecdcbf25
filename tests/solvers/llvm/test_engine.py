"""Measurements of the engine, and outcomes of candidates."""

import random
import time

import pytest

from solvers.llvm.engine import BadTarget, CandidateFailed, Engine
from solvers.llvm.types import (
    BadModule,
    EngineLimits,
    Metric,
    Outcome,
    Recipe,
    Target,
)
from tests.solvers.llvm.modules import (
    ASSEMBLY,
    CONSTRUCTOR,
    OZ,
    PLAIN,
    PROGRAM,
    SLOW,
    UNWOUND,
)
from tests.solvers.llvm.processes import children_of


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory):
    with Engine(PROGRAM, workdir=tmp_path_factory.mktemp("engine")) as made:
        yield made


def test_info(engine: Engine) -> None:
    info = engine.info
    assert info.functions == ("public", "helper", "caller")
    assert info.exported == ("caller", "public", "table")
    assert info.declared == ("strlen",)
    assert info.ir_instructions == sum(info.function_instructions.values())
    assert info.ir_instructions == sum(
        line.startswith(b"  ") for line in PROGRAM.splitlines()
    )
    assert not info.inline_asm
    assert not info.constructors


def test_oz_is_smaller_in_every_metric(engine: Engine) -> None:
    none, oz = engine.measure([Recipe(pipeline="default<O0>"), OZ])
    assert none.sizes
    assert oz.sizes
    for metric in set(Metric) - {Metric.IMAGE_BYTES}:
        assert 0 < oz.sizes.of(metric) < none.sizes.of(metric), metric
    assert oz.sizes.code_bytes == oz.sizes.sections[".text"]
    assert sum(oz.sizes.functions.values()) <= oz.sizes.code_bytes
    assert set(oz.sizes.functions) >= {"public", "caller"}


@pytest.mark.parametrize("level", ["O1", "O2", "O3", "Os", "Oz"])
def test_the_printed_pipeline_is_the_default(engine: Engine, level: str) -> None:
    text = engine.default_pipeline(level)
    named, printed = engine.measure(
        [Recipe(pipeline=f"default<{level}>"), Recipe(pipeline=text)]
    )
    assert named.ir_sha256 == printed.ir_sha256 != ""
    assert named.sizes == printed.sizes
    assert "cgscc(" in text


def test_two_engines_make_the_same_bytes(engine: Engine) -> None:
    recipe = Recipe(
        pipeline=engine.default_pipeline("Oz"),
        function_tails=(("public", "gvn,instcombine<no-verify-fixpoint>"),),
        attributes=(("helper", "noinline", True),),
    )
    first = engine.build(recipe)
    with Engine(PROGRAM) as other:
        second = other.build(recipe)
    assert first.object == second.object
    assert first.bitcode == second.bitcode
    assert (
        first.measured.ir_sha256
        == second.measured.ir_sha256
        == engine.measure([recipe])[0].ir_sha256
    )


def test_value_names_do_not_change_the_digest(engine: Engine) -> None:
    with Engine(PROGRAM.replace(b"%more", b"%less")) as other:
        assert other.measure([OZ])[0].ir_sha256 == engine.measure([OZ])[0].ir_sha256


def test_a_built_module_measures_the_same(engine: Engine) -> None:
    built = engine.build(OZ)
    with Engine(built.bitcode) as from_bitcode, Engine(built.text.encode()) as from_text:
        assert built.measured.sizes
        assert (
            from_bitcode.info.ir_instructions
            == from_text.info.ir_instructions
            == built.measured.sizes.ir_instructions
        )
        again = from_bitcode.measure([Recipe(pipeline="verify")])[0]
        assert again.sizes == built.measured.sizes


def test_attributes_come_before_the_pipeline_and_tails_after(engine: Engine) -> None:
    noinline = Recipe(pipeline="default<Oz>", attributes=(("helper", "noinline", True),))
    inline = Recipe(
        pipeline="default<Oz>", attributes=(("helper", "alwaysinline", True),)
    )
    tail = Recipe(pipeline="verify", function_tails=(("public", "sroa"),))
    recipes = [Recipe(pipeline="verify"), noinline, inline, tail]
    plain, not_inlined, inlined, tailed = engine.measure(recipes)
    assert not_inlined.sizes
    assert inlined.sizes
    assert tailed.sizes
    assert plain.sizes
    assert "helper" in not_inlined.sizes.functions
    assert "helper" not in inlined.sizes.functions
    assert tailed.sizes.functions["public"] < plain.sizes.functions["public"]
    assert tailed.sizes.functions["caller"] == plain.sizes.functions["caller"]


def test_late_attributes_change_code_generation_only() -> None:
    with Engine(UNWOUND) as engine:
        plain, late = engine.measure(
            [
                Recipe(pipeline="verify"),
                Recipe(
                    pipeline="verify",
                    late_attributes=(
                        ("calls", "minsize", False),
                        ("gone", "minsize", False),
                    ),
                ),
            ]
        )
    assert plain.sizes
    assert late.sizes
    assert late.sizes.ir_instructions == plain.sizes.ir_instructions
    assert late.sizes.functions["small"] == plain.sizes.functions["small"]
    assert late.sizes.functions["calls"] > plain.sizes.functions["calls"]
    assert late.sizes.unwind["calls"] < plain.sizes.unwind["calls"]
    assert late.sizes.loadable_bytes < plain.sizes.loadable_bytes
    assert late.program != plain.program
    assert "gone: not defined after the pipeline" in late.detail


def test_an_attribute_can_be_removed() -> None:
    with Engine(PLAIN.replace(b"(i32 %a)", b"(i32 %a) noinline")) as engine:
        built = engine.build(
            Recipe(pipeline="verify", attributes=(("f", "noinline", False),))
        )
    assert "noinline" not in built.text


def test_a_tail_of_a_removed_function_is_reported(engine: Engine) -> None:
    recipe = Recipe(
        pipeline="default<Oz>",
        attributes=(("helper", "alwaysinline", True),),
        function_tails=(("helper", "dce"),),
    )
    (measured,) = engine.measure([recipe])
    assert measured.outcome is Outcome.OK
    assert "helper" in measured.detail


@pytest.mark.parametrize(
    ("recipe", "outcome", "words"),
    [
        (
            Recipe(pipeline="no-such-pass"),
            Outcome.REFUSED,
            "unknown pass name 'no-such-pass'",
        ),
        (Recipe(pipeline="function(gvn"), Outcome.REFUSED, "invalid pipeline"),
        (
            Recipe(pipeline="default<Oz>", options=("-load=/tmp/x.so",)),
            Outcome.REFUSED,
            "got '-load=/tmp/x.so'",
        ),
        (
            Recipe(
                pipeline="default<Oz>",
                options=("-inline-threshold=0", "-inline-threshold=15"),
            ),
            Outcome.REFUSED,
            "'-inline-threshold' at most once, got it twice",
        ),
        (Recipe(pipeline="internalize"), Outcome.REFUSED, "lost caller, public, table"),
        (
            Recipe(pipeline="memprof-use<profile-filename=/etc/passwd>"),
            Outcome.REFUSED,
            "'/'",
        ),
        (Recipe(pipeline="function(view-cfg)"), Outcome.REFUSED, "view-cfg"),
        (Recipe(pipeline="function(select-optimize)"), Outcome.CRASHED, "Assertion `PSI"),
        (Recipe(pipeline="trigger-crash-module"), Outcome.CRASHED, "SIG"),
        (
            Recipe(pipeline="verify", function_tails=(("public", "inline"),)),
            Outcome.REFUSED,
            "tail of public",
        ),
        (
            Recipe(pipeline="verify", attributes=(("helper", "readnone", True),)),
            Outcome.REFUSED,
            "readnone",
        ),
        (
            Recipe(pipeline="verify", attributes=(("absent", "cold", True),)),
            Outcome.REFUSED,
            "absent",
        ),
        (
            Recipe(
                pipeline="verify",
                attributes=(
                    ("helper", "noinline", True),
                    ("helper", "alwaysinline", True),
                ),
            ),
            Outcome.REFUSED,
            "incompatible",
        ),
    ],
)
def test_bad_candidates_are_reported_and_the_next_ones_run(
    engine: Engine, recipe: Recipe, outcome: Outcome, words: str
) -> None:
    pid = engine.pid
    bad, good = engine.measure([recipe, OZ])
    if outcome is Outcome.CRASHED and "Assertion" in words and bad.outcome is Outcome.OK:
        pytest.skip("this LLVM is built without assertions")
    assert bad.outcome is outcome
    assert words in bad.detail
    assert bad.sizes is None
    assert good.outcome is Outcome.OK
    assert engine.pid == pid
    with pytest.raises(CandidateFailed) as failed:
        engine.build(recipe)
    assert failed.value.measured.outcome is outcome


def test_a_call_can_have_a_shorter_limit() -> None:
    with Engine(PROGRAM, limits=EngineLimits(candidate_s=20.0)) as engine:
        slow, good = engine.measure([SLOW, OZ], seconds=0.25)
        assert slow.outcome is Outcome.TIMEOUT
        assert slow.seconds < 20.0
        assert good.outcome is Outcome.OK


def test_a_slow_candidate_ends_at_the_time_limit() -> None:
    with Engine(PROGRAM, limits=EngineLimits(candidate_s=0.25)) as engine:
        slow, good = engine.measure([SLOW, OZ])
        assert slow.outcome is Outcome.TIMEOUT
        assert slow.seconds > 0.2
        assert good.outcome is Outcome.OK
        assert engine.pid
        assert children_of(engine.pid) == []


def test_a_candidate_ends_at_the_memory_limit() -> None:
    with Engine(PROGRAM, limits=EngineLimits(memory_bytes=32 << 20)) as engine:
        greedy, good = engine.measure([SLOW, OZ])
    assert greedy.outcome is Outcome.MEMORY
    assert good.outcome is Outcome.OK


def test_stopping_kills_candidates_and_returns_earlier_results(engine: Engine) -> None:
    started = time.monotonic()
    results = engine.measure(
        [OZ, SLOW, OZ], stopped=lambda: time.monotonic() - started > 0.3
    )
    assert [measured.recipe for measured in results] == [OZ]
    assert engine.pid
    assert children_of(engine.pid) == []
    assert engine.measure([OZ])[0].outcome is Outcome.OK


def test_two_candidates_side_by_side_give_the_same_results(engine: Engine) -> None:
    recipes = [
        OZ,
        Recipe(pipeline="no-such-pass"),
        Recipe(pipeline="function(sroa)"),
        Recipe(pipeline="default<O2>"),
        OZ,
    ]
    one, two = engine.measure(recipes), engine.measure(recipes, jobs=2)
    assert [m.recipe for m in two] == recipes
    assert [(m.outcome, m.sizes, m.ir_sha256) for m in one] == [
        (m.outcome, m.sizes, m.ir_sha256) for m in two
    ]


def test_without_emission_only_ir_is_counted(engine: Engine) -> None:
    (quick,) = engine.measure([OZ], emit=False)
    (full,) = engine.measure([OZ])
    assert quick.sizes
    assert full.sizes
    assert quick.sizes.ir_instructions == full.sizes.ir_instructions
    assert quick.ir_sha256 == full.ir_sha256
    assert quick.sizes.loadable_bytes == 0


def test_trajectory_counts_every_prefix_and_ends_at_a_crash(engine: Engine) -> None:
    passes = ["function(sroa)", "function(instcombine<no-verify-fixpoint>)", "globaldce"]
    counts = engine.trajectory(passes)
    for length in range(len(passes) + 1):
        prefix = Recipe(pipeline=",".join(passes[:length]) or "verify")
        sizes = engine.measure([prefix], emit=False)[0].sizes
        assert sizes
        assert counts[length] == sizes.ir_instructions
    assert engine.trajectory([passes[0], "trigger-crash-module", passes[1]]) == counts[:2]
    bytes_ = engine.trajectory(passes[:1], sizes=True)
    sizes = engine.measure([Recipe(pipeline=passes[0])])[0].sizes
    assert sizes
    assert bytes_[1] == sizes.loadable_bytes < bytes_[0]


def test_constructors_go_to_init_array() -> None:
    with Engine(CONSTRUCTOR) as engine:
        assert engine.info.constructors
        built = engine.build(OZ)
    assert built.measured.sizes
    assert built.measured.sizes.sections[".init_array"] == 8
    assert ".ctors" not in built.measured.sizes.sections


def test_inline_assembly_is_detected() -> None:
    with Engine(ASSEMBLY) as engine:
        assert engine.info.inline_asm
        assert engine.measure([OZ])[0].outcome is Outcome.OK
    with Engine(b'module asm ".globl x"\n' + PLAIN) as engine:
        assert engine.info.inline_asm


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (b"", "expected LLVM bitcode or textual IR, got nothing"),
        (b"hello", "expected top-level entity"),
        (b"BC\xc0\xde" + bytes(64), "cannot read the module"),
        (b"define i32 @f() { ret void }", "value doesn't match function result type"),
        (
            b"define i32 @f() {\n%a = add i32 %b, 1\n%b = add i32 %a, 1\nret i32 %a }",
            "does not dominate all uses",
        ),
        (b'target triple = "armv7-linux-gnueabihf"\n' + PLAIN, "armv7-linux-gnueabihf"),
        (b'target datalayout = "e-p:32:32"\n' + PLAIN, "data layout is 'e-p:32:32'"),
    ],
)
def test_bad_modules_are_refused_with_llvms_message(module: bytes, words: str) -> None:
    with pytest.raises(BadModule, match="(?s)" + words.replace("(", r"\(")):
        Engine(module)


def test_modules_beyond_a_limit_are_refused() -> None:
    with pytest.raises(BadModule, match="at most 80 bytes"):
        Engine(PROGRAM, limits=EngineLimits(module_bytes=10))
    with pytest.raises(BadModule, match="at most 50 instructions, got 51"):
        Engine(PROGRAM, limits=EngineLimits(instructions=50))


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Target(triple="foo-bar"), "No available targets"),
        (Target(triple="x86_64 linux"), "got 'x86_64 linux'"),
        (Target(triple="x86_64-apple-darwin"), "a target with ELF objects"),
        (Target(cpu="pentium9"), "'pentium9' is not a recognized processor"),
        (Target(features="+sse9"), r"'\+sse9' is not a recognized feature"),
        (Target(features="sse2"), "got 'sse2'"),
    ],
)
def test_bad_targets_are_refused(target: Target, words: str) -> None:
    with pytest.raises(BadTarget, match=words):
        Engine(PLAIN, target=target)


def test_a_triple_with_versions_is_the_same_target() -> None:
    versions = PROGRAM.replace(
        b"x86_64-unknown-linux-gnu", b"x86_64-pc-linux5.10.0-gnu2.31.0"
    )
    with Engine(versions) as engine:
        assert engine.info.triple == "x86_64-pc-linux5.10.0-gnu2.31.0"


def test_other_targets() -> None:
    with Engine(
        PLAIN, target=Target(triple="armv7-none-eabi", cpu="cortex-m4")
    ) as engine:
        sizes = engine.measure([OZ])[0].sizes
    assert sizes
    assert sizes.functions["f"] == sizes.code_bytes == 4


def test_position_independence_changes_bytes() -> None:
    module = PROGRAM.replace(b"@table = global", b"@table = dso_local global")
    with Engine(module) as pic, Engine(module, target=Target(pic=False)) as static:
        assert pic.build(OZ).object != static.build(OZ).object


def test_damaged_bitcode_is_refused_or_read(engine: Engine) -> None:
    bitcode, rng, refused = engine.build(OZ).bitcode, random.Random(5), 0
    for _ in range(12):
        damaged = bytearray(bitcode)
        for _ in range(rng.choice([1, 4, 40])):
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        try:
            with Engine(bytes(damaged), limits=EngineLimits(candidate_s=2.0)) as other:
                other.measure([OZ])
        except BadModule:
            refused += 1
    assert refused >= 6


def test_check_returns_llvms_objections(engine: Engine) -> None:
    assert engine.check(["function(gvn)", "bogus", "default<Oz>"]) == [
        None,
        "unknown pass name 'bogus'",
        None,
    ]


def test_features_and_graph_come_from_the_server(engine: Engine) -> None:
    assert engine.features().autophase[51] == engine.info.ir_instructions
    assert len(engine.graph().nodes) > engine.info.ir_instructions
