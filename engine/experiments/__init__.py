"""Experiments: variants of a scene and its settings, measured by turns along one camera path, with their manifest."""
