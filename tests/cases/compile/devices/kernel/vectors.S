    .syntax unified
    .thumb
    .section .vectors, "a", %progbits
    .word stack_top
    .word reset
    .rept 13
    .word unexpected
    .endr
    .word tick_isr
    .text
    .thumb_func
unexpected:
    b unexpected
