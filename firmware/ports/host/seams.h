#ifndef WHIR_SEAMS_H
#define WHIR_SEAMS_H

#define WHIR_PORT_VERSION 2 /* the seam that this port was written for */

#include "host_board.h"
#include "host_crypto.h"
#include "host_factory.h"
#include "host_flash.h"
#include "host_node.h"
#include "host_signal.h"
#include "whir/factory.h"
#include "whir/whir.h"

whir_sensor_info_t host_sensor_info(const host_sensor_t *sensor);

/* The core's view of the objects that Python holds. */
whir_crypto_t *host_crypto_seam(host_crypto_t *crypto);
whir_flash_t *host_flash_seam(host_flash_t *flash);
whir_node_t *host_node_core(host_node_t *node);
whir_factory_t *host_factory_core(host_factory_t *factory);
whir_store_t host_store_seam(const struct host_store *calls);

#endif
