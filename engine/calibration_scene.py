"""A scene that keeps the node queue busy, made of nothing in a few milliseconds.

One mesh: a flat strip with six levels of clusters. Four neighbours form a group, which makes one cluster of the next
level, so a strip has 1,024 source clusters and one root. Many instances of it lie behind one another, and the camera
looks at a short piece of each: a deep hierarchy is walked for every cluster that is drawn.

No decision is a close one: the view is orthographic and scales are powers of four, hence every projected error is
half or twice the threshold, and no box comes near a border of the image. All traversals must find the very same set.
"""

from dataclasses import dataclass, field

import numpy as np

from engine import layout
from engine.camera import Camera
from engine.scene import Scene
from engine.settings import FrameSettings

SIZE = (16, 16)  # pixels
LEVELS = 6
_WIDTH = 4  # clusters of a group and children of a node
_LENGTH = 4  # of a source cluster in lattice steps of 1 metre; likewise of any drawn cluster
_VIEW = 0.5 * _LENGTH  # metres across the image: the middle of one drawn cluster
_DRAWN_LEVELS = 4  # instances differ in scale and so in the level that is drawn, 0 to 3
_THINNESS = 1.0 / 512.0  # of the instances: a cluster covers few pixels
_SOURCE_ERROR = 2.0 * _VIEW / SIZE[1]  # metres: twice the threshold at full scale
_ROOT_ERROR = layout.CONSTANTS["ROOT_ERROR"]


@dataclass
class MemoryAsset:
    """What engine.scene.Scene asks of an asset, in memory."""

    meshes: np.ndarray
    nodes: np.ndarray
    groups: np.ndarray
    materials: np.ndarray
    words: np.ndarray  # of the only page
    page_count: int = 1
    textures: list = field(default_factory=list)

    @property
    def page_word_counts(self) -> np.ndarray:
        """(1,) int64: how many words page 0 has."""
        return np.array([len(self.words)])

    def page_words(self, page: int) -> np.ndarray:
        """Return the words (w,) uint32 of page 0."""
        return (self.words,)[page]

    def clusters(self) -> np.ndarray:
        """Return the layout.CLUSTER records of the page."""
        header, record = layout.CONSTANTS["PAGE_HEADER_WORDS"], layout.CONSTANTS["CLUSTER_WORDS"]
        return self.words[header : header + int(self.words[0]) * record].view(layout.CLUSTER)


def calibration_scene(instances: int) -> tuple[Scene, Camera, FrameSettings]:
    """Return a scene of so many strips, its camera, and settings under which it is drawn at SIZE."""
    scene = Scene([strip_asset()])
    generator = np.random.default_rng(0)
    level = generator.integers(0, _DRAWN_LEVELS, instances)  # that will be drawn
    cluster = (generator.random(instances) * _clusters_of(level)).astype(np.int64)  # the one in the middle of the image
    scale = float(_WIDTH) ** -level
    transforms = np.zeros((instances, 3, 4))
    transforms[:, 0, 0], transforms[:, 1, 1], transforms[:, 2, 2] = scale, scale * _THINNESS, scale
    transforms[:, 0, 3] = -_LENGTH * (cluster + 0.5)
    # Thin as it is, each lies on the centres of a row of pixels: what covers none is culled.
    row = generator.integers(0, SIZE[1], instances)
    transforms[:, 1, 3] = ((row + 0.5) / SIZE[1] - 0.5) * _VIEW - 0.5 * _LENGTH * scale * _THINNESS
    transforms[:, 2, 3] = -np.arange(instances) / instances
    scene.add_instances(0, transforms)
    camera = Camera(eye=(0.0, 0.0, 1.0), target=(0.0, 0.0, 0.0), orthographic_height=_VIEW)
    return scene, camera, FrameSettings(error_pixels=1.0, raster="software", occlusion=False)


def strip_asset() -> MemoryAsset:
    """Return the strip. Groups and clusters are numbered from the coarsest level to the source."""
    group_counts = [int(_groups_of(level)) for level in range(LEVELS)]
    first_group = [sum(group_counts[level + 1 :]) for level in range(LEVELS)]
    groups = np.concatenate([_groups(level) for level in reversed(range(LEVELS))])
    members = groups["place"] >> 16 & 255
    groups["first_cluster"] = np.cumsum(members) - members
    groups["place"] |= groups["first_cluster"]
    nodes = _nodes(first_group)
    mesh = np.zeros(1, layout.MESH)
    for name in ("center", "radius", "box_min", "box_max"):
        mesh[name] = nodes[0][name]
    mesh["step"] = mesh["uv_step"] = 1.0
    mesh["node_count"], mesh["group_count"], mesh["cluster_count"] = len(nodes), len(groups), members.sum()
    materials = np.zeros(1, layout.MATERIAL)
    for name in (name for name in materials.dtype.names or () if name.endswith("_texture")):
        materials[name] = layout.NONE
    materials["flags"] = layout.CONSTANTS["MATERIAL_TWO_SIDED"]
    return MemoryAsset(mesh, nodes, groups, materials, _page(first_group, len(groups)))


def _clusters_of(level: int | np.ndarray) -> int | np.ndarray:
    """Return how many clusters `level` has."""
    return _WIDTH ** (LEVELS - 1 - level)


