#include "driver/gpio.h"
#include "esp_system.h"
#include "esp_timer.h"
#include "port.h"
#include "whir/alarm.h"
#include "whir_board.h"

static whir_alarm_t local;

static void drive(int pin, int active_level, int on)
{
    (void)gpio_set_level(pin, (uint32_t)(on ? active_level : !active_level));
}

static void on_tick(void *argument)
{
    uint8_t on = whir_alarm_tick(&local, gpio_get_level(WHIR_BOARD_PIN_BUTTON) == WHIR_BOARD_BUTTON_ACTIVE);

    drive(WHIR_BOARD_PIN_LED, WHIR_BOARD_LED_ACTIVE, on & WHIR_ALARM_LED);
    drive(WHIR_BOARD_PIN_BUZZER, WHIR_BOARD_BUZZER_ACTIVE, on & WHIR_ALARM_BUZZER);
    drive(WHIR_BOARD_PIN_RELAY, WHIR_BOARD_RELAY_ACTIVE, on & WHIR_ALARM_RELAY);
}

static void set(whir_output_t *output, uint8_t severity)
{
    whir_alarm_set(&local, severity);
}

static void identify(whir_control_t *control, uint32_t seconds)
{
    whir_alarm_show(&local, seconds);
}

static void restart(whir_control_t *control, int forget_settings)
{
    if (forget_settings) {
        (void)whir_settings_forget(&whir_esp32_store);
    }
    esp_restart();
}

int whir_esp32_output_init(whir_output_t *output, whir_control_t *control)
{
    const gpio_config_t outputs = {.pin_bit_mask = 1ull << WHIR_BOARD_PIN_LED | 1ull << WHIR_BOARD_PIN_RELAY |
                                                   1ull << WHIR_BOARD_PIN_BUZZER,
                                   .mode = GPIO_MODE_OUTPUT};
    const gpio_config_t inputs = {.pin_bit_mask = 1ull << WHIR_BOARD_PIN_BUTTON,
                                  .mode = GPIO_MODE_INPUT,
                                  .pull_up_en = WHIR_BOARD_BUTTON_ACTIVE ? GPIO_PULLUP_DISABLE : GPIO_PULLUP_ENABLE,
                                  .pull_down_en = WHIR_BOARD_BUTTON_ACTIVE ? GPIO_PULLDOWN_ENABLE : GPIO_PULLDOWN_DISABLE};
    const esp_timer_create_args_t timer = {.callback = on_tick, .name = "output"};
    esp_timer_handle_t handle;

    *output = (whir_output_t){.set = set};
    *control = (whir_control_t){.restart = restart, .identify = identify};
    return gpio_config(&outputs) == ESP_OK && gpio_config(&inputs) == ESP_OK && esp_timer_create(&timer, &handle) == ESP_OK &&
                   esp_timer_start_periodic(handle, WHIR_ALARM_TICK_MS * 1000) == ESP_OK
               ? 0
               : WHIR_ERR_STATE;
}
