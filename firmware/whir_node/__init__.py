"""The node's core on a computer: features, engine, bundle check and the virtual node, from the C that runs on the ESP32."""
