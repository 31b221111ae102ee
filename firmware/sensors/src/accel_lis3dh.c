#include "lis_table.h"

const whir_accel_part_t whir_accel_lis3dh = WHIR_LIS_PART("lis3dh");