def _groups_of(level: int) -> int:
    return max(1, _clusters_of(level) // _WIDTH)


def _error(level: int) -> float:
    """Return the error in metres of what the groups of `level` were simplified to; the last was not."""
    return _SOURCE_ERROR * _WIDTH**level if level < LEVELS - 1 else _ROOT_ERROR


def _fill_bounds(records: np.ndarray, level: int) -> None:
    """Divide the strip evenly among nodes or groups, and write the error of `level`."""
    count = len(records)
    length = _LENGTH * _WIDTH ** (LEVELS - 1) / count
    records["box_min"][:, 0] = length * np.arange(count)
    records["box_max"][:, 0] = length * (1 + np.arange(count))
    records["box_max"][:, 1] = _LENGTH
    records["center"] = 0.5 * (records["box_min"] + records["box_max"])
    records["radius"] = np.hypot(length, _LENGTH) * 0.51  # a little more than the half
    records["geometric_error"] = records["attribute_error"] = _error(level)


def _groups(level: int) -> np.ndarray:
    """Return the layout.GROUP records of a level, but for the number of the first cluster."""
    groups = np.zeros(_groups_of(level), layout.GROUP)
    _fill_bounds(groups, level)
    groups["place"] = _clusters_of(level) // len(groups) << 16 | level << 24
    return groups


def _nodes(first_group: list[int]) -> np.ndarray:
    """Return layout.NODE records: a root, the roots of one tree a level from the coarsest, then tree by tree."""
    root = np.zeros(1, layout.NODE)
    _fill_bounds(root, LEVELS - 1)
    root["child"], root["child_count"] = 1, LEVELS
    roots, rows, end = [], [], 1 + LEVELS
    for level in reversed(range(LEVELS)):
        count, rows_of_tree = 1, []
        while True:
            row = np.zeros(count, layout.NODE)
            _fill_bounds(row, level)
            row["made_by_geometric_error"] = row["made_by_attribute_error"] = _error(level - 1) if level else 0.0
            rows_of_tree.append(row)
            if count == _groups_of(level):
                row["child"], row["child_count"] = first_group[level] + np.arange(count), layout.CONSTANTS["NODE_LEAF"]
                break
            row["child"], row["child_count"] = end + _WIDTH * np.arange(count), _WIDTH
            count *= _WIDTH
            end += count
        roots.append(rows_of_tree[0])
        rows += rows_of_tree[1:]
    return np.concatenate([root, *roots, *rows])


def _page(first_group: list[int], group_count: int) -> np.ndarray:
    """Return the words of the page of all clusters; those of a level share their streams."""
    records = [_records(level, first_group) for level in reversed(range(LEVELS))]
    header = np.zeros(1, layout.PAGE_HEADER)
    header["cluster_count"], header["group_count"] = sum(map(len, records)), group_count
    header["flags"] = layout.CONSTANTS["PAGE_ROOT"]
    streams = [_streams(level) for level in reversed(range(LEVELS))]
    table = np.concatenate(records)
    table["index"] = np.arange(len(table))
    table_words = len(table) * layout.CONSTANTS["CLUSTER_WORDS"]
    stream_start = table_words + np.cumsum([0, *map(len, streams)])[:-1]
    table["data"] = np.repeat(stream_start, list(map(len, records)))
    table["data"] -= table["index"] * np.uint32(layout.CONSTANTS["CLUSTER_WORDS"])
    header["dependency_word"] = layout.CONSTANTS["PAGE_HEADER_WORDS"] + table_words
    header["word_count"] = header["dependency_word"] + sum(map(len, streams))
    return np.concatenate([header.view(np.uint32), table.view(np.uint32), *streams])


def _records(level: int, first_group: list[int]) -> np.ndarray:
    """Return the layout.CLUSTER records of a level, but for `data` and `index`."""
    constants, number = layout.CONSTANTS, np.arange(_clusters_of(level))
    length = _LENGTH * _WIDTH**level
    records = np.zeros(len(number), layout.CLUSTER)
    records["origin"][:, 0] = length * number
    records["extent"][:, :2] = length, _LENGTH
    records["made_by"] = first_group[level - 1] + number if level else layout.NONE
    records["group"] = first_group[level] + number // _WIDTH
    flags = constants["CLUSTER_HAS_NORMALS"] | constants["CLUSTER_TWO_SIDED"]
    records["counts"] = 4 | 2 << 8 | level << 16 | flags << 24
    records["bits"] = length.bit_length() | _LENGTH.bit_length() << 5 | 1 << 25
    return records


def _streams(level: int) -> np.ndarray:
    """Return the words of a rectangle of two triangles: material range, triangles, positions, normals along z."""
    length = _LENGTH * _WIDTH**level
    x_bits, y_bits = length.bit_length(), _LENGTH.bit_length()
    corners = [0, length, _LENGTH << x_bits, length | _LENGTH << x_bits]
    positions = sum(corner << i * (x_bits + y_bits) for i, corner in enumerate(corners))
    position_words = -(-len(corners) * (x_bits + y_bits) // 32)
    content = bytes((0, 1, 2, 2, 1, 3, 0, 0)) + positions.to_bytes(4 * position_words, "little") + bytes(8)
    return np.concatenate([np.array([2], np.uint32), np.frombuffer(content, np.uint32)])
