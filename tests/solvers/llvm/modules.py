"""Small modules and recipes for tests.

PROGRAM is the shortened output of `clang -Oz -Xclang -disable-llvm-passes` for a few lines of C.
"""

from solvers.llvm.types import Recipe

OZ = Recipe(pipeline="default<Oz>")
# Takes far longer on PROGRAM than the limits that tests set.
SLOW = Recipe(pipeline=f"function({','.join(['sroa,gvn'] * 110_000)})")

PROGRAM = b"""
target triple = "x86_64-unknown-linux-gnu"

@table = global [16 x i32] zeroinitializer, align 16

define i32 @public(ptr %p, i32 %n) #0 {
entry:
  %h = alloca i32, align 4
  %i = alloca i32, align 4
  store i32 7, ptr %h, align 4
  store i32 0, ptr %i, align 4
  br label %head

head:
  %i0 = load i32, ptr %i, align 4
  %more = icmp slt i32 %i0, %n
  br i1 %more, label %body, label %done

body:
  %at = sext i32 %i0 to i64
  %byte = getelementptr inbounds i8, ptr %p, i64 %at
  %b = load i8, ptr %byte, align 1
  %w = zext i8 %b to i32
  %h0 = load i32, ptr %h, align 4
  %h1 = mul nsw i32 %h0, 31
  %h2 = add nsw i32 %h1, %w
  store i32 %h2, ptr %h, align 4
  %low = and i32 %h2, 15
  %sum = call i32 @helper(i32 %low)
  %h3 = xor i32 %h2, %sum
  store i32 %h3, ptr %h, align 4
  %where = zext i32 %low to i64
  %slot = getelementptr inbounds [16 x i32], ptr @table, i64 0, i64 %where
  store i32 %h3, ptr %slot, align 4
  %i1 = add nsw i32 %i0, 1
  store i32 %i1, ptr %i, align 4
  br label %head

done:
  %r = load i32, ptr %h, align 4
  ret i32 %r
}

define internal i32 @helper(i32 %x) #0 {
entry:
  %s = alloca i32, align 4
  %i = alloca i32, align 4
  store i32 0, ptr %s, align 4
  store i32 0, ptr %i, align 4
  br label %head

head:
  %i0 = load i32, ptr %i, align 4
  %more = icmp slt i32 %i0, %x
  br i1 %more, label %body, label %done

body:
  %q = mul nsw i32 %i0, %i0
  %s0 = load i32, ptr %s, align 4
  %t = xor i32 %s0, %q
  store i32 %t, ptr %s, align 4
  %i1 = add nsw i32 %i0, 1
  store i32 %i1, ptr %i, align 4
  br label %head

done:
  %r = load i32, ptr %s, align 4
  ret i32 %r
}

define i32 @caller(ptr %p) #0 {
  %n = call i64 @strlen(ptr %p)
  %m = trunc i64 %n to i32
  %a = call i32 @public(ptr %p, i32 %m)
  %b = call i32 @helper(i32 %m)
  %c = add i32 %a, %b
  ret i32 %c
}

declare i64 @strlen(ptr)

attributes #0 = { minsize nounwind optsize uwtable }
"""

CONSTRUCTOR = b"""
target triple = "x86_64-unknown-linux-gnu"
@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [
  { i32, ptr, ptr } { i32 65535, ptr @start, ptr null }
]
@seed = global i32 0
declare i32 @getpid()
define internal void @start() {
  %pid = call i32 @getpid()
  store i32 %pid, ptr @seed
  ret void
}
define i32 @read_seed() {
  %v = load i32, ptr @seed
  ret i32 %v
}
"""

ASSEMBLY = b"""
define i32 @f() {
  %v = call i32 asm "movl $$3, $0", "=r"()
  ret i32 %v
}
"""

PLAIN = b"define i32 @f(i32 %a) {\n  %b = add i32 %a, 3\n  ret i32 %b\n}\n"

# Two functions with entries in .eh_frame. With minsize, `calls` pushes and pops the constants that
# it passes, and its entry describes each push: 12 bytes less code, but more than that of unwinding.
UNWOUND = b"""
target triple = "x86_64-unknown-linux-gnu"

declare void @sink(i32, i32, i32, i32, i32, i32)

define void @calls() #0 {
  call void @sink(i32 1, i32 2, i32 3, i32 4, i32 5, i32 6)
  call void @sink(i32 7, i32 8, i32 9, i32 10, i32 11, i32 12)
  ret void
}

define i32 @small(i32 %a) #0 {
  %b = add i32 %a, 1
  ret i32 %b
}

attributes #0 = { minsize optsize uwtable "frame-pointer"="none" }
"""
