#include <stdio.h>
#include <string.h>

#include "esp_console.h"
#include "esp_system.h"
#include "freertos/FreeRTOS.h"
#include "freertos/message_buffer.h"
#include "port.h"
#include "sdkconfig.h"

static MessageBufferHandle_t questions;

/* Answered by the node's task. */
static int on_question(int argc, char **argv)
{
    char line[WHIR_ESP32_QUESTION_BYTES];
    int bytes = snprintf(line, sizeof line, "%s %s", argv[0], argc > 1 ? argv[1] : "") + 1;

    return bytes > (int)sizeof line || xMessageBufferSend(questions, line, (size_t)bytes, 0) == 0;
}

uint32_t whir_esp32_console_question(char line[WHIR_ESP32_QUESTION_BYTES])
{
    return (uint32_t)xMessageBufferReceive(questions, line, WHIR_ESP32_QUESTION_BYTES, 0);
}

static int on_set(int argc, char **argv)
{
    int err = argc == 3 ? whir_settings_change(&whir_esp32_store, argv[1], argv[2]) : WHIR_ERR_ARG;

    printf(err < 0 ? "refused (%d): help set\n" : "stored (%d), reboot\n", err);
    return err < 0;
}

static int on_reset(int argc, char **argv)
{
    int err = argc == 2 && strcmp(argv[1], "yes") == 0 ? whir_settings_forget(&whir_esp32_store) : WHIR_ERR_ARG;

    printf(err < 0 ? "refused (%d): factory-reset yes\n" : "settings forgotten (%d), reboot\n", err);
    return err < 0;
}

static int on_reboot(int argc, char **argv)
{
    esp_restart();
}

static int on_memory(int argc, char **argv)
{
    whir_health_t health = {.stack_min = WHIR_HEALTH_UNKNOWN};

    whir_esp32_health(&health);
    printf("heap at least %lu bytes free, stack of %s at least %lu\n", (unsigned long)health.heap_min, health.stack_task,
           (unsigned long)health.stack_min);
    return 0;
}

int whir_esp32_console_start(void)
{
    static const esp_console_cmd_t COMMANDS[] = {
        {.command = "selftest", .help = "sensor, noise, golden vectors, network: a line of JSON each", .func = on_question},
        {.command = "csr", .help = "a certificate request for the board's own key", .func = on_question},
        {.command = "who", .help = "the MAC", .func = on_question},
        {.command = "set",
         .help = "wifi_ssid|wifi_password|broker|ntp|wifi_user|ip|gateway|dns|axes|up|range_mg|address|rpm|power|every_s VALUE",
         .func = on_set},
        {.command = "factory-reset", .help = "yes: forget the settings, not the identity", .func = on_reset},
        {.command = "reboot", .help = "restart", .func = on_reboot},
        {.command = "memory", .help = "stacks and heap, at their fullest", .func = on_memory},
    };
    static StaticMessageBuffer_t state;
    static uint8_t bytes[4 * (WHIR_ESP32_QUESTION_BYTES + 4) + 1];
    esp_console_repl_config_t config = ESP_CONSOLE_REPL_CONFIG_DEFAULT();
    esp_console_repl_t *repl;
    esp_err_t err;

    questions = xMessageBufferCreateStatic(sizeof bytes, bytes, &state);
    config.max_cmdline_length = WHIR_CONSOLE_LINE_MAX_BYTES;
    config.prompt = "whir>";
#if CONFIG_ESP_CONSOLE_USB_SERIAL_JTAG
    esp_console_dev_usb_serial_jtag_config_t device = ESP_CONSOLE_DEV_USB_SERIAL_JTAG_CONFIG_DEFAULT();
    err = esp_console_new_repl_usb_serial_jtag(&device, &config, &repl);
#else
    esp_console_dev_uart_config_t device = ESP_CONSOLE_DEV_UART_CONFIG_DEFAULT();
    err = esp_console_new_repl_uart(&device, &config, &repl);
#endif
    for (size_t i = 0; err == ESP_OK && i < sizeof COMMANDS / sizeof COMMANDS[0]; i++) {
        err = esp_console_cmd_register(&COMMANDS[i]);
    }
    return err == ESP_OK && esp_console_start_repl(repl) == ESP_OK ? 0 : WHIR_ERR_STATE;
}
