#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "esp_eap_client.h"
#include "esp_event.h"
#include "esp_netif.h"
#include "esp_netif_sntp.h"
#include "esp_random.h"
#include "esp_wifi.h"
#include "port.h"
#include "whir/ip4.h"

#define FALLBACK_NTP "pool.ntp.org" /* where DHCP names no server */

static whir_wiring_t *wiring;
static volatile uint8_t clock_is_set;
static volatile int reason; /* of the last refusal, wifi_err_reason_t */

static void on_event(void *argument, esp_event_base_t base, int32_t id, void *data)
{
    wiring->joined = base == IP_EVENT; /* of these only STA_GOT_IP is asked for, of the others only STA_DISCONNECTED */
    if (!wiring->joined) {
        reason = ((const wifi_event_sta_disconnected_t *)data)->reason;
        wiring->parted = 1;
    }
}

static void on_clock(struct timeval *tv)
{
    clock_is_set = 1;
}

static esp_err_t start_clock(const char *server)
{
    esp_sntp_config_t config = ESP_NETIF_SNTP_DEFAULT_CONFIG(server[0] != 0 ? server : FALLBACK_NTP);

    config.server_from_dhcp = true;
    config.renew_servers_after_new_IP = true;
    config.index_of_first_server = 1;
    config.ip_event_to_renew = IP_EVENT_STA_GOT_IP;
    config.sync_cb = on_clock;
    return esp_netif_sntp_init(&config);
}

/* An address of its own; without one DHCP goes on. */
static esp_err_t set_address(esp_netif_t *netif, const whir_settings_t *s)
{
    esp_netif_ip_info_t info = {0};
    esp_netif_dns_info_t dns = {0};
    whir_ip4_t own;

    if (whir_ip4_settings(s->ip, s->gateway, s->dns, &own) < 0) {
        return ESP_OK;
    }
    info.ip.addr = esp_netif_htonl(own.ip);
    info.netmask.addr = esp_netif_htonl(own.mask);
    info.gw.addr = esp_netif_htonl(own.gateway);
    dns.ip.u_addr.ip4.addr = esp_netif_htonl(own.dns);
    (void)esp_netif_dhcpc_stop(netif);
    return esp_netif_set_ip_info(netif, &info) == ESP_OK ? esp_netif_set_dns_info(netif, ESP_NETIF_DNS_MAIN, &dns) : ESP_FAIL;
}

/* By name and password, or with the node's certificate. The clock is not set before there is a network. */
static esp_err_t set_enterprise(const whir_esp32_settings_t *s)
{
    const unsigned char *user = (const unsigned char *)s->own.wifi_user;
    const unsigned char *password = (const unsigned char *)s->own.wifi_password;
    int user_bytes = (int)strlen(s->own.wifi_user), password_bytes = (int)strlen(s->own.wifi_password);

    if (user_bytes == 0) {
        return ESP_OK;
    }
    if (esp_eap_client_set_identity(user, user_bytes) != ESP_OK ||
        esp_eap_client_set_ca_cert(s->broker_ca.data, (int)s->broker_ca.bytes) != ESP_OK ||
        esp_eap_client_set_disable_time_check(true) != ESP_OK) {
        return ESP_FAIL;
    }
    if (password_bytes == 0) {
        (void)esp_eap_client_set_certificate_and_key(s->certificate.data, (int)s->certificate.bytes, s->private_key.data,
                                                     (int)s->private_key.bytes, NULL, 0);
    } else {
        (void)esp_eap_client_set_username(user, user_bytes);
        (void)esp_eap_client_set_password(password, password_bytes);
    }
    return esp_wifi_sta_enterprise_enable();
}

static void radio(whir_wiring_t *w, int on)
{
    (void)(on ? esp_wifi_start() : esp_wifi_stop());
}

static void join(whir_wiring_t *w)
{
    w->parted = 0; /* before it starts: it may fail at once */
    if (esp_wifi_connect() != ESP_OK) {
        w->parted = 1;
    }
}

static uint64_t clock_set(whir_wiring_t *w)
{
    struct timeval now;

    if (!clock_is_set) {
        return 0;
    }
    clock_is_set = 0;
    gettimeofday(&now, NULL);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_usec / 1000u;
}

static uint32_t dice(whir_wiring_t *w)
{
    return esp_random();
}

int whir_esp32_wifi_init(whir_wiring_t *w, const whir_esp32_settings_t *s)
{
    const wifi_init_config_t init = WIFI_INIT_CONFIG_DEFAULT();
    wifi_config_t config = {.sta = {.threshold.authmode = s->own.wifi_user[0] != 0       ? WIFI_AUTH_WPA2_ENTERPRISE
                                                          : s->own.wifi_password[0] != 0 ? WIFI_AUTH_WPA2_PSK
                                                                                         : WIFI_AUTH_OPEN,
                                    .sae_pwe_h2e = WPA3_SAE_PWE_BOTH,
                                    .pmf_cfg.capable = true}};

    wiring = w;
    w->radio = radio;
    w->join = join;
    w->random = dice;
    w->clock_set = clock_set;
    memcpy(config.sta.ssid, s->own.wifi_ssid, strnlen(s->own.wifi_ssid, sizeof config.sta.ssid));
    memcpy(config.sta.password, s->own.wifi_password, strnlen(s->own.wifi_password, sizeof config.sta.password));
    esp_netif_t *netif = NULL;
    if (esp_netif_init() != ESP_OK || esp_event_loop_create_default() != ESP_OK ||
        (netif = esp_netif_create_default_wifi_sta()) == NULL || set_address(netif, &s->own) != ESP_OK) {
        return WHIR_ERR_STATE;
    }
    return esp_wifi_init(&init) == ESP_OK && esp_wifi_set_storage(WIFI_STORAGE_RAM) == ESP_OK &&
                   esp_event_handler_register(WIFI_EVENT, WIFI_EVENT_STA_DISCONNECTED, on_event, NULL) == ESP_OK &&
                   esp_event_handler_register(IP_EVENT, IP_EVENT_STA_GOT_IP, on_event, NULL) == ESP_OK &&
                   esp_wifi_set_mode(WIFI_MODE_STA) == ESP_OK && esp_wifi_set_config(WIFI_IF_STA, &config) == ESP_OK &&
                   set_enterprise(s) == ESP_OK && start_clock(s->own.ntp) == ESP_OK
               ? 0
               : WHIR_ERR_STATE;
}

const char *whir_esp32_wifi_state(whir_board_t *board, int32_t *rssi_dbm)
{
    static char why[24];
    wifi_ap_record_t ap;

    if (wiring->joined && esp_wifi_sta_get_ap_info(&ap) == ESP_OK) {
        *rssi_dbm = ap.rssi;
        return "ok";
    }
    (void)snprintf(why, sizeof why, "not joined, reason %d", reason);
    return why;
}
