"""The passes of a frame: one module per pass, of the same name as its shader and its timing label."""
