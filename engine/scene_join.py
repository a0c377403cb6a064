"""Put several scenes into one, as if one description had listed all their assets and instances."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine import layout
from engine.scene import Scene


def join_scenes(scenes: Sequence[Scene]) -> Scene:
    """Return a new Scene of the assets and instances of all `scenes`; they stay as they are.

    Slots keep their order: slot s of a scene becomes s plus the slots of the scenes before it, freed ones included. An
    asset file that several scenes have opened, and shade alike, is there once. Names stay unique: a second "bunny"
    becomes "bunny_2". The first camera wins. Raises ValueError where the scenes have different folders of material
    functions, mean different functions by one name, or have too many functions, materials, meshes or instances.
    """
    if not scenes:
        raise ValueError("there are no scenes to join")
    folder = _common_folder(scenes)
    numbers: dict[tuple, int] = {}  # of the joined assets, by file and functions
    assets, names, functions, numbers_of = [], [], [], []
    for scene in scenes:
        parts = list(zip(scene.assets, scene.asset_names, _functions(scene)))
        keys = [(_identity(asset), used) for asset, _, used in parts]
        for key, (asset, name, used) in zip(keys, parts):
            if key not in numbers:
                numbers[key] = len(assets)
                assets.append(asset)
                names.append(_unique(name, names))
                functions.append(used)
        numbers_of.append([numbers[key] for key in keys])
    joined = Scene(assets, names, next((scene.camera for scene in scenes if scene.camera is not None), None))
    _set_functions(joined, functions)
    joined.material_folder = folder
    mesh_counts = [len(asset.meshes) for asset in assets]
    first_mesh = np.cumsum(mesh_counts) - mesh_counts
    for scene, places in zip(scenes, numbers_of):
        meshes = np.concatenate([first_mesh[place] + np.arange(mesh_counts[place]) for place in places])
        joined.append_instances(scene, meshes)
    return joined


def _identity(asset: Any) -> object:
    """Return what is equal for two openings of one file, unless the file was replaced in between."""
    return getattr(asset, "identity", id(asset))  # assets in memory are only themselves


def _unique(name: str, taken: Sequence[str]) -> str:
    """Return `name`, or the first of name_2, name_3, ... that is not taken."""
    number, result = 2, name
    while result in taken:
        result, number = f"{name}_{number}", number + 1
    return result


def _functions(scene: Scene) -> list[tuple[str, ...]]:
    """Return for each asset the names of its materials' functions."""
    ends = np.cumsum([len(asset.materials) for asset in scene.assets])
    parts = np.split(scene.materials["shader"], ends[:-1])
    return [tuple(scene.material_shaders[number] for number in part) for part in parts]


def _set_functions(scene: Scene, functions: Iterable[tuple[str, ...]]) -> None:
    """Give the materials of the joined scene their functions (names, for each asset)."""
    used = [name for names in functions for name in names]
    known, most = list(dict.fromkeys([*scene.material_shaders, *used])), layout.CONSTANTS["MAX_SHADERS"]
    if len(known) > most:
        raise ValueError(f"the scenes have {len(known)} material functions together; a scene holds at most {most}")
    scene.material_shaders = known
    number = {name: i for i, name in enumerate(known)}
    scene.materials["shader"] = [number[name] for name in used]


def _common_folder(scenes: Sequence[Scene]) -> Path | None:
    """Return the folder of material functions that serves all scenes; raise ValueError where none does."""
    folders = list(dict.fromkeys(scene.material_folder.resolve() for scene in scenes if scene.material_folder))
    if len(folders) > 1:
        named = " and ".join(map(str, folders))
        raise ValueError(f"the scenes have different folders of material functions, {named}; use one for both")
    folder = folders[0] if folders else None
    for scene in scenes:
        for name in {name for names in _functions(scene) for name in names}:
            if folder and not scene.material_folder and (folder / f"{name}.wgsl").is_file():
                raise ValueError(
                    f"a scene shades by the package's own {name}.wgsl, another one by that of {folder}; rename it"
                )
    return folder
