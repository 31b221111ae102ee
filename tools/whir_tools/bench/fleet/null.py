"""The least that can take what ingest takes: the same session, acknowledged by hand and thrown away.

    python -m whir_tools.bench.fleet.null PORT USER MESSAGES   (password on stdin)

Prints seconds and CPU seconds from the connection to the last acknowledgement.
"""

from __future__ import annotations

import sys
import time

import paho.mqtt.client as mqtt

from whir_fleet.ingest import SHARED_TELEMETRY, telemetry_session
from whir_fleet.link import BrokerAddress, client


def main() -> None:
    port, user, wanted = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    address = BrokerAddress("127.0.0.1", port, user, sys.stdin.readline().strip())
    made = client(address, telemetry_session("0"), persistent=True)
    begun = cpu_before = 0.0
    taken = 0

    def on_connect(made: mqtt.Client, *_: object) -> None:
        nonlocal begun, cpu_before
        begun, cpu_before = time.monotonic(), time.process_time()
        made.subscribe(SHARED_TELEMETRY, 1)

    def on_message(made: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        nonlocal taken
        made.ack(message.mid, message.qos)
        taken += 1
        if taken == wanted:
            print(time.monotonic() - begun, time.process_time() - cpu_before)
            made.disconnect()

    made.on_connect = on_connect
    made.on_message = on_message
    made.connect("127.0.0.1", port)
    made.loop_forever()


if __name__ == "__main__":
    main()
