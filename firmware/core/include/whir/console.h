#ifndef WHIR_CONSOLE_H
#define WHIR_CONSOLE_H

#include "whir/factory.h"
#include "whir/port/control.h"
#include "whir/port/store.h"

/* What a person or the factory's station may type at a board's serial console, whether it runs a node or not. */
typedef struct whir_console {
    whir_factory_t *factory;
    whir_store_t *store;
    whir_control_t *control;
} whir_console_t;

typedef struct whir_console_command {
    const char *word, *help;
    /* `words` without the command, `count` of them. 0, or a negative code: refused. */
    int (*run)(whir_console_t *c, int count, char **words, uint64_t now_ms);
} whir_console_command_t;

/* To the entry whose word is NULL. */
extern const whir_console_command_t WHIR_CONSOLE_COMMANDS[];
/* One line, split into words; the answer is said by the board. 0, or a negative code: WHIR_ERR_COMMAND, no such command. Call
 * it from the node's task. */
int whir_console_do(whir_console_t *c, int count, char **words, uint64_t now_ms);

#endif
