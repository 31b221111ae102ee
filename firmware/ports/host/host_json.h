#ifndef WHIR_HOST_JSON_H
#define WHIR_HOST_JSON_H

#include <stdint.h>

/* One field through the core's JSON writer, by its value's type. The object's length, or a negative code. */
int host_json_string(const char *key, const char *value, char *out, uint32_t max);
int host_json_u64(const char *key, uint64_t value, char *out, uint32_t max);
int host_json_i32(const char *key, int32_t value, char *out, uint32_t max);
/* {key: {key: value, key + "2": true}, key + "3": null} */
int host_json_map(const char *key, uint64_t value, char *out, uint32_t max);

typedef struct host_command {
    uint8_t kind; /* enum whir_command_kind */
    char c[16];
    char id[40];
    uint64_t exp_s;
    char key[16];
    char text[768];
    uint32_t bytes, deadline_s, shadow_s, seconds, raise_permille, clear_permille, boot;
    uint32_t seq[64];
    uint32_t seq_count;
} host_command_t;

int host_command_parse(const uint8_t *payload, uint32_t bytes, host_command_t *out);

#endif
