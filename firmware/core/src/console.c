#include "whir/console.h"

#include <string.h>

#include "whir/json.h"
#include "whir/settings.h"

#define WORD_MAX_BYTES 8 /* of the factory's questions */

static int say(whir_console_t *c, const char *text)
{
    c->factory->board->say(c->factory->board, text, (uint32_t)strlen(text));
    return 0;
}

static int ask(whir_console_t *c, const char *word, int count, char **words, uint64_t now_ms)
{
    char line[WORD_MAX_BYTES + 1 + WHIR_FACTORY_NONCE_MAX_BYTES + 1];
    const char *nonce = count > 0 ? words[0] : "";
    size_t bytes = strlen(word);

    if (count > 1 || strlen(nonce) > WHIR_FACTORY_NONCE_MAX_BYTES) {
        return WHIR_ERR_ARG;
    }
    memcpy(line, word, bytes);
    line[bytes++] = ' ';
    memcpy(line + bytes, nonce, strlen(nonce) + 1);
    return whir_factory_ask(c->factory, line, now_ms);
}

static int run_selftest(whir_console_t *c, int count, char **words, uint64_t now_ms)
{
    return ask(c, "selftest", count, words, now_ms);
}

static int run_check(whir_console_t *c, int count, char **words, uint64_t now_ms)
{
    return ask(c, "check", count, words, now_ms);
}

static int run_csr(whir_console_t *c, int count, char **words, uint64_t now_ms)
{
    return ask(c, "csr", count, words, now_ms);
}

static int run_who(whir_console_t *c, int count, char **words, uint64_t now_ms)
{
    return ask(c, "who", count, words, now_ms);
}

static int run_set(whir_console_t *c, int count, char **words, uint64_t now_ms)
{
    int err = count == 2 ? whir_settings_change(c->store, words[0], words[1]) : WHIR_ERR_ARG;

    (void)now_ms;
    return err < 0 ? err : say(c, "stored: reboot");
}

static int run_factory_reset(whir_console_t *c, int count, char **words, uint64_t now_ms)
{
    int err = count == 1 && strcmp(words[0], "yes") == 0 ? whir_settings_forget(c->store) : WHIR_ERR_ARG;

    (void)now_ms;
    return err < 0 ? err : say(c, "settings forgotten: reboot");
}

static int run_reboot(whir_console_t *c, int count, char **words, uint64_t now_ms)
{
    (void)count;
    (void)words;
    (void)now_ms;
    c->control->restart(c->control, 0);
    return 0;
}

static int run_memory(whir_console_t *c, int count, char **words, uint64_t now_ms)
{
    whir_health_t health = {.heap_min = WHIR_HEALTH_UNKNOWN, .stack_min = WHIR_HEALTH_UNKNOWN};
    char text[128];
    whir_json_t j;
    int bytes;

    (void)count;
    (void)words;
    (void)now_ms;
    if (c->control->health == NULL) {
        return WHIR_ERR_STATE;
    }
    c->control->health(c->control, &health);
    whir_json_begin(&j, text, sizeof text);
    whir_json_string(&j, "t", "memory");
    whir_json_u64(&j, "heap_min", health.heap_min);
    whir_json_u64(&j, "stack_min", health.stack_min);
    whir_json_string(&j, "stack_task", health.stack_task);
    bytes = whir_json_end(&j);
    if (bytes > 0) {
        c->factory->board->say(c->factory->board, text, (uint32_t)bytes);
    }
    return bytes < 0 ? bytes : 0;
}

const whir_console_command_t WHIR_CONSOLE_COMMANDS[] = {
    {"selftest", "sensor, noise, golden vectors, network: a line of JSON each", run_selftest},
    {"check", "flash, clock, sensor, cycles, golden vectors: a line of JSON each (whir node check)", run_check},
    {"csr", "a certificate request for the board's own key", run_csr},
    {"who", "the MAC", run_who},
    {"set",
     "wifi_ssid|wifi_password|broker|ntp|wifi_user|ip|gateway|dns|ca_1|ca_1b|ca_1c|ca_2|ca_2b|ca_2c|axes|up|range_mg|address|"
     "rpm|power|every_s VALUE",
     run_set},
    {"factory-reset", "yes: forget the settings, not the identity", run_factory_reset},
    {"reboot", "restart", run_reboot},
    {"memory", "heap and the tightest stack, at their fullest, in bytes", run_memory},
    {NULL, NULL, NULL},
};

int whir_console_do(whir_console_t *c, int count, char **words, uint64_t now_ms)
{
    const whir_console_command_t *command = WHIR_CONSOLE_COMMANDS;
    int err = WHIR_ERR_COMMAND;

    while (count > 0 && command->word != NULL && strcmp(command->word, words[0]) != 0) {
        command++;
    }
    if (count > 0 && command->word != NULL) {
        err = command->run(c, count - 1, words + 1, now_ms);
    }
    if (err < 0) {
        (void)say(c, err == WHIR_ERR_COMMAND ? "no such command" : "refused: help tells how");
    }
    return err;
}
