"""The GPU as the engine uses it: device, shaders, buffers, read-back, timing. Knows nothing of clusters."""
