"""A scene to compare the rasterisers with: clusters of one size on the screen, made of nothing.

One mesh: one full cluster, a square of 8 x 8 quads, which is its own root. Instances of it tile the image, one layer
behind the other, from the farthest to the nearest, so that every sample of the order that is drawn counts.
"""

import numpy as np

from engine import layout
from engine.calibration_scene import MemoryAsset
from engine.camera import Camera
from engine.scene import Scene

QUADS = 8  # along each side; two triangles each
_EDGE = 16  # of a quad in lattice steps of 1 metre
_SIDE = QUADS * _EDGE
_BITS = _SIDE.bit_length()


def grid_scene(cluster_pixels: int, image_pixels: int, layers: int) -> tuple[Scene, Camera]:
    """Return a scene whose clusters are `cluster_pixels` wide in a square image, and its camera."""
    scene = Scene([grid_asset()])
    columns = image_pixels // cluster_pixels
    number = np.arange(columns * columns * layers)
    transforms = np.zeros((len(number), 3, 4))
    transforms[:, :, :3] = np.eye(3)
    # A third of a pixel off: corners do not lie on pixel centres.
    transforms[:, 0, 3] = _SIDE * (number % columns - columns / 2 + 0.3 / cluster_pixels)
    transforms[:, 1, 3] = _SIDE * (number // columns % columns - columns / 2 + 0.3 / cluster_pixels)
    transforms[:, 2, 3] = number // columns**2 - layers
    scene.add_instances(0, transforms)
    height = _SIDE * image_pixels / cluster_pixels
    return scene, Camera(eye=(0.0, 0.0, 1.0), target=(0.0, 0.0, 0.0), orthographic_height=height)


def grid_asset() -> MemoryAsset:
    """Return the mesh."""
    group = np.zeros(1, layout.GROUP)
    group["box_max"] = _SIDE, _SIDE, 0
    group["center"] = 0.5 * group["box_max"]
    group["radius"] = _SIDE
    group["geometric_error"] = group["attribute_error"] = layout.CONSTANTS["ROOT_ERROR"]
    group["place"] = 1 << 16
    node, mesh = np.zeros(1, layout.NODE), np.zeros(1, layout.MESH)
    for name in ("center", "radius", "box_min", "box_max"):
        node[name] = group[name]
        mesh[name] = group[name]
    node["geometric_error"] = node["attribute_error"] = layout.CONSTANTS["ROOT_ERROR"]
    mesh["step"] = mesh["uv_step"] = 1.0
    mesh["node_count"] = mesh["group_count"] = mesh["cluster_count"] = 1
    material = np.zeros(1, layout.MATERIAL)
    for name in (name for name in material.dtype.names or () if name.endswith("_texture")):
        material[name] = layout.NONE
    return MemoryAsset(mesh, node, group, material, _page())


def _page() -> np.ndarray:
    """Return the words of the page: header, record, and the streams of the cluster."""
    constants = layout.CONSTANTS
    corner = np.arange(QUADS + 1)
    x, y = np.tile(corner, QUADS + 1), np.repeat(corner, QUADS + 1)
    first = (np.arange(QUADS)[:, None] * (QUADS + 1) + np.arange(QUADS)).reshape(-1, 1)
    corners = np.array([[0, 1, QUADS + 2], [0, QUADS + 2, QUADS + 1]])  # of the two triangles of a quad
    triangles = np.concatenate([first + corners[0], first + corners[1]])
    positions = sum(
        (int(a) | int(b) << _BITS) << i * 2 * _BITS for i, (a, b) in enumerate(zip(_EDGE * x, _EDGE * y, strict=True))
    )
    content = triangles.astype(np.uint8).tobytes()
    content += positions.to_bytes(4 * -(-len(x) * 2 * _BITS // 32), "little")
    content += bytes(4 * -(-len(x) // 2))  # normals along z
    streams = np.concatenate([np.array([len(triangles)], np.uint32), np.frombuffer(content, np.uint32)])
    record = np.zeros(1, layout.CLUSTER)
    record["extent"] = _SIDE, _SIDE, 0
    record["made_by"] = layout.NONE
    flags = constants["CLUSTER_HAS_NORMALS"] | constants["CLUSTER_TWO_SIDED"]
    record["counts"] = len(x) | len(triangles) << 8 | flags << 24
    record["bits"] = _BITS | _BITS << 5 | 1 << 25
    record["data"] = constants["CLUSTER_WORDS"]
    header = np.zeros(1, layout.PAGE_HEADER)
    header["cluster_count"] = header["group_count"] = 1
    header["flags"] = constants["PAGE_ROOT"]
    header["dependency_word"] = constants["PAGE_HEADER_WORDS"] + constants["CLUSTER_WORDS"]
    header["word_count"] = header["dependency_word"] + len(streams)
    return np.concatenate([header.view(np.uint32), record.view(np.uint32), streams])
