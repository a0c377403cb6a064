"""The scene TOML: which assets, placed where.

materials = "shaders"       # optional: folder of material functions (NAME.wgsl), relative to the TOML

[[assets]]                  # one table per asset
path = "../bunny.mlith"     # relative to the TOML
name = "bunny"              # optional; default: the file name without its suffix
shaders = { Fur = "fur" }   # optional: which material (by name; "*": all) is shaded by which function; default: gltf

[[instances]]               # one table per placement; the asset is scaled, then rotated, then moved
asset = "bunny"             # optional if there is one asset
mesh = "ear"                # optional: one mesh (name or number) instead of all instances of the asset's file
translate = [0, 0, 0]       # metres
rotate = [0, 90, 0]         # degrees about x, then y, then z; or [x, y, z, degrees]: about an axis
quaternion = [0, 0, 0, 1]   # x, y, z, w: instead of rotate
scale = 2.0                 # or [x, y, z]; negative values mirror
matrix = [...]              # 16 numbers, row after row, column vectors: instead of the four above

[instances.grid]            # optional: repeats the placement on a grid centred at `translate`
count = [100, 1, 100]
spacing = [2, 2, 2]         # metres between neighbours; or one number
rotation = "y"              # optional: each turned at random: "none" (the default), "y" (about the vertical) or "any"
seed = 1                    # optional; the same seed gives the same scene

[instances.scatter]         # optional, instead of grid: random places in a box about `translate`
count = 10000
box = [50, 0, 50]           # edges of the box in metres
seed = 1                    # optional; the same seed gives the same scene
scale = [0.5, 1.5]          # optional: uniform scale from this range
rotation = "y"              # optional: "none", "y" (about the vertical, the default) or "any"

[camera]                    # optional; default: the whole scene is framed
eye = [0, 1, 5]
target = [0, 1, 0]
up = [0, 1, 0]              # optional, as are fov_degrees, near and orthographic_height
"""

import math
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from engine.camera import Camera

LARGEST_REPEAT = 1 << 28
_CHUNK = 1 << 16  # instances made at once, to bound memory
_PLACEMENT_KEYS = {"asset", "mesh", "translate", "rotate", "quaternion", "scale", "matrix", "grid", "scatter"}


@dataclass(frozen=True)
class Placement:
    """One [[instances]] table: an asset (or one mesh of it) and how it is repeated."""

    label: str
    asset: int
    mesh: str | int | None
    matrix: np.ndarray  # (3, 4) float64
    grid: dict[str, Any] | None = None
    scatter: dict[str, Any] | None = None

    def transforms(self) -> np.ndarray:
        """Return the matrices of all repetitions, (k, 3, 4) float64."""
        if self.grid is not None:
            places = grid_transforms(self.matrix, self.grid["count"], self.grid["spacing"])
            return _turned(places, self.grid["rotation"], self.grid["seed"])
        if self.scatter is not None:
            return _scatter(self.matrix, **self.scatter)
        return self.matrix[None]


@dataclass(frozen=True)
class SceneFile:
    """What a scene TOML says, with paths made absolute."""

    asset_paths: list[Path]
    asset_names: list[str]
    placements: list[Placement]
    camera: Camera | None = None
    shaders: list[dict[str, str]] = field(default_factory=list)  # of each asset: material name -> material function
    material_folder: Path | None = None


