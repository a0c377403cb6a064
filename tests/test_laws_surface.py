"""Law 4: what is drawn lies within the error that its cluster claims, and not only by its own maker's word.

Distances are brute force in numpy (Ericson, Real-Time Collision Detection, 2005, 5.1.5, over all pairs), independent
of the builder's trees and samples.
"""

import numpy as np
import pytest

from engine.asset import open_asset


def point_triangle_distances(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return the distance (n,) of points (n, 3) to the nearest of triangles (m, 3, 3)."""
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    normal = np.cross(b - a, c - a)
    squared_area = np.einsum("ij,ij->i", normal, normal)
    nearest = np.full(len(points), np.inf)
    for start in range(0, len(points), 64):
        p = points[start : start + 64, None]
        best = np.full((p.shape[0], len(triangles)), np.inf)
        inside = np.ones(best.shape, bool)
        for u, v in ((a, b), (b, c), (c, a)):
            edge = v - u
            t = np.clip(np.einsum("pmk,mk->pm", p - u, edge) / np.einsum("mk,mk->m", edge, edge), 0.0, 1.0)
            best = np.minimum(best, np.linalg.norm(p - u - t[..., None] * edge, axis=-1))
            inside &= np.einsum("pmk,mk->pm", np.cross(edge, p - u), normal) >= 0.0
        plane = np.abs(np.einsum("pmk,mk->pm", p - a, normal)) / np.sqrt(squared_area)
        nearest[start : start + 64] = np.where(inside, plane, best).min(axis=1)
    return nearest


def sample(triangles: np.ndarray, count: int, generator) -> np.ndarray:
    """Return `count` points (count, 3), uniform by area."""
    area = np.linalg.norm(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1)
    chosen = triangles[generator.choice(len(triangles), count, p=area / area.sum())]
    root, split = np.sqrt(generator.random((count, 1))), generator.random((count, 1))
    return (1 - root) * chosen[:, 0] + root * (1 - split) * chosen[:, 1] + root * split * chosen[:, 2]


def clusters_of(asset, clusters: np.ndarray) -> np.ndarray:
    """Return the triangles (m, 3, 3) of some clusters."""
    parts = [asset.cluster_geometry(int(i)) for i in clusters]
    return np.concatenate([part.positions[part.triangles] for part in parts]).astype(float)


@pytest.mark.parametrize("kind", ["sphere", "terrain"])
def test_drawn_surfaces_keep_their_claim_in_both_directions(sample_asset, kind):
    asset = open_asset(sample_asset(kind, 5000))
    records, errors = asset.clusters(), asset.groups["geometric_error"].astype(float)
    source = records["made_by"] == 0xFFFFFFFF
    source_triangles = clusters_of(asset, np.flatnonzero(source))
    made_by = np.where(source, 0, records["made_by"])
    own = np.where(source, 0.0, errors[made_by])
    group_error = errors[records["group"]]
    step = float(asset.meshes["step"][0])
    generator = np.random.default_rng(1)
    claims = np.unique(own[own > 0])
    assert len(claims) >= 3
    for claim in claims[:: max(1, len(claims) // 4)]:
        drawn = np.flatnonzero((group_error > claim) & (own <= claim))
        triangles = clusters_of(asset, drawn)
        assert 0 < len(triangles) < len(source_triangles)
        outward = point_triangle_distances(sample(triangles, 600, generator), source_triangles)
        inward = point_triangle_distances(sample(source_triangles, 600, generator), triangles)
        for distances in (outward, inward):
            assert (distances <= claim + step).mean() >= 0.99, (claim, np.percentile(distances, [50, 99, 100]))
