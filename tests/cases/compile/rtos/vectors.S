/* Vectors: the handlers are named here alone. */
    .syntax unified
    .thumb
    .section .vectors, "a", %progbits
    .word stack_top
    .word reset_handler
    .rept 9
    .word fault_handler
    .endr
    .word svc_handler
    .word 0
    .word 0
    .word pendsv_handler
    .word systick_handler
    .text
    .thumb_func
    .weak fault_handler
fault_handler:
    b fault_handler
