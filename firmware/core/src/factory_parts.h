#ifndef WHIR_FACTORY_PARTS_H
#define WHIR_FACTORY_PARTS_H

#include "whir/factory.h"
#include "whir/json.h"

/* Puts the fields of one answer; `waited_ms` since it is due. 0: not yet. */
typedef int (*whir_factory_answer_t)(whir_factory_t *f, whir_json_t *j, uint64_t waited_ms);

struct whir_factory_test {
    const char *name; /* NULL: behind the last */
    whir_factory_answer_t fields;
};

/* factory.c */
int whir_factory_golden(whir_factory_t *f, whir_json_t *j, uint64_t waited_ms);

/* factory_check.c: what only `check` asks. */
int whir_factory_facts(whir_factory_t *f, whir_json_t *j, uint64_t waited_ms);
int whir_factory_clock(whir_factory_t *f, whir_json_t *j, uint64_t waited_ms);
int whir_factory_rate(whir_factory_t *f, whir_json_t *j, uint64_t waited_ms);
int whir_factory_flash(whir_factory_t *f, whir_json_t *j, uint64_t waited_ms);
int whir_factory_cycles(whir_factory_t *f, whir_json_t *j, uint64_t waited_ms);
int whir_factory_golden_timed(whir_factory_t *f, whir_json_t *j, uint64_t waited_ms);

#endif
