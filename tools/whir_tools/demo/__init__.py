"""The main job in one terminal: train, serve, six virtual nodes, two faults, a rollout with two accidents on the way."""
