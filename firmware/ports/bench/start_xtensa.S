# Reset code for QEMU's Xtensa "sim" machine: stack, main. QEMU clears the RAM, so .bss is zero.
    .section .reset, "ax"
    .globl _start
_start:
    j 1f
    .balign 4
stack:
    .word __stack
entry:
    .word main
    .balign 4
1:  l32r a1, stack
    l32r a0, entry
    callx0 a0
