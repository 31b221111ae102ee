"""The `whir` command and the tools around the product."""
