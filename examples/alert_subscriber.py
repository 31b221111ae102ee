"""Prints every alert of the fleet as it changes: python examples/alert_subscriber.py HOST PORT PASSWORD"""

import json
import sys

import paho.mqtt.client as mqtt

client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.username_pw_set("subscriber", sys.argv[3])
client.on_connect = lambda c, *_: c.subscribe("whir/v1/+/_fleet/alert/+", qos=1)
client.on_message = lambda c, _, m: print(json.loads(m.payload)) if m.payload else None  # empty: resolved, no longer retained
client.connect(sys.argv[1], int(sys.argv[2]))
client.loop_forever()
