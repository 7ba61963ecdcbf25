"""Small module with two functions, variables in memory and a loop."""

LOOP = b"""
target triple = "x86_64-unknown-linux-gnu"
define i32 @sum(ptr %a, i32 %n) minsize optsize {
entry:
  %s = alloca i32
  %i = alloca i32
  store i32 0, ptr %s
  store i32 0, ptr %i
  br label %head
head:
  %at = load i32, ptr %i
  %more = icmp slt i32 %at, %n
  br i1 %more, label %body, label %done
body:
  %p = getelementptr i32, ptr %a, i32 %at
  %v = load i32, ptr %p
  %v2 = mul i32 %v, 2
  %so = load i32, ptr %s
  %sn = add i32 %so, %v2
  store i32 %sn, ptr %s
  %next = add i32 %at, 1
  store i32 %next, ptr %i
  br label %head
done:
  %r = load i32, ptr %s
  ret i32 %r
}
define i32 @main() minsize optsize {
  %a = alloca [4 x i32]
  store i32 7, ptr %a
  %p = getelementptr i32, ptr %a, i32 1
  store i32 9, ptr %p
  %r = call i32 @sum(ptr %a, i32 2)
  ret i32 %r
}
"""
