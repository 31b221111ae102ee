"""What device, training and server share: constants, enums, error codes, message fields, bundle layout.

`whir_contracts.contract` is generated from the TOML files beside this package; `python -m whir_contracts.generate` makes
it, the C header and the AsyncAPI document, and with `--check` fails when one of them is stale.
"""
