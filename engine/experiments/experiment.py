"""The experiment TOML: what is drawn, along which way, and what is varied.

name = "occlusion"           # optional; default: the name of the file
scene = "../scene.toml"      # an asset, a scene file or a mesh, which is built into the cache; relative to the TOML;
                             # environment variables are expanded: "$MICROLITH_MESHES/scans/lucy_100k.ply"
instances = 10000            # optional: so many copies of the asset on a square, or [x, y, z] copies on a grid
spacing = 0.12               # optional: metres between neighbours, one or three; default: 1.2 times the asset's width
path = "orbit"               # optional: "orbit", "still" (the camera of the scene, or one that sees all of it) or
                             # "FILE.camera" (what engine.camera.format_path writes); default: still where the scene
                             # has a camera, else orbit
closed = true                # optional, of [[keyframes]]: the way ends where it began
units = "bounds"             # optional, of [[keyframes]]: eye and target count from the middle of the scene's box in
                             # halves of its diagonal, so that one way suits scenes of every size; default: "metres"
frames = 200                 # optional: measured frames, at equal steps of the path
warm_up = 10                 # optional: frames before the first measured one: the path's beginning, backwards
repeats = 1                  # optional: times that every run is measured, by turns, so that drift hits all alike
size = [1280, 720]           # optional: pixels
check_every = 25             # optional: of each such frame the visible set is kept, and compared with --verify; 0: none
filler_ms = 2.0              # optional: milliseconds of arithmetic between frames, not timed with them, that keep the
                             # clocks of a GPU up, and before a run, until they are up; wall_ms then holds it;
                             # default: 0. Not on adapters that are CPUs
baseline = "engine"          # optional: who draws, a name of engine.experiments.baseline
image_error = true           # optional: every 25th frame is compared with that at error_pixels = 0, untimed

[[keyframes]]                # optional, instead of path: cameras of a Catmull-Rom way
eye = [0, 1, 5]
target = [0, 1, 0]
up = [0, 1, 0]               # optional, as are fov_degrees, near and orthographic_height

[settings]                   # optional: fields of engine.settings.FrameSettings
[build]                      # optional: fields of engine.settings.BuildSettings; the scene must be a mesh

[image_error]                # optional, instead of true: each `every`-th frame, and some of the measures that
every = 25                   # engine.experiments.image_error defines; default: all of them, flip if it is installed
measures = ["psnr", "flip", "depth", "silhouette", "flicker"]

[sweep]                      # optional: what is varied; every combination is one run
mode = "grid"                # optional; "list": the lists side by side, all of one length
error_pixels = [0.5, 1, 2]   # any field of both settings, or size, scene, instances, baseline
"""

import dataclasses
import itertools
import math
import os
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.commands.scenes import MESH_SUFFIXES, SCENE_SUFFIXES
from engine.experiments.baseline import BASELINES
from engine.experiments.image_error import ImageErrors, image_errors_from
from engine.experiments.way import Way, read_way
from engine.settings import BuildSettings, FrameSettings, settings_from

LARGEST_INSTANCES = 1 << 28
LARGEST_COUNT = 1_000_000  # of frames, warm-up frames and repeats
LARGEST_FILLER_MS = 100.0
LARGEST_RUNS = 10_000
FRAME_FIELDS = {one.name for one in dataclasses.fields(FrameSettings)}
BUILD_FIELDS = {one.name for one in dataclasses.fields(BuildSettings)}
PLACE_FIELDS = {"size", "scene", "instances", "baseline"}
_COUNTS = {"frames": 1, "warm_up": 0, "repeats": 1, "check_every": 0}  # and the least of each
_KEYS = {"name", "scene", "instances", "spacing", "path", "closed", "units", "keyframes", "size", "baseline"}
_KEYS |= {"settings", "build", "sweep", "image_error", "filler_ms", *_COUNTS}
_QUICK_SIDE, _QUICK_INSTANCES = 160, 1000


@dataclass(frozen=True)
class Run:
    """One variant, resolved: `variant` is what the sweep says, `label` the same in a few words.

    `scene` is the name as written, `scene_name` what results call it, `file` where it is.
    """

    number: int
    variant: dict[str, Any]
    label: str
    scene: str
    scene_name: str
    file: Path
    size: tuple[int, int]
    frame: FrameSettings
    build: BuildSettings
    baseline: str
    instances: int | tuple[int, int, int] | None = None
    spacing: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Experiment:
    """What the TOML says; `variants` has one dict for each run. Raises ValueError that names a wrong field."""

    name: str
    scene: str = ""
    folder: Path = field(default_factory=Path)
    instances: Any = None
    spacing: Any = None
    way: Way = field(default_factory=Way)
    frames: int = 200
    warm_up: int = 10
    repeats: int = 1
    size: Any = (1280, 720)
    check_every: int = 25
    filler_ms: float = 0.0
    baseline: str = "engine"
    image_error: ImageErrors | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    build: dict[str, Any] = field(default_factory=dict)
    variants: tuple[dict[str, Any], ...] = ({},)

    def __post_init__(self) -> None:
        for name, least in _COUNTS.items():
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= LARGEST_COUNT:
                raise ValueError(f"{name} is {value!r}; use a whole number of {least} to {LARGEST_COUNT}")
        if type(self.filler_ms) not in (int, float) or not 0.0 <= self.filler_ms <= LARGEST_FILLER_MS:
            raise ValueError(f"filler_ms is {self.filler_ms!r}; use a number of 0 to {LARGEST_FILLER_MS:g}")

    def runs(self) -> list[Run]:
        """Return every run, checked."""
        names = _scene_names(variant.get("scene", self.scene) for variant in self.variants)
        return [_run(self, number, variant, names) for number, variant in enumerate(self.variants)]


