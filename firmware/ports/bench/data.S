# The model under test and its vectors, as files given on the command line: MODEL_FILE, INPUT_FILE, OUTPUT_FILE.
    .section .rodata.model, "a"
    .balign 16
    .globl bench_model, bench_model_end, bench_input, bench_input_end, bench_output, bench_output_end
bench_model:
    .incbin MODEL_FILE
bench_model_end:
    .balign 16
bench_input:
    .incbin INPUT_FILE
bench_input_end:
    .balign 16
bench_output:
    .incbin OUTPUT_FILE
bench_output_end:
