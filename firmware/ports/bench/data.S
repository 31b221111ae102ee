# What is measured and what must come out, as files given on the command line. All in one section: kept or dropped together.
#ifdef __AVR__
    .section .progmem.data.bench, "a"
#define BENCH_ALIGN 1
#else
    .section .rodata.bench, "a"
#define BENCH_ALIGN 16
#endif
    .macro blob name, file
    .balign BENCH_ALIGN
    .globl \name, \name\()_end
\name:
    .incbin "\file"
\name\()_end:
    .endm
    blob bench_model, MODEL_FILE
    blob bench_params, PARAMS_FILE
    blob bench_input, INPUT_FILE
    blob bench_output, OUTPUT_FILE
    .byte 0
#ifdef __linux__
    .section .note.GNU-stack, "", %progbits
#endif
