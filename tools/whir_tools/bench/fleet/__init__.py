"""Load on the fleet: ingest, many nodes, queries, a rollout. `command` is the way in; everything runs on loopback."""
