"""Every setting of the builder and of the frame, in two frozen dataclasses.

The command line, the viewer and experiment files all read and write these fields by these names.
"""

import dataclasses
import inspect
import json
import math
import re
import tomllib
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

Traversal = Literal["auto", "persistent", "levels"]
Raster = Literal["auto", "software", "hardware"]
ViewMode = Literal[
    "shaded",
    "normals",
    "clusters",
    "groups",
    "levels",
    "triangles",
    "instances",
    "materials",
    "depth",
    "overdraw",
    "raster",
    "material_bins",
    "occlusion",
    "pyramid",
    "shadow_cascades",
]
Tonemap = Literal["neutral", "aces", "none"]

SHADOW_CASCADES = 4  # where shadows are switched on and nothing names another number

# Smallest and largest value of every number, of each component where a setting has several.
RANGES: dict[str, tuple[float, float]] = {
    "cluster_triangles": (4, 128),  # MAX_CLUSTER_TRIANGLES
    "cluster_vertices": (12, 255),  # MAX_CLUSTER_VERTICES; four triangles that share no vertex have 12
    "group_clusters": (8, 32),  # MAX_GROUP_CLUSTERS
    "node_children": (2, 8),  # BVH_WIDTH: the format of nodes, and the teams of lanes that test them, have no more
    "reduction": (0.1, 0.75),  # with least_shrink at most 1: a group could never shrink enough
    "least_shrink": (0.0, 0.25),
    "lattice_fraction": (1e-6, 1.0),
    "normal_weight": (0.0, 1e6),
    "uv_weight": (0.0, 1e6),
    "color_weight": (0.0, 1e6),
    "error_percentile": (50.0, 100.0),
    "error_margin": (1.0, 1e3),
    "error_samples": (1, 1024),
    "crease_degrees": (0.0, 180.0),
    "page_bytes": (8192, 131072),  # holds the largest cluster there can be; four times PAGE_WORDS
    "compression_level": (1, 22),
    "scale": (1e-12, 1e12),
    "error_pixels": (0.0, 1e9),
    "attribute_weight": (0.0, 1e6),
    "hardware_pixels": (0.0, 1e6),
    "queue_items": (1, 1 << 28),
    "candidate_groups": (1, 1 << 28),
    "visible_clusters": (1, 1 << 23),  # what a visibility sample can name
    "hidden_clusters": (1, 1 << 28),
    "large_triangles": (1, 1 << 28),
    "persistent_workgroups": (0, 65535),  # of one dispatch dimension, on every adapter
    "background": (0.0, 1e6),
    "light_direction": (-1e9, 1e9),
    "light_intensity": (0.0, 1e6),
    "sky_intensity": (0.0, 1e6),
    "exposure": (0.0, 1e6),
    "shadow_cascades": (0, 8),  # with the camera's view at most MAX_VIEWS
    "shadow_size": (64, 16384),  # LARGEST_IMAGE_SIDE
    "shadow_distance": (0.0, 1e12),
    "shadow_error_pixels": (0.0, 1e9),
}


@dataclass(frozen=True)
class BuildSettings:
    """What the builder does; changing a field means building again. Raises ValueError for a value out of RANGES."""

    cluster_triangles: int = 128  # at most MAX_CLUSTER_TRIANGLES
    cluster_vertices: int = 255  # at most MAX_CLUSTER_VERTICES
    group_clusters: int = 20  # target; groups hold 8 to 32
    node_children: int = 8  # most of a node of the hierarchy: 2 for a binary tree; at most the 8 of the file format
    reduction: float = 0.5  # triangles kept by a simplification
    least_shrink: float = 0.15  # a group that shrinks less is tried again with other neighbours
    lattice_fraction: float = 1.0 / 64.0  # largest lattice step, in median edge lengths
    normal_weight: float = 0.15  # a normal turned by one radian counts as this many edges of its triangle
    uv_weight: float = 1.0  # a UV moved by what one edge length spans counts as this many edge lengths
    color_weight: float = 0.5  # a colour changed by 1 counts as this many edge lengths
    error_percentile: float = 99.5  # of the distances sampled in both directions
    error_margin: float = 1.1  # the claimed error is the percentile times this
    error_samples: int = 8  # of each source cluster; clusters above carry twice as many from level to level, to 256
    crease_degrees: float = 60.0  # computed normals are split at sharper edges
    page_bytes: int = 131072  # target size of a page of clusters before it is compressed
    compression_level: int = 3  # of zstandard
    up: Literal["y", "z"] = "y"  # axis of the file that becomes +Y
    scale: float = 1.0  # metres per unit of the file

    def __post_init__(self) -> None:
        _check_ranges(self)


