"""Read mesh files of any supported format into one SourceScene.

Own readers serve glTF, OBJ, OFF, PLY and STL: general loaders re-encode textures, copy instances,
cannot decode compressed buffers or are many times slower.
"""

import logging
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from engine.builder.gltfscene import read_gltf
from engine.builder.objfile import read_obj
from engine.builder.plyfile import read_ply, read_stl
from engine.builder.source import SourceMesh, SourceScene, clean_mesh, single_mesh_scene
from engine.builder.textfile import read_off
from engine.settings import BuildSettings

__all__ = ["SUFFIXES", "SourceMesh", "SourceScene", "read_mesh_file", "read_mesh_files"]

logger = logging.getLogger("engine")

_READERS: dict[str, Callable[[Path, dict], SourceScene | SourceMesh]] = {
    ".glb": read_gltf,
    ".gltf": read_gltf,
    ".obj": read_obj,
    ".off": read_off,
    ".ply": read_ply,
    ".stl": read_stl,
}
SUFFIXES = tuple(_READERS)
_LONGEST_REASON = 300  # characters
# Z up to Y up: -90 degrees about x.
_UPRIGHT = {"y": np.eye(3), "z": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])}


def read_mesh_file(path: str | Path, settings: BuildSettings | None = None) -> SourceScene:
    """Return the scene of one mesh file, in metres with +Y up.

    Raises ValueError "path: reason" where the file cannot be read, holds no triangle, or is not finite.
    """
    path, settings, report = Path(path), settings or BuildSettings(), {}
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ValueError(f"{path}: unknown format {path.suffix!r}; one of: {', '.join(SUFFIXES)}")
    try:
        _check_file(path)
        with np.errstate(all="ignore"):  # what is not finite is found and counted by clean_mesh
            result = reader(path, report)
            scene = result if isinstance(result, SourceScene) else single_mesh_scene(result, report)
            scene.report = report
            scene = _clean_scene(_orient(scene, settings))
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror or error})") from None
    except ValueError as error:
        text = " ".join(str(error).split())
        text = text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]} ..."
        raise ValueError(f"{path}: {text}") from None
    except MemoryError:
        raise ValueError(f"{path}: does not fit into memory") from None
    except Exception as error:  # a malformed file can break any assumption of a reader
        logger.debug("reading %s", path, exc_info=True)
        text = " ".join(str(error).split())[:200]
        raise ValueError(f"{path}: is malformed ({type(error).__name__}: {text})") from None
    if losses := _reasons(scene.report):
        logger.warning("%s: not everything in it is used%s", path, losses)
    return scene


def _check_file(path: Path) -> None:
    """Raise ValueError where there is nothing to read, or where reading might never end."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise ValueError("is a folder; name a mesh file in it")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("is a pipe or a device, not a file; write the mesh into a file first")
    if status.st_size == 0:
        raise ValueError("is empty (0 bytes)")


def read_mesh_files(paths: Iterable[str | Path], settings: BuildSettings | None = None) -> SourceScene:
    """Return one scene of several files, each placed as it is; errors as `read_mesh_file`."""
    scenes = [read_mesh_file(path, settings) for path in paths]
    if not scenes:
        raise ValueError("no mesh file was given")
    return scenes[0] if len(scenes) == 1 else _join_scenes(scenes)


def _join_scenes(scenes: list[SourceScene]) -> SourceScene:
    joined = SourceScene([], np.zeros(0, np.int32), np.zeros((0, 4, 4)), scenes[0].materials[:0], [], [], {})
    for scene in scenes:
        records = scene.materials.copy()
        for name in records.dtype.names or ():
            if name.endswith("_texture"):
                used = records[name] < len(scene.textures)
                records[name][used] += np.uint32(len(joined.textures))
        for mesh in scene.meshes:
            mesh.face_material = mesh.face_material + np.int32(len(joined.materials))
        moved = scene.instance_mesh + np.int32(len(joined.meshes))
        joined.instance_mesh = np.concatenate([joined.instance_mesh, moved])
        joined.instance_transform = np.concatenate([joined.instance_transform, scene.instance_transform])
        joined.meshes += scene.meshes
        joined.materials = np.concatenate([joined.materials, records])
        joined.material_names += scene.material_names
        joined.textures += scene.textures
        for key, value in scene.report.items():
            joined.report[key] = joined.report[key] + value if key in joined.report else value
    return joined


def _orient(scene: SourceScene, settings: BuildSettings) -> SourceScene:
    """Turn the up axis to +Y and scale to metres: positions p become A p, instances M become A M inverse(A)."""
    if settings.up == "y" and settings.scale == 1.0:
        return scene
    rotation = _UPRIGHT[settings.up]
    for mesh in scene.meshes:
        mesh.positions = np.ascontiguousarray(mesh.positions @ (settings.scale * rotation).T)
        if mesh.normals is not None:
            mesh.normals = np.ascontiguousarray(mesh.normals @ rotation.T.astype(np.float32))
    linear = rotation @ scene.instance_transform[:, :3, :3] @ rotation.T
    translation = scene.instance_transform[:, :3, 3] @ (settings.scale * rotation).T
    scene.instance_transform = scene.instance_transform.copy()
    scene.instance_transform[:, :3, :3] = linear
    scene.instance_transform[:, :3, 3] = translation
    return scene


def _clean_scene(scene: SourceScene) -> SourceScene:
    """Drop bad faces, then meshes without a face and their instances; ValueError where nothing is left."""
    cleaned = [clean_mesh(mesh, scene.report) for mesh in scene.meshes]
    kept = np.array([mesh is not None for mesh in cleaned], bool)
    if not kept.any():
        raise ValueError(f"holds no usable triangles{_reasons(scene.report)}")
    scene.meshes = [mesh for mesh in cleaned if mesh is not None]
    placed = kept[scene.instance_mesh]
    scene.instance_transform = scene.instance_transform[placed]
    if not np.isfinite(scene.instance_transform).all():
        raise ValueError("its transforms are not finite at this scale; use a smaller one")
    scene.instance_mesh = (np.cumsum(kept) - 1).astype(np.int32)[scene.instance_mesh[placed]]
    return scene


def _reasons(report: dict) -> str:
    counts = [f"{key.replace('_', ' ')}: {value}" for key, value in report.items() if isinstance(value, int)]
    return f" ({', '.join(counts)})" if counts else ""
