#ifndef WHIR_HOST_BYTES_H
#define WHIR_HOST_BYTES_H

#include <stdint.h>

uint32_t host_crc32(uint32_t crc, const uint8_t *data, uint32_t bytes);

#endif
