"""The naive way beside ingest: paho, and for each message its own INSERT and its own commit.

    python -m whir_tools.bench.fleet.rival PORT USER MESSAGES DATABASE_URL   (password on stdin)

Prints seconds and CPU seconds from the connection to the last acknowledgement.
"""

from __future__ import annotations

import json
import sys
import time

import paho.mqtt.client as mqtt
import psycopg

from whir_fleet.ingest import SHARED_TELEMETRY, telemetry_session
from whir_fleet.link import BrokerAddress, client


def main() -> None:
    port, user, wanted, url = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
    address = BrokerAddress("127.0.0.1", port, user, sys.stdin.readline().strip())
    made = client(address, telemetry_session("0"), persistent=True)
    database = psycopg.connect(url.replace("+psycopg", ""))
    database.execute("CREATE TABLE reading (node text, boot bigint, seq bigint, body jsonb, PRIMARY KEY (node, boot, seq))")
    database.commit()
    begun = cpu_before = 0.0
    taken = 0

    def on_connect(made: mqtt.Client, *_: object) -> None:
        nonlocal begun, cpu_before
        begun, cpu_before = time.monotonic(), time.process_time()
        made.subscribe(SHARED_TELEMETRY, 1)

    def on_message(made: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        nonlocal taken
        body = json.loads(message.payload)
        database.execute(
            "INSERT INTO reading VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (message.topic.split("/")[3], body["boot"], body["seq"], message.payload.decode()),
        )
        database.commit()
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
