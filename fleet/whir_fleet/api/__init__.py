"""The HTTP API. `app` puts it together; one file per resource."""
