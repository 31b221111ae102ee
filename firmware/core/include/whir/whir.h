#ifndef WHIR_WHIR_H
#define WHIR_WHIR_H

/*
 * The whole public interface. Semantic versioning: a new major breaks callers, a new minor adds, a patch does neither; while
 * the major is 0, a new minor may break.
 */
#define WHIR_VERSION_MAJOR 0
#define WHIR_VERSION_MINOR 1
#define WHIR_VERSION_PATCH 0

/*
 * The seam between core and port, whir/port/. A port defines WHIR_PORT_VERSION as the number it was written for before it
 * includes this file; after a change of the seam it does not compile until somebody has looked at it.
 */
#define WHIR_SEAM_VERSION 2
#if defined(WHIR_PORT_VERSION) && WHIR_PORT_VERSION != WHIR_SEAM_VERSION
#error "this port was written for another version of whir/port: read CHANGELOG.md, then set WHIR_PORT_VERSION"
#endif

#include "whir/alarm.h"
#include "whir/backoff.h"
#include "whir/base64.h"
#include "whir/baseline.h"
#include "whir/bundle.h"
#include "whir/bytes.h"
#include "whir/capture.h"
#include "whir/certificate.h"
#include "whir/command.h"
#include "whir/condition.h"
#include "whir/console.h"
#include "whir/contract.h"
#include "whir/csr.h"
#include "whir/decide.h"
#include "whir/envelope.h"
#include "whir/factory.h"
#include "whir/features.h"
#include "whir/fetch.h"
#include "whir/firmware.h"
#include "whir/health.h"
#include "whir/ip4.h"
#include "whir/json.h"
#include "whir/loop.h"
#include "whir/messages.h"
#include "whir/network.h"
#include "whir/nn.h"
#include "whir/node.h"
#include "whir/novelty.h"
#include "whir/own_key.h"
#include "whir/params.h"
#include "whir/port/board.h"
#include "whir/port/control.h"
#include "whir/port/crypto.h"
#include "whir/port/firmware.h"
#include "whir/port/flash.h"
#include "whir/port/http.h"
#include "whir/port/inference.h"
#include "whir/port/link.h"
#include "whir/port/output.h"
#include "whir/port/sensor.h"
#include "whir/port/store.h"
#include "whir/port/wiring.h"
#include "whir/power.h"
#include "whir/settings.h"
#include "whir/slots.h"
#include "whir/speed.h"
#include "whir/spool.h"
#include "whir/update.h"
#include "whir/velocity.h"
#include "whir/window.h"
#include "whir/zone.h"

#endif
