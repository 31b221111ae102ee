#ifndef WHIR_ST_MEMS_FIFO_H
#define WHIR_ST_MEMS_FIFO_H

/* The FIFO that LSM6DSOX and IIS3DWB share: 512 words of a tag and three axes; tag 2 is acceleration. */
#define WHIR_ST_MEMS_FIFO                                                                                                      \
    {.level_reg = 0x3A,                                                                                                        \
     .level_bytes = 2,                                                                                                         \
     .level_mask = 0x03FF,                                                                                                     \
     .level_unit = 1,                                                                                                          \
     .overrun_reg = 0x3B,                                                                                                      \
     .overrun_mask = 0x48,                                                                                                     \
     .data_reg = 0x78,                                                                                                         \
     .burst = 32,                                                                                                              \
     .word_bytes = 7,                                                                                                          \
     .first = 1,                                                                                                               \
     .tag_mask = 0xF8,                                                                                                         \
     .tag = 0x02 << 3,                                                                                                         \
     .axis_bytes = 2,                                                                                                          \
     .samples = 512,                                                                                                           \
     .watermark = 128}

#endif
