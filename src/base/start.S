/*
 * start.S - process entry. The kernel gives argc, argv, envp and auxv at RSP; nothing is relocated yet, so
 * this only aligns the stack and calls start_c (relocate.c), which relocates the image before anything else.
 */
        .text
        .globl  _start
        .type   _start, @function
_start:
        xorl    %ebp, %ebp
        movq    %rsp, %rdi
        andq    $-16, %rsp
        call    start_c
        ud2
        .size   _start, . - _start
        .section .note.GNU-stack, "", @progbits