def read_scene_file(path: str | Path) -> SceneFile:
    """Read a scene TOML. Raises ValueError that starts with the path, and OSError where it cannot be read."""
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        return _scene_file(values, path.resolve().parent)
    except (ValueError, TypeError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise ValueError(f"{path}: {error}") from None


def _scene_file(values: dict[str, Any], folder: Path) -> SceneFile:
    _known_keys("the scene", values, {"assets", "instances", "camera", "materials"})
    tables = values.get("assets", [])
    if not tables:
        raise ValueError("no [[assets]] table; add one with path = 'file.mlith'")
    names, paths, shaders = [], [], []
    for number, table in enumerate(tables):
        _known_keys(f"[[assets]] {number}", table, {"path", "name", "shaders"})
        if not isinstance(table.get("path"), str):
            raise ValueError(f"[[assets]] {number} has no path; write path = 'file.mlith'")
        paths.append(folder / table["path"])
        names.append(str(table.get("name", paths[-1].stem)))
        shaders.append(_shaders(f"[[assets]] {number}", table.get("shaders", {})))
        if names[-1] in names[:-1]:
            raise ValueError(f"two assets are called {names[-1]!r}; give one of them another name")
    numbers = {name: number for number, name in enumerate(names)}
    placements = [_placement(i, table, numbers) for i, table in enumerate(values.get("instances", []))]
    if not placements:
        placements = [_placement(i, {"asset": name}, numbers) for i, name in enumerate(names)]
    camera = None
    if "camera" in values:
        _known_keys("[camera]", values["camera"], {f.name for f in fields(Camera)})
        if not {"eye", "target"} <= values["camera"].keys():
            raise ValueError("[camera] needs eye and target")
        camera = Camera(**values["camera"])
    return SceneFile(paths, names, placements, camera, shaders, _folder(values, folder))


def _folder(values: dict[str, Any], folder: Path) -> Path | None:
    name = values.get("materials")
    if name is None:
        return None
    if not isinstance(name, str) or not (folder / name).is_dir():
        raise ValueError(f"materials is {name!r}, which is not a folder beside the scene file")
    return folder / name


def _shaders(label: str, table: Any) -> dict[str, str]:
    """Return material name -> shader name as a scene file gives them, checked."""
    if not isinstance(table, dict) or not all(isinstance(name, str) for name in table.values()):
        raise ValueError(f"{label}: shaders must name a material function for each material, not {table!r}")
    return table


def _placement(number: int, table: dict[str, Any], assets: dict[str, int]) -> Placement:
    label = f"[[instances]] {number}"
    _known_keys(label, table, _PLACEMENT_KEYS)
    name = table.get("asset", next(iter(assets)) if len(assets) == 1 else None)
    if name not in assets:
        raise ValueError(f"{label}: asset {name!r} is not one of {', '.join(assets)}")
    if "grid" in table and "scatter" in table:
        raise ValueError(f"{label} has both a grid and a scatter; use two tables")
    grid, scatter = table.get("grid"), table.get("scatter")
    if grid is not None:
        grid = _checked_grid(label, grid)
    if scatter is not None:
        scatter = _checked_scatter(label, scatter)
    return Placement(label, assets[name], table.get("mesh"), _matrix(label, table), grid, scatter)


def _checked_grid(label: str, table: dict[str, Any]) -> dict[str, Any]:
    _known_keys(f"{label} grid", table, {"count", "spacing", "rotation", "seed"}, {"count", "spacing"})
    result = {"seed": 0, "rotation": "none", **table, "spacing": _numbers(label, "spacing", table["spacing"], 3)}
    _check_rotation(f"{label}: grid", result)
    if np.shape(table["count"]) != (3,) or not all(isinstance(n, int) and n > 0 for n in table["count"]):
        raise ValueError(f"{label}: grid count must be three positive integers, not {table['count']}")
    _checked_count(label, math.prod(table["count"]))
    return result


def _checked_scatter(label: str, table: dict[str, Any]) -> dict[str, Any]:
    _known_keys(f"{label} scatter", table, {"count", "box", "seed", "scale", "rotation"}, {"count", "box"})
    result = {"seed": 0, "rotation": "y", **table, "box": _numbers(label, "box", table["box"], 3)}
    result["scale"] = _numbers(label, "scale", table.get("scale", 1.0), 2)
    if not isinstance(result["count"], int):
        raise ValueError(f"{label}: scatter count must be an integer")
    _check_rotation(f"{label}: scatter", result)
    if (result["scale"] <= 0.0).any():
        raise ValueError(f"{label}: scatter scale {result['scale'].tolist()} must be positive")
    _checked_count(label, result["count"])
    return result


def _check_rotation(label: str, table: dict[str, Any]) -> None:
    if not isinstance(table["seed"], int) or table["seed"] < 0:
        raise ValueError(f"{label} seed must be an integer, not negative")
    if table["rotation"] not in ("none", "y", "any"):
        raise ValueError(f"{label} rotation is {table['rotation']!r}; use 'none', 'y' or 'any'")


def _matrix(label: str, table: dict[str, Any]) -> np.ndarray:
    """Return the placement's own (3, 4) float64 matrix."""
    if "matrix" in table:
        if table.keys() & {"translate", "rotate", "quaternion", "scale"}:
            raise ValueError(f"{label} has a matrix and parts of one; use either")
        rows = _numbers(label, "matrix", np.ravel(table["matrix"]), 16).reshape(4, 4)
        if (rows[3] != (0, 0, 0, 1)).any():
            raise ValueError(f"{label}: the last row of the matrix must be 0 0 0 1")
        return rows[:3]
    if "rotate" in table and "quaternion" in table:
        raise ValueError(f"{label} has both rotate and quaternion; use one")
    linear = np.eye(3)
    if "quaternion" in table:
        linear = rotation_from_quaternions(_numbers(label, "quaternion", table["quaternion"], 4)[None])[0]
    elif np.size(table.get("rotate", 0)) == 4:
        linear = _axis_rotation(label, *np.split(_numbers(label, "rotate", table["rotate"], 4), [3]))
    elif "rotate" in table:
        for axis, degrees in enumerate(_numbers(label, "rotate", table["rotate"], 3)):
            linear = _axis_rotation(label, np.eye(3)[axis], degrees) @ linear
    linear = linear * _numbers(label, "scale", table.get("scale", 1.0), 3)
    return np.column_stack([linear, _numbers(label, "translate", table.get("translate", 0.0), 3)])


def _axis_rotation(label: str, axis: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    length = math.hypot(*axis)
    if length == 0.0:
        raise ValueError(f"{label}: the rotation axis is the zero vector")
    half = math.radians(float(np.squeeze(degrees))) / 2
    return rotation_from_quaternions(np.array([[*(math.sin(half) * axis / length), math.cos(half)]]))[0]


def rotation_from_quaternions(quaternions: np.ndarray) -> np.ndarray:
    """Return rotation matrices (k, 3, 3) float64 of (k, 4) quaternions x, y, z, w of any length but 0."""
    lengths = np.linalg.norm(quaternions, axis=1, keepdims=True)
    if (lengths == 0.0).any():
        raise ValueError("a quaternion is zero; use 0, 0, 0, 1 for no rotation")
    x, y, z, w = (quaternions / lengths).T
    result = np.empty((len(quaternions), 3, 3))
    result[:, 0, 0], result[:, 0, 1], result[:, 0, 2] = (
        1 - 2 * (y * y + z * z),
        2 * (x * y - z * w),
        2 * (x * z + y * w),
    )
    result[:, 1, 0], result[:, 1, 1], result[:, 1, 2] = (
        2 * (x * y + z * w),
        1 - 2 * (x * x + z * z),
        2 * (y * z - x * w),
    )
    result[:, 2, 0], result[:, 2, 1], result[:, 2, 2] = (
        2 * (x * z - y * w),
        2 * (y * z + x * w),
        1 - 2 * (x * x + y * y),
    )
    return result


def grid_transforms(matrix: np.ndarray, count: list[int], spacing: np.ndarray) -> np.ndarray:
    """Return copies of `matrix` on a grid centred at its translation; z varies slowest, x fastest."""
    steps = [(np.arange(n) - 0.5 * (n - 1)) * s for n, s in zip(count, spacing)]
    z, y, x = np.meshgrid(*reversed(steps), indexing="ij")
    result = np.broadcast_to(matrix, (x.size, 3, 4)).copy()
    for axis, values in enumerate((x, y, z)):
        result[:, axis, 3] += values.ravel()
    return result


def _turned(transforms: np.ndarray, rotation: str, seed: int) -> np.ndarray:
    """Turn each of `transforms` (k, 3, 4) at random about its own origin, in place, and return them."""
    generator = np.random.default_rng(seed)
    for first in range(0, len(transforms) if rotation != "none" else 0, _CHUNK):
        part = transforms[first : first + _CHUNK, :, :3]
        part[:] = _random_rotations(generator, len(part), rotation) @ part
    return transforms


def _random_rotations(generator: np.random.Generator, count: int, rotation: str) -> np.ndarray:
    """Return rotation matrices (count, 3, 3): "y" about the vertical, "any" about any axis, "none" not turned."""
    quaternions = np.tile([0.0, 0.0, 0.0, 1.0], (count, 1))
    if rotation == "y":
        half = generator.uniform(0.0, math.pi, count)
        quaternions[:, 1], quaternions[:, 3] = np.sin(half), np.cos(half)
    elif rotation == "any":
        quaternions = generator.standard_normal((count, 4))
    return rotation_from_quaternions(quaternions)


def _scatter(
    matrix: np.ndarray, count: int, box: np.ndarray, seed: int, scale: np.ndarray, rotation: str
) -> np.ndarray:
    """Return copies of `matrix` at seeded random places, turned and scaled about their own origin."""
    generator = np.random.default_rng(seed)
    result = np.empty((count, 3, 4))
    for first in range(0, count, _CHUNK):
        part = result[first : first + _CHUNK]
        part[:, :, 3] = matrix[:, 3] + generator.uniform(-0.5, 0.5, (len(part), 3)) * box
        sizes = generator.uniform(scale[0], scale[1], len(part))
        turns = _random_rotations(generator, len(part), rotation) * sizes[:, None, None]
        part[:, :, :3] = (turns.reshape(-1, 3) @ matrix[:, :3]).reshape(-1, 3, 3)
    return result


def _numbers(label: str, name: str, value: Any, count: int) -> np.ndarray:
    """Return `value` as `count` finite float64 (one number is repeated)."""
    numbers = np.asarray(value)
    if numbers.dtype.kind not in "fiu" or numbers.shape not in ((), (count,)) or not np.isfinite(numbers).all():
        raise ValueError(f"{label}: {name} must be {count} finite numbers, not {value}")
    return np.broadcast_to(numbers.astype(float), (count,)).copy()


def _known_keys(label: str, table: Any, known: set[str], needed: frozenset | set[str] = frozenset()) -> None:
    if not isinstance(table, dict):
        raise ValueError(f"{label} must be a table")
    if unknown := table.keys() - known:
        raise ValueError(f"{label}: unknown key {min(unknown)!r}; one of: {', '.join(sorted(known))}")
    if missing := needed - table.keys():
        raise ValueError(f"{label}: {min(missing)!r} is missing")


def _checked_count(label: str, count: int) -> None:
    if not 1 <= count <= LARGEST_REPEAT:
        raise ValueError(f"{label}: {count} instances; use 1 to {LARGEST_REPEAT}")
