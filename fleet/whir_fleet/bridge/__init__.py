"""The fleet as other systems see it: Home Assistant and Sparkplug B. Adapters beside the service; nothing in it needs them."""