@dataclass(frozen=True)
class FrameSettings:
    """What one frame does; every field may change between frames. Raises ValueError for a value out of RANGES."""

    error_pixels: float = 1.0  # tau: largest claimed error on the screen; 0 draws the source clusters
    attribute_weight: float = 1.0  # of attribute errors against geometric ones
    traversal: Traversal = "auto"  # how the hierarchy is walked: by one long dispatch or level by level
    raster: Raster = "auto"  # which rasteriser draws; auto: by the size of clusters on the screen
    occlusion: bool = True  # two passes: what the last frame's depth pyramid hid is tested against this frame's
    view: ViewMode = "shaded"  # what the image shows
    hardware_pixels: float = 0.0  # size on the screen from which clusters go to the hardware raster; 0: by the adapter
    queue_items: int = 1 << 20  # first capacity of the node queue; grows when a frame needs more
    candidate_groups: int = 1 << 18  # first capacity of the queue of groups; grows when a frame needs more
    visible_clusters: int = 1 << 18  # first capacity of what is drawn; grows when a frame needs more, to 2^23
    hidden_clusters: int = 1 << 18  # first capacity of what the post pass tests again; grows when a frame needs more
    large_triangles: int = 1 << 18  # first capacity of pieces of large triangles; grows when a frame needs more
    persistent_workgroups: int = 0  # of the persistent traversal; 0: chosen by the adapter
    pass_times: bool = True  # GPU milliseconds of each pass; without: of the frame as a whole, which then takes less
    runtime_checks: bool = True  # bounds and loop checks that the shader compiler adds
    materials: str = ""  # folder of the user's material functions; looked into before the scene's and the package's own
    background: tuple[float, float, float] = (0.05, 0.06, 0.08)  # linear, shown as it is
    light_direction: tuple[float, float, float] = (0.4, 0.8, 0.5)  # towards the light, world space
    light_intensity: float = 0.8  # what a white plane across the light sends back
    sky_intensity: float = 1.0  # factor on the light of the sky
    exposure: float = 1.0  # factor on all light
    tonemap: Tonemap = "neutral"  # from light to what a screen shows
    shadow_cascades: int = 0  # shadow maps of the directional light, from near to far; 0: no shadows
    shadow_size: int = 2048  # texels along each side of a map
    shadow_distance: float = 0.0  # metres from the camera beyond which all is lit; 0: the whole scene has shadows
    shadow_error_pixels: float = 1.0  # as error_pixels, in texels of a map; the bias grows with it

    def __post_init__(self) -> None:
        _check_ranges(self)
        if self.view == "pyramid" and not self.occlusion:
            raise ValueError("the view 'pyramid' shows what occlusion culling uses; set occlusion")
        if math.hypot(*self.light_direction) < 1e-9:
            raise ValueError(f"setting light_direction is {self.light_direction}; use a vector that is not zero")


Settings = TypeVar("Settings", BuildSettings, FrameSettings)


def settings_from(kind: type[Settings], values: dict[str, Any]) -> Settings:
    """Return `kind` with `values` over its defaults; raise ValueError that names a wrong field or value."""
    fields = {field.name: field for field in dataclasses.fields(kind)}
    checked = {}
    for name, value in values.items():
        if name not in fields:
            raise ValueError(f"unknown setting {name!r}; one of: {', '.join(sorted(fields))}")
        checked[name] = _checked(name, fields[name], value)
    return kind(**checked)


def load_settings(kind: type[Settings], path: str | Path) -> Settings:
    """Read `kind` from a TOML file; raise ValueError with the path where it does not fit."""
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        return settings_from(kind, values)
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}") from None


def settings_toml(settings: BuildSettings | FrameSettings) -> str:
    """Return the settings as TOML text; `load_settings` reads it back."""
    return "".join(f"{name} = {_toml(value)}\n" for name, value in dataclasses.asdict(settings).items())


def field_help(kind: type[BuildSettings] | type[FrameSettings]) -> dict[str, str]:
    """Return what each field means, by its name: the comment behind it in this module."""
    lines = inspect.getsource(kind).splitlines()
    named = (re.match(r"    (\w+): .*?  # (.+)", line) for line in lines)
    return {match[1]: match[2] for match in named if match}


def _check_ranges(settings: BuildSettings | FrameSettings) -> None:
    """Raise ValueError that names the first number that is out of its range, not finite or of a wrong kind."""
    for field in dataclasses.fields(settings):
        if field.name not in RANGES:
            continue
        (low, high), value = RANGES[field.name], getattr(settings, field.name)
        is_whole = isinstance(field.default, int)
        kind = Integral if is_whole else Real
        for item in value if isinstance(field.default, tuple) else (value,):
            if not isinstance(item, kind) or not low <= item <= high:  # NaN is in no range
                expected = "a whole number" if is_whole else "a number"
                raise ValueError(f"setting {field.name} is {value!r}; use {expected} of {low:.10g} to {high:.10g}")


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return repr(value)


def _checked(name: str, field: dataclasses.Field, value: Any) -> Any:
    kind = field.type
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ValueError(f"setting {name} is {value!r}; one of: {', '.join(get_args(kind))}")
        return value
    default = field.default
    if isinstance(default, bool) or isinstance(value, bool):
        good = isinstance(default, bool) and isinstance(value, bool)
    elif isinstance(default, tuple):
        good = isinstance(value, (list, tuple)) and len(value) == len(default) and all(map(_is_number, value))
        value = tuple(map(_float, value)) if good else value
    elif isinstance(default, float):
        good = _is_number(value)
        value = _float(value) if good else value
    else:
        good = isinstance(value, type(default))
    if not good:
        expected = f"{len(default)} numbers" if isinstance(default, tuple) else type(default).__name__
        raise ValueError(f"setting {name} is {value!r}; expected {expected}")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _float(value: Any) -> float:
    """Return a number as a float; an integer that no float reaches is infinite, and so in no range."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
