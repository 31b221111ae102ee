"""Factory provisioning: from a blank board to a node that the fleet knows. `line` is the way through."""
