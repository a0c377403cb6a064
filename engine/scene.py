"""Scenes: assets and their instances in scene-wide numbering.

An asset numbers its meshes, nodes, groups, clusters, pages, materials and textures from 0. A Scene joins the tables of
its assets one after the other and moves every index by what came before. References inside a page stay as they are:
they count from Mesh.group_base.

A scene TOML lists assets and places them; engine/scene_file.py documents its fields.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine import layout
from engine.asset import open_asset
from engine.camera import Camera, frame_bounds
from engine.instances import affine, compose, from_matrices
from engine.scene_file import read_scene_file

NONE = layout.NONE
LARGEST_INSTANCE_COUNT = layout.CONSTANTS["INSTANCE_TREE"]
_IDENTITY = np.eye(3, 4)
_CHUNK = 1 << 16  # instances handled at once, to bound memory
_KEPT_MOVES = 64  # moves that a renderer may be behind and still upload only what moved


class Scene:
    """Tables of one or several assets, and instances in slots that keep their number.

    Attributes (all scene-wide, to be read only):
        assets: the Asset objects; asset_names: their names.
        meshes layout.MESH (M,), nodes layout.NODE, groups layout.GROUP, materials layout.MATERIAL.
        mesh_asset (M,) int32, mesh_cluster_base (M,) int64 (scene number of the first cluster of the mesh's asset).
        pages (P, 2) int32: asset and page of that asset. textures (T, 2) int32: likewise.
        camera: the Camera that the scene description names, or None.
        material_shaders: the names (str) that Material.shader counts.
        material_folder: where the scene keeps material functions of its own, or None.
        revision: grows with every change of instances; placed_revision: only when instances were added or removed.
    """

    def __init__(self, assets: Sequence[Any], names: Sequence[str] | None = None, camera: Camera | None = None) -> None:
        """Join the tables of `assets` (open Asset objects); the scene has no instances yet."""
        if not assets:
            raise ValueError("a scene needs at least one asset")
        self.assets = list(assets)
        self.asset_names = list(names) if names is not None else [f"asset{i}" for i in range(len(assets))]
        self.camera = camera
        self.revision = self.placed_revision = 0
        self._moves: list[tuple[int, int, int]] = []  # revision, first slot, end slot of the latest moves
        self._bounds, self._bounds_revision = (np.zeros(3), np.zeros(3)), -1
        self.material_shaders, self.material_folder = ["gltf"], None
        self._join_tables()
        if len(self.materials) > layout.CONSTANTS["TARGET_MATERIAL_MASK"]:
            raise ValueError(f"the assets of this scene have {len(self.materials)} materials; 2^24 - 1 at most")
        self.materials["shader"] = 0
        self._slots = np.zeros(0, layout.INSTANCE)
        self._used = 0
        self._free: list[int] = []
        self._added = 0

    def _join_tables(self) -> None:
        sizes = np.array([_table_sizes(asset) for asset in self.assets], np.int64)
        if (sizes.sum(axis=0) >= NONE).any():
            raise ValueError("the assets of this scene have more than 2^32 nodes, groups or clusters together")
        bases = np.cumsum(sizes, axis=0) - sizes
        self._mesh_base, self._material_base = bases[:, 0], bases[:, 5]
        tables = [_rebased(asset, *base.tolist()) for asset, base in zip(self.assets, bases)]
        self.meshes, self.nodes, self.groups, self.materials = (np.concatenate(t) for t in zip(*tables))
        self.mesh_asset = np.repeat(np.arange(len(self.assets), dtype=np.int32), sizes[:, 0])
        self.mesh_cluster_base = np.repeat(bases[:, 3], sizes[:, 0])
        self.pages = _numbered(sizes[:, 4])
        self.textures = _numbered(sizes[:, 6])
        self.mesh_origins = self.meshes["origin_high"].astype(float) + self.meshes["origin_low"]

    @property
    def instances(self) -> np.ndarray:
        """layout.INSTANCE (slots,): a view of all slots in use or freed; `mesh` is NONE in a freed one."""
        return self._slots[: self._used]

    @property
    def live_slots(self) -> np.ndarray:
        """Slots that hold an instance, int64, ascending."""
        return np.flatnonzero(self.instances["mesh"] != NONE)

    @property
    def instance_count(self) -> int:
        """Number of instances in the scene."""
        return self._used - len(self._free)

    @property
    def page_word_counts(self) -> np.ndarray:
        """(P,) int64: how many words each scene-wide page has when decoded."""
        return np.concatenate([asset.page_word_counts for asset in self.assets])

    def page_words(self, page: int) -> np.ndarray:
        """Return the decoded words (uint32) of a scene-wide page."""
        asset, number = self.pages[page]
        return self.assets[asset].page_words(int(number))

    def texture_image(self, texture: int) -> tuple[str, bytes]:
        """Return a label and the encoded image of a scene-wide texture; raise ValueError where it is damaged."""
        asset, number = self.textures[texture]
        mime, data = self.assets[asset].texture(int(number))
        return f"asset {self.asset_names[asset]}: texture {number} ({mime})", data

    def set_shader(self, asset: int, material: str, shader: str) -> None:
        """Shade the materials of an asset that are called `material` ("*": all) by the function `shader`.

        The file is shader.wgsl in the folder of the scene, of the settings or of the package. Call it before the scene
        is drawn. Raises ValueError for an unknown material and for more functions than a scene holds.
        """
        names = list(self.assets[asset].material_names)
        chosen = [i for i, name in enumerate(names) if material in ("*", name)]
        if not chosen:
            raise ValueError(f"asset {self.asset_names[asset]!r} has no material {material!r}; it has {names[:8]}")
        if not re.fullmatch(r"[A-Za-z_]\w*", shader):
            raise ValueError(f"{shader!r} is not the name of a material function: letters, digits and _ only")
        if shader not in self.material_shaders:
            if len(self.material_shaders) == layout.CONSTANTS["MAX_SHADERS"]:
                raise ValueError(f"a scene holds at most {len(self.material_shaders)} material shaders")
            self.material_shaders.append(shader)
        first = int(self._material_base[asset])
        self.materials["shader"][[first + i for i in chosen]] = self.material_shaders.index(shader)

    def clusters(self) -> np.ndarray:
        """Return the layout.CLUSTER records of all pages, unchanged (`index` counts in the asset), in scene order."""
        return np.concatenate([asset.clusters() for asset in self.assets])

    def add_instances(self, meshes: int | np.ndarray, transforms: np.ndarray) -> np.ndarray:
        """Place meshes and return their slots, int64 (k,).

        `meshes`: scene-wide mesh, one or (k,); `transforms`: (k, 4, 4) or (k, 3, 4) float64, column vectors
        (world = M @ point, points of the asset's frame). Freed slots are taken first, lowest first. Raises ValueError
        for unknown meshes, bad matrices and more than 2^28 slots.
        """
        return self._place(np.asarray(meshes, np.int64), affine(transforms))

    def add_asset(self, asset: int, transforms: np.ndarray, mesh: str | int | None = None) -> np.ndarray:
        """Place an asset, with all instances of its file, at each of `transforms`; return the slots, int64.

        With `mesh` (name or number in the asset) only that mesh is placed, once for each transform.
        """
        if mesh is not None:
            return self.add_instances(int(self._mesh_base[asset]) + self._mesh_number(asset, mesh), transforms)
        own = self.assets[asset].instances
        inner, outer = own["transform"].astype(float), affine(transforms)
        meshes = self._mesh_base[asset] + own["mesh"].astype(np.int64)
        if len(inner) <= len(outer):  # loop over the shorter side
            slots = [self._place(m, outer, inner=i[None]) for m, i in zip(meshes, inner)]
        else:
            slots = [self._place(meshes, inner, outer=o[None]) for o in outer]
        return np.concatenate(slots) if slots else np.zeros(0, np.int64)

    def append_instances(self, other: "Scene", meshes: np.ndarray) -> None:
        """Append the slots of `other` in their order, freed ones too; its mesh m is mesh meshes[m] (int) here.

        Raises ValueError for more than 2^28 slots.
        """
        first, records = self._used, other.instances.copy()
        if first + len(records) > LARGEST_INSTANCE_COUNT:
            raise ValueError(f"{first + len(records)} instances; a scene holds at most {LARGEST_INSTANCE_COUNT}")
        live = records["mesh"] != NONE
        records["mesh"][live] = np.asarray(meshes)[records["mesh"][live]]
        records["user_index"] += np.uint32(self._added & 0xFFFFFFFF)
        self._slots = np.concatenate([self.instances, records])
        self._used, self._added = len(self._slots), self._added + other._added
        self._free = sorted([*self._free, *(first + slot for slot in other._free)], reverse=True)
        self._changed()

    def remove_instances(self, slots: np.ndarray) -> None:
        """Free `slots`. Raises ValueError where one holds no instance."""
        slots = self._checked_slots(slots)
        self._slots["mesh"][slots] = NONE
        self._free = sorted({*self._free, *slots.tolist()}, reverse=True)
        self._changed()

    def set_transforms(self, slots: np.ndarray, transforms: np.ndarray) -> None:
        """Move the instances in `slots` to `transforms` ((k, 4, 4) or (k, 3, 4) float64)."""
        slots = self._checked_slots(slots)
        transforms = affine(transforms)
        if len(transforms) != len(slots):
            raise ValueError(f"{len(transforms)} transforms for {len(slots)} instances")
        meshes = self._slots["mesh"][slots]
        records = from_matrices(meshes, self.mesh_origins[meshes], transforms)
        for name in ("generation", "user_index"):
            records[name] = self._slots[name][slots]
        self._slots[slots] = records
        if len(slots):
            self.revision += 1
            self._moves = [*self._moves[1 - _KEPT_MOVES :], (self.revision, int(slots.min()), int(slots.max()) + 1)]

    def moved_since(self, revision: int) -> slice | None:
        """Return the slots that moved after `revision`, or None where instances were added or removed meanwhile."""
        later = [move for move in self._moves if move[0] > revision]
        if self.placed_revision > revision or len(later) < self.revision - revision:
            return None
        return slice(min((move[1] for move in later), default=0), max((move[2] for move in later), default=0))

    def _changed(self) -> None:
        self.revision += 1
        self.placed_revision = self.revision

    def instance_boxes(self, slots: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return world boxes (minimum, maximum), each (k, 3) float64, of `slots` (default: live_slots)."""
        slots = self.live_slots if slots is None else self._checked_slots(slots)
        low, high = np.zeros((2, len(slots), 3))
        mesh_low, mesh_high = self.meshes["box_min"].astype(float), self.meshes["box_max"].astype(float)
        for first in range(0, len(slots), _CHUNK):
            part = slice(first, first + _CHUNK)
            records = self._slots[slots[part]]
            mesh = records["mesh"]
            centre, half = 0.5 * (mesh_low + mesh_high)[mesh], 0.5 * (mesh_high - mesh_low)[mesh]
            middle = records["translation_high"].astype(float) + records["translation_low"]
            reach = np.zeros_like(middle)
            for axis, name in enumerate(("linear_x", "linear_y", "linear_z")):
                column = records[name].astype(float)
                middle += column * centre[:, axis, None]
                reach += np.abs(column) * half[:, axis, None]
            low[part], high[part] = middle - reach, middle + reach
        return low, high

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the world box (minimum, maximum) of all instances, float64 (3,); ValueError if there is none."""
        if self._bounds_revision != self.revision:
            low, high = self.instance_boxes()
            if not len(low):
                raise ValueError("the scene has no instances; add one to give it bounds")
            self._bounds, self._bounds_revision = (low.min(axis=0), high.max(axis=0)), self.revision
        return self._bounds[0].copy(), self._bounds[1].copy()

    def default_camera(self, aspect: float = 16 / 9) -> Camera:
        """Return the camera of the description, or one that frames the whole scene."""
        return self.camera if self.camera is not None else frame_bounds(*self.bounds(), aspect=aspect)

    def _place(
        self,
        meshes: np.ndarray,
        transforms: np.ndarray,
        inner: np.ndarray | None = None,
        outer: np.ndarray | None = None,
    ) -> np.ndarray:
        """Add instances with matrices outer @ transforms @ inner, chunk by chunk; all of them or, on error, none."""
        meshes = np.broadcast_to(meshes, len(transforms))
        if len(meshes) and not (meshes.min() >= 0 and meshes.max() < len(self.meshes)):
            raise ValueError(f"mesh {int(meshes.min())}..{int(meshes.max())} is not one of {len(self.meshes)} meshes")
        slots = self._take_slots(len(transforms))
        try:
            for first in range(0, len(transforms), _CHUNK):
                part = slice(first, first + _CHUNK)
                matrices = transforms[part]
                if inner is not None and (inner != _IDENTITY).any():
                    matrices = compose(matrices, inner)
                if outer is not None:
                    matrices = compose(outer, matrices)
                records = from_matrices(meshes[part], self.mesh_origins[meshes[part]], matrices, first)
                records["user_index"] = (self._added + first + np.arange(len(records))) & 0xFFFFFFFF
                rows = _run_or_rows(slots[part])
                records["generation"] = self._slots["generation"][rows] + np.uint32(1)
                self._slots[rows] = records
        except ValueError:
            self._slots["mesh"][slots] = NONE
            self._free = sorted({*self._free, *slots.tolist()}, reverse=True)
            raise
        self._added += len(slots)
        self._changed()
        return slots

    def _mesh_number(self, asset: int, mesh: str | int) -> int:
        names = list(self.assets[asset].mesh_names)
        number = names.index(mesh) if mesh in names else mesh
        if not isinstance(number, int) or not 0 <= number < len(names):
            raise ValueError(f"asset {self.asset_names[asset]!r} has no mesh {mesh!r}; it has {names[:8]}")
        return number

    def _take_slots(self, count: int) -> np.ndarray:
        reused = self._free[len(self._free) - min(count, len(self._free)) :][::-1]
        fresh = count - len(reused)
        if self._used + fresh > LARGEST_INSTANCE_COUNT:
            raise ValueError(f"{self._used + fresh} instances; a scene holds at most {LARGEST_INSTANCE_COUNT}")
        del self._free[len(self._free) - len(reused) :]
        if self._used + fresh > len(self._slots):
            size = max(self._used + fresh, min(2 * len(self._slots), LARGEST_INSTANCE_COUNT))
            grown = np.zeros(size, layout.INSTANCE)  # what is beyond self._used is never read
            grown[: self._used] = self._slots[: self._used]
            self._slots = grown
        slots = np.concatenate([np.array(reused, np.int64), np.arange(self._used, self._used + fresh)])
        self._used += fresh
        return slots

    def _checked_slots(self, slots: np.ndarray) -> np.ndarray:
        slots = np.atleast_1d(np.asarray(slots, np.int64))
        known = (slots >= 0) & (slots < self._used)
        if not known.all() or (self._slots["mesh"][slots] == NONE).any():
            raise ValueError(
                f"slots {slots[:8].tolist()} are not all in use ({self._used} slots, {self._free[:8]} freed)"
            )
        if len(np.unique(slots)) != len(slots):
            raise ValueError("a slot is named twice")
        return slots


def _run_or_rows(rows: np.ndarray) -> slice | np.ndarray:
    """Return ascending `rows` without gaps as a slice, which numpy reads and writes much faster, else themselves."""
    if len(rows) and int(rows[-1]) - int(rows[0]) == len(rows) - 1 and (np.diff(rows) == 1).all():
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def _rebased(
    asset: Any, mesh: int, node: int, group: int, cluster: int, page: int, material: int, texture: int
) -> tuple:
    """Return copies of an asset's mesh, node, group and material tables with scene-wide indices."""
    meshes, nodes = asset.meshes.copy(), asset.nodes.copy()
    groups, materials = asset.groups.copy(), asset.materials.copy()
    meshes["root_node"] += np.uint32(node)
    meshes["group_base"] += np.uint32(group)
    meshes["material_base"] += np.uint32(material)
    leaf = nodes["child_count"] == layout.CONSTANTS["NODE_LEAF"]
    nodes["child"] += np.where(leaf, group, node).astype(np.uint32)
    groups["page"] += np.uint32(page)
    groups["first_cluster"] += np.uint32(cluster)
    groups["mesh"] += np.uint32(mesh)
    for name in (name for name in materials.dtype.names if name.endswith("_texture")):
        materials[name] += np.where(materials[name] == NONE, 0, texture).astype(np.uint32)
    return meshes, nodes, groups, materials


def _table_sizes(asset: Any) -> tuple[int, ...]:
    """Return how many meshes, nodes, groups, clusters, pages, materials and textures an asset has."""
    clusters = int(asset.meshes["cluster_count"].sum(dtype=np.int64))
    tables = asset.meshes, asset.nodes, asset.groups, asset.materials
    meshes, nodes, groups, materials = map(len, tables)
    return meshes, nodes, groups, clusters, asset.page_count, materials, len(asset.textures)


def _numbered(counts: np.ndarray) -> np.ndarray:
    """Return (n, 2) int32: for each of `counts` things of each asset, the asset and the thing's number in it."""
    asset = np.repeat(np.arange(len(counts)), counts)
    return np.stack([asset, np.arange(len(asset)) - (np.cumsum(counts) - counts)[asset]], axis=1).astype(np.int32)


def scene_from_assets(assets: Sequence[Any], names: Sequence[str] | None = None) -> Scene:
    """Return a scene of all instances that the files of `assets` hold, each where its file puts it."""
    scene = Scene(assets, names)
    for asset in range(len(scene.assets)):
        scene.add_asset(asset, np.eye(4)[None])
    return scene


def load_scene(path: str | os.PathLike) -> Scene:
    """Open a scene: a .mlith asset or a scene TOML. Raises ValueError or OSError that names the file."""
    path = Path(path)
    if path.suffix.lower() != ".toml":
        return scene_from_assets([open_asset(path)], [path.stem])
    description = read_scene_file(path)
    opened = {file: open_asset(file) for file in dict.fromkeys(description.asset_paths)}
    scene = Scene([opened[file] for file in description.asset_paths], description.asset_names, description.camera)
    scene.material_folder = description.material_folder
    for asset, shaders in enumerate(description.shaders):
        for material, shader in shaders.items():
            try:
                scene.set_shader(asset, material, shader)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from None
    for placement in description.placements:
        try:
            scene.add_asset(placement.asset, placement.transforms(), placement.mesh)
        except ValueError as error:
            raise ValueError(f"{path}: {placement.label}: {error}") from None
    return scene
