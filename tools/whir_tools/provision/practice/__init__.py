"""A board made of software, to learn on and to test with: the mock of the ROM loader, and behind it the real core as a node.

    python -m whir_tools.provision.practice --chip esp32 --mac 24:0a:c4:00:00:01

prints the port to give to `whir provision`. What esptool writes lies in its flash; a line on the console boots it: partition
table, NVS, identity, then a virtual node with the flashed bundle, whose golden vectors really run, and a real TLS connection to
the broker with the flashed certificate. With `--hear motor.npz` it then goes on as a node that hears this recording.

    python -m whir_tools.provision.practice --build builds/esp32dev

writes what stands in for the firmware's build folder. A program of its own, for development: the mock loads esptool.
"""
