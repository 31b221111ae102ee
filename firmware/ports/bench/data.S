# What is measured and what must come out, as files given on the command line. All in one section: kept or dropped together.
    .section .rodata.bench, "a"
#define BLOB(name, file) \
    .balign 16; .globl name, name##_end; name:; .incbin file; name##_end:
    BLOB(bench_model, MODEL_FILE)
    BLOB(bench_params, PARAMS_FILE)
    BLOB(bench_input, INPUT_FILE)
    BLOB(bench_output, OUTPUT_FILE)
    .byte 0
#ifdef __linux__
    .section .note.GNU-stack, "", %progbits
#endif
