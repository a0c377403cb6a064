"""What a unit of each attribute counts as, as a length: where it steers collapses, and where an error is claimed."""

import numpy as np

from engine.builder.weld import WeldedMesh
from engine.settings import BuildSettings

STEERING = 0.3  # of a UV's or colour's length, where it competes with geometry: more costs distance, less costs looks


def attribute_weights(mesh: WeldedMesh, settings: BuildSettings) -> np.ndarray:
    """Return (2, k) float32: what a unit of each attribute column counts as, where it steers and where it is claimed.

    Lattice units, but for a claimed normal (columns 0:3) edges of the triangle that shows it (see error.py).
    """
    sample = mesh.faces[:: max(1, len(mesh.faces) // 16384)]
    ends = mesh.lattice[mesh.vertex_position[sample]].astype(np.float64)
    lengths = np.linalg.norm(ends - np.roll(ends, 1, axis=1), axis=2)
    edge = max(float(np.median(lengths)), 1.0)
    weights = [np.full(3, settings.normal_weight * edge)]
    if mesh.has_uvs:
        uvs = mesh.attributes[sample][:, :, 3:5].astype(np.float64)
        spans = np.linalg.norm(uvs - np.roll(uvs, 1, axis=1), axis=2)
        textured = spans > 1e-9  # less is noise, and its ratio may not be finite
        ratios = lengths[textured] / spans[textured]
        weights.append(np.full(2, settings.uv_weight * float(np.median(ratios)) if len(ratios) else 0.0))
    if mesh.has_colors:
        weights.append(np.full(4, settings.color_weight * edge))
    claim = np.concatenate(weights).astype(np.float32)
    steering = STEERING * claim
    steering[:3], claim[:3] = claim[:3], settings.normal_weight
    return np.stack([steering, claim])
