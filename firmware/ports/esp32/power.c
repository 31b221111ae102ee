#include "esp_attr.h"
#include "esp_idf_version.h"
#include "esp_rtc_time.h"
#include "esp_sleep.h"
#include "esp_system.h"
#include "port.h"
#include "soc/soc_caps.h"
#include "whir_board.h"

/* In RTC memory: kept in deep sleep, blank after any other start. */
static RTC_DATA_ATTR whir_node_memory_t memory;
static RTC_DATA_ATTR uint64_t cold_us;
static RTC_DATA_ATTR uint32_t rate_mhz;

uint64_t whir_esp32_now_ms(void)
{
    if (cold_us == 0) {
        cold_us = esp_rtc_get_time_us();
    }
    return (esp_rtc_get_time_us() - cold_us) / 1000u;
}

const whir_node_memory_t *whir_esp32_memory(uint32_t *measured_mhz)
{
    *measured_mhz = rate_mhz;
    return esp_reset_reason() == ESP_RST_DEEPSLEEP ? &memory : NULL;
}

int whir_esp32_by_motion(void)
{
#if SOC_PM_SUPPORT_EXT1_WAKEUP
    return esp_sleep_get_ext1_wakeup_status() != 0;
#else
    return esp_sleep_get_gpio_wakeup_status() != 0;
#endif
}

void whir_esp32_wake_at_motion(void)
{
    const uint64_t pin = 1ull << WHIR_BOARD_PIN_INTERRUPT;

#if SOC_PM_SUPPORT_EXT1_WAKEUP
    (void)esp_sleep_enable_ext1_wakeup_io(pin, ESP_EXT1_WAKEUP_ANY_HIGH);
#elif ESP_IDF_VERSION_MAJOR >= 6
    (void)esp_sleep_enable_gpio_wakeup_on_hp_periph_powerdown(pin, ESP_GPIO_WAKEUP_GPIO_HIGH);
#else
    (void)esp_deep_sleep_enable_gpio_wakeup(pin, ESP_GPIO_WAKEUP_GPIO_HIGH);
#endif
}

void whir_esp32_sleep(const whir_node_t *node, uint32_t ms)
{
    rate_mhz = node->config.sensor.rate_mhz;
    whir_node_sleep(node, &memory);
    (void)esp_sleep_enable_timer_wakeup((uint64_t)ms * 1000u);
    esp_deep_sleep_start();
}
