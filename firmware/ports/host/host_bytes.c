#include "host_bytes.h"

#include "whir/bytes.h"

uint32_t host_crc32(uint32_t crc, const uint8_t *data, uint32_t bytes)
{
    return whir_crc32(crc, data, bytes);
}
