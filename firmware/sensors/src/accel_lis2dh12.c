#include "lis_table.h"

const whir_accel_part_t whir_accel_lis2dh12 = WHIR_LIS_PART("lis2dh12");
