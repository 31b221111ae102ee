#include <stdatomic.h>
#include <stdio.h>

#include "esp_console.h"
#include "freertos/FreeRTOS.h"
#include "freertos/semphr.h"
#include "port.h"
#include "sdkconfig.h"

static SemaphoreHandle_t answered;
static int count, result;
static char **words;
static atomic_int asked;

/* Every command: the node's task answers, so that nothing else reaches into the core. */
static int on_command(int argc, char **argv)
{
    count = argc;
    words = argv;
    asked = 1;
    (void)xSemaphoreTake(answered, portMAX_DELAY);
    return result < 0;
}

void whir_esp32_console_serve(whir_console_t *console)
{
    if (asked) {
        result = whir_console_do(console, count, words, whir_esp32_now_ms());
        asked = 0;
        (void)xSemaphoreGive(answered);
    }
}

int whir_esp32_console_start(void)
{
    static StaticSemaphore_t semaphore;
    esp_console_repl_config_t config = ESP_CONSOLE_REPL_CONFIG_DEFAULT();
    esp_console_repl_t *repl;
    esp_err_t err;

    answered = xSemaphoreCreateBinaryStatic(&semaphore);
    config.max_cmdline_length = WHIR_CONSOLE_LINE_MAX_BYTES;
    config.prompt = "whir>";
#if CONFIG_ESP_CONSOLE_USB_SERIAL_JTAG
    esp_console_dev_usb_serial_jtag_config_t device = ESP_CONSOLE_DEV_USB_SERIAL_JTAG_CONFIG_DEFAULT();
    err = esp_console_new_repl_usb_serial_jtag(&device, &config, &repl);
#else
    esp_console_dev_uart_config_t device = ESP_CONSOLE_DEV_UART_CONFIG_DEFAULT();
    err = esp_console_new_repl_uart(&device, &config, &repl);
#endif
    for (const whir_console_command_t *c = WHIR_CONSOLE_COMMANDS; err == ESP_OK && c->word != NULL; c++) {
        const esp_console_cmd_t command = {.command = c->word, .help = c->help, .func = on_command};
        err = esp_console_cmd_register(&command);
    }
    return err == ESP_OK && esp_console_start_repl(repl) == ESP_OK ? 0 : WHIR_ERR_STATE;
}
