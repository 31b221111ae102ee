#ifndef WHIR_ACCEL_PARTS_H
#define WHIR_ACCEL_PARTS_H

#include "whir/accel_part.h"

/* A new part: its file accel_<name>.c, and its name here. */
#define WHIR_ACCEL_PARTS(X) X(adxl345) X(adxl355) X(iis3dwb) X(kx134) X(lis2dh12) X(lis3dh) X(lsm6dsox) X(mpu6050)

#define WHIR_ACCEL_DECLARE(name) extern const whir_accel_part_t whir_accel_##name;
WHIR_ACCEL_PARTS(WHIR_ACCEL_DECLARE)

#endif
