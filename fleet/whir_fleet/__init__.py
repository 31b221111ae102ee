"""The fleet service: ingest, node registry, alerts, artifacts, rollouts and the API over them."""