def read_experiment(path: str | Path) -> Experiment:
    """Read an experiment TOML. Raises ValueError that starts with the path, and OSError where it cannot be read."""
    path = Path(path)
    try:
        experiment = _experiment(tomllib.loads(path.read_text(encoding="utf-8")), path)
        experiment.runs()
        return experiment
    except (ValueError, TypeError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise ValueError(f"{path}: {error}") from None


def is_experiment(path: str | Path) -> bool:
    """Return whether a file is an experiment: a TOML that names or varies a scene. One with [[assets]] is a scene.

    Raises ValueError for a file that is no TOML.
    """
    path = Path(path)
    if path.suffix.lower() != ".toml" or not path.is_file():
        return False
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return "assets" not in content and bool({"scene", "sweep"} & set(content))


def quick(experiment: Experiment) -> Experiment:
    """Return a small copy that shows whether all runs work: 2 frames, up to 1000 instances, images of 160 pixels.

    Sizes keep their ratios. Variants that become alike are one run.
    """
    sizes = [_size(variant.get("size", experiment.size)) for variant in experiment.variants]
    share = min(1.0, _QUICK_SIDE / max(max(size) for size in sizes))
    variants: list[dict[str, Any]] = []
    for variant in experiment.variants:
        small = dict(variant)
        if "size" in small:
            small["size"] = _small_size(small["size"], share)
        if "instances" in small:
            small["instances"] = _few_instances(small["instances"])
        if small not in variants:
            variants.append(small)
    return dataclasses.replace(
        experiment,
        frames=min(experiment.frames, 2),
        warm_up=1,
        repeats=1,
        check_every=1,
        image_error=experiment.image_error and dataclasses.replace(experiment.image_error, every=1),
        size=_small_size(experiment.size, share),
        instances=_few_instances(experiment.instances),
        variants=tuple(variants),
    )


def _experiment(content: dict[str, Any], path: Path) -> Experiment:
    _known(content, _KEYS, "entry")
    for name, kind in (("name", str), ("scene", str), ("settings", dict), ("build", dict), ("sweep", dict)):
        if name in content and not isinstance(content[name], kind):
            raise ValueError(f"{name} is {content[name]!r}; expected {kind.__name__}")
    known = {name: content[name] for name in Experiment.__dataclass_fields__ if name in content}
    known["image_error"] = image_errors_from(content.get("image_error", False))
    way = read_way({name: content[name] for name in ("path", "closed", "units", "keyframes") if name in content}, path)
    values: dict[str, Any] = {"name": path.stem} | known
    return Experiment(**values, folder=path.parent, way=way, variants=_variants(content))


def _variants(content: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    sweep = dict(content.get("sweep", {}))
    mode = sweep.pop("mode", "grid")
    _known(sweep, FRAME_FIELDS | BUILD_FIELDS | PLACE_FIELDS, "sweep")
    for name, values in sweep.items():
        if not isinstance(values, list) or not values:
            raise ValueError(f"sweep.{name} is {values!r}; write a list of values")
        if name in content or name in content.get("settings", {}) or name in content.get("build", {}):
            raise ValueError(f"{name} is varied by [sweep] and set as well; remove one of them")
    if mode not in ("grid", "list"):
        raise ValueError(f"sweep.mode is {mode!r}; one of: grid, list")
    if mode == "list" and len({len(values) for values in sweep.values()}) > 1:
        lengths = ", ".join(f"{name} {len(values)}" for name, values in sweep.items())
        raise ValueError(f"sweep.mode 'list' needs lists of one length, not {lengths}")
    count = math.prod(map(len, sweep.values()))
    if mode == "grid" and count > LARGEST_RUNS:
        raise ValueError(f"sweep has {count:,} combinations, and may have {LARGEST_RUNS:,}; vary less at a time")
    rows = itertools.product(*sweep.values()) if mode == "grid" or not sweep else zip(*sweep.values())
    return tuple(dict(zip(sweep, row)) for row in rows)


def _run(experiment: Experiment, number: int, variant: dict[str, Any], scene_names: dict[str, str]) -> Run:
    place = {name: variant.get(name, getattr(experiment, name)) for name in PLACE_FIELDS}
    frame = experiment.settings | {name: value for name, value in variant.items() if name in FRAME_FIELDS}
    build = experiment.build | {name: value for name, value in variant.items() if name in BUILD_FIELDS}
    if not isinstance(place["baseline"], str) or place["baseline"] not in BASELINES:
        raise ValueError(f"baseline is {place['baseline']!r}; one of: {', '.join(BASELINES)}")
    file = _scene_path(place["scene"], experiment.folder)
    suffix = file.suffix.lower()
    if suffix not in (*SCENE_SUFFIXES, *MESH_SUFFIXES):
        known = ", ".join(SCENE_SUFFIXES + MESH_SUFFIXES)
        raise ValueError(f"scene is {place['scene']!r}; its name must end in one of: {known}")
    if build and suffix not in MESH_SUFFIXES:
        raise ValueError(f"{min(build)} needs a build, but the scene {place['scene']!r} is no mesh file")
    if place["instances"] is None and experiment.spacing is not None:
        raise ValueError("spacing is of instances, of which there are none")
    if place["instances"] is not None and suffix == ".toml":
        raise ValueError(f"instances repeats an asset, but {place['scene']!r} is a scene file, which places its own")
    return Run(
        number,
        variant,
        _label(variant, scene_names),
        place["scene"],
        scene_names[place["scene"]],
        file,
        _size(place["size"]),
        settings_from(FrameSettings, frame),
        settings_from(BuildSettings, build),
        place["baseline"],
        _instances(place["instances"]),
        _spacing(experiment.spacing),
    )


def _scene_path(text: Any, folder: Path) -> Path:
    if not isinstance(text, str) or not text:
        raise ValueError(f"scene is {text!r}; name an asset, a scene file or a mesh")
    for name in (a or b for a, b in re.findall(r"\$(?:(\w+)|\{(\w+)\})", text)):
        if name not in os.environ:
            raise ValueError(f"scene is {text!r}, but the environment variable {name} is not set")
    return folder / os.path.expandvars(text)


def without_folders(path: str) -> str:
    """Return a path as it was written, but an absolute one by its name: no folders of this machine."""
    return Path(path).name if Path(path).is_absolute() else path


def _scene_names(scenes: Iterable[Any]) -> dict[str, str]:
    """Return what results call each scene: as written, but no folders of this machine.

    An absolute path is called by its name, behind as many of its folders as tell it from the others.
    """
    paths = {scene: Path(scene).parts for scene in scenes if isinstance(scene, str)}
    names = {scene: scene for scene in paths}
    for scene, parts in paths.items():
        if Path(scene).is_absolute():
            count = 1
            while any(other[-count:] == parts[-count:] for other in paths.values() if other != parts):
                count += 1
            names[scene] = "/".join(parts[-count:])
    return names


def _size(value: Any) -> tuple[int, int]:
    if not isinstance(value, (list, tuple)) or len(value) != 2 or not all(type(n) is int and n > 0 for n in value):
        raise ValueError(f"size is {value!r}; write [width, height] in pixels")
    return value[0], value[1]


def _instances(value: Any) -> int | tuple[int, int, int] | None:
    counts = value if isinstance(value, (list, tuple)) else [value]
    if value is None:
        return None
    product = 1
    for count in counts:
        product *= count if type(count) is int and count > 0 else LARGEST_INSTANCES + 1
    if len(counts) not in (1, 3) or product > LARGEST_INSTANCES:
        raise ValueError(f"instances is {value!r}; use 1 to {LARGEST_INSTANCES}, or [x, y, z] with such a product")
    return counts[0] if len(counts) == 1 else (counts[0], counts[1], counts[2])


def _spacing(value: Any) -> tuple[float, float, float] | None:
    if value is None:
        return None
    steps = list(value) if isinstance(value, (list, tuple)) else [value] * 3
    if len(steps) != 3 or not all(type(step) in (int, float) and 0.0 < step < 1e9 for step in steps):
        raise ValueError(f"spacing is {value!r}; use one or three lengths in metres")
    return float(steps[0]), float(steps[1]), float(steps[2])


def _small_size(size: Any, share: float) -> list[int]:
    return [max(round(side * share), 1) for side in _size(size)]


def _few_instances(value: Any) -> Any:
    """Return a number of instances, or three along axes, of which there are not too many for a quick look."""
    counts = _instances(value)
    if counts is None or isinstance(counts, int):
        return counts and min(counts, _QUICK_INSTANCES)
    few = list(counts)
    while math.prod(few) > _QUICK_INSTANCES:
        longest = few.index(max(few))
        few[longest] -= max(few[longest] // 8, 1)
    return few


def _label(variant: dict[str, Any], scene_names: dict[str, str]) -> str:
    """Return a variant in a few words; scenes by their stems where those differ."""
    stems = [Path(name).stem for name in scene_names.values()]
    words = []
    for name, value in variant.items():
        text = _shown(value)
        if name == "scene":
            stem = Path(value).stem
            text = stem if stems.count(stem) == 1 else scene_names[value]
        if name == "materials":
            text = without_folders(value)
        words.append(f"{name} {text}")
    return ", ".join(words) or "one run"


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "x".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _known(table: dict[str, Any], known: set[str], what: str) -> None:
    if unknown := sorted(set(table) - known):
        raise ValueError(f"unknown {what} {unknown[0]!r}; one of: {', '.join(sorted(known))}")
