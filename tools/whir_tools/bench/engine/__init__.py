"""`whir bench engine`: flash, RAM and instructions of whir_nn on emulated targets, every output byte compared in the guest.

`model` reads a .tflite, `subject` says what goes into an image, one file per target builds and runs it, `rows` makes the rows
of engine.json, `budget` holds them against ci/size_budget.toml.
"""
