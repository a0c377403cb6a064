"""The desktop viewer: a window on a scene, with panels that say what was culled and why."""
