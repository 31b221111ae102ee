#include "lis_table.h"

const whir_accel_identity_t whir_lis_identity[] = {{0x0F, 0x33}, {0, 0}};
const whir_accel_step_t whir_lis_reset[] = {{0x24, 0xFF, 0x80, 10}, {0x20, 0xFF, 0x00, 0}, {0x2E, 0xFF, 0x00, 0}, {0}};
const whir_accel_step_t whir_lis_start[] = {
    {0x23, 0x80, 0x80, 0}, /* both bytes of a count from one sample */
    {0x22, 0xFF, 0x04, 0}, /* watermark on INT1 */
    {0x24, 0xFF, 0x40, 0}, /* FIFO on */
    {0x2E, 0xFF, 0x90, 0}, /* stream, watermark 16 */
    {0x20, 0x07, 0x07, 8}, /* three axes; the first samples are not yet right */
    {0},
};
const whir_accel_step_t whir_lis_restart[] = {{0x2E, 0xFF, 0x00, 0}, {0x2E, 0xFF, 0x90, 0}, {0}};
const whir_accel_step_t whir_lis_watch[] = {
    {0x23, 0xFF, 0x00, 0},   /* 2 g */
    {0x20, 0xFF, 0x5F, 0},   /* 100 Hz, low power */
    {0x21, 0xFF, 0x01, 250}, /* the interrupt does not see gravity: high pass, which has to settle */
    {0x24, 0xFF, 0x08, 250}, /* latched, FIFO off */
    {0x32, 0xFF, 4, 0},      /* 64 mg */
    {0x33, 0xFF, 0, 0},
    {0x22, 0xFF, 0x40, 0}, /* on INT1 */
    {0x30, 0xFF, 0x2A, 0}, /* any axis */
    {0},
};
const whir_accel_rate_t whir_lis_rates[] = {{400000, 200, 0x70}, {1344000, 672, 0x90}, {0}};
const whir_accel_range_t whir_lis_ranges[] = {
    {2000, 4000000, 0x00}, {4000, 8000000, 0x10}, {8000, 16000000, 0x20}, {16000, 48000000, 0x30}, {0}};
const whir_accel_step_t whir_lis_test_on[] = {{0x23, 0x06, 0x02, 100}, {0}};
const whir_accel_step_t whir_lis_test_off[] = {{0x23, 0x06, 0x00, 100}, {0}};
