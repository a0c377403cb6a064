"""`microlith bench`: frames of an orbit or of one camera, one JSON line each, and a table of medians."""

import argparse
import statistics
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from engine.commands.frames import check_output, choose_camera, frame_settings, to_json
from engine.commands.machine import describe_run
from engine.commands.scenes import open_scene

DEFAULTS = {"frames": 200, "warm_up": 10, "size": (1280, 720)}
_EXPERIMENT_KEYS = ("scene", "settings", *DEFAULTS)


def run(options: argparse.Namespace) -> int:
    """Measure the frames of the experiment or scene; write and print what was seen."""
    if options.json:
        check_output(options.json)
    experiment = _experiment(options)
    settings = frame_settings(options, experiment["settings"])
    scene = open_scene(str(experiment["scene"]), options.verbosity)

    from engine.gpu.device import open_device
    from engine.renderer import Renderer

    device = open_device(options.adapter, indirect_validation=options.indirect_validation)
    renderer = Renderer(device)
    manifest = describe_run(device, experiment, settings)
    frames: list[dict[str, Any]] = []
    with open(options.json, "w", encoding="utf-8") if options.json else _Nowhere() as out:
        _write_line(out, manifest)
        for record in _measure(renderer, scene, _cameras(options, scene, experiment), settings, experiment):
            _write_line(out, record)
            frames.append(record)
    print(_table(manifest, frames))
    return 0


def _experiment(options: argparse.Namespace) -> dict[str, Any]:
    """Return scene, settings, frames, warm_up and size: options before the experiment file before defaults."""
    values: dict[str, Any] = {"scene": options.scene, "settings": {}}
    path = Path(options.scene)
    if path.suffix.lower() == ".toml" and path.is_file():
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        if "scene" in content:
            values |= _checked(path, content)
    given = {name: getattr(options, name) for name in DEFAULTS if getattr(options, name) is not None}
    return DEFAULTS | values | given


def _checked(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of an experiment file with `scene` relative to the file, or raise ValueError."""
    if unknown := sorted(set(content) - set(_EXPERIMENT_KEYS)):
        raise ValueError(f"{path}: unknown entry {unknown[0]!r}; one of: {', '.join(_EXPERIMENT_KEYS)}")
    for name, kind in (("scene", str), ("settings", dict), ("frames", int), ("warm_up", int), ("size", list)):
        if name in content and not isinstance(content[name], kind):
            raise ValueError(f"{path}: {name} is {content[name]!r}; expected {kind.__name__}")
    if len(content.get("size", (1, 1))) != 2 or min(content.get("size", (1, 1))) < 1 or content.get("frames", 1) < 1:
        raise ValueError(f"{path}: size must be [width, height] and frames at least 1")
    return content | {"scene": str(path.parent / content["scene"])}


def _cameras(options: argparse.Namespace, scene: Any, experiment: dict[str, Any]) -> list[Any]:
    """Return one camera per measured frame: an orbit, or the same camera if the options or the scene name one."""
    from engine.camera import orbit

    width, height = experiment["size"]
    count = experiment["frames"]
    is_named = bool(options.camera or options.eye or options.target or scene.camera)
    if (options.path or ("still" if is_named else "orbit")) == "still":
        return [choose_camera(options, scene, (width, height))] * count
    return orbit(scene.bounds(), count, fov_degrees=options.fov or 45.0, aspect=width / height)


def _measure(renderer: Any, scene: Any, cameras: list[Any], settings: Any, experiment: dict) -> Iterator[dict]:
    """Yield one record per camera, after the warm-up frames, which end where the path begins."""
    size, warm_up = tuple(experiment["size"]), experiment["warm_up"]
    renderer.render(scene, cameras[-warm_up % len(cameras)], settings, size=size)  # lets the queues grow
    path = [(number, cameras[number % len(cameras)]) for number in range(-warm_up, len(cameras))]
    again = []  # the queues were too small for them; not before the frames in flight have arrived
    for number, frame, wall_ms in _frames_in_flight(renderer, scene, path, settings, size):
        if number >= 0 and not frame.is_complete:
            again.append(number)
        elif number >= 0:
            yield {"kind": "frame", "frame": number, "wall_ms": wall_ms, "statistics": frame.to_dict()}
    for number in again:
        renderer.render(scene, cameras[number], settings, size=size)  # lets them grow
        [(_, frame, wall_ms)] = _frames_in_flight(renderer, scene, [(number, cameras[number])], settings, size)
        yield {"kind": "frame", "frame": number, "wall_ms": wall_ms, "statistics": frame.to_dict()}


def _frames_in_flight(
    renderer: Any, scene: Any, path: list[tuple[int, Any]], settings: Any, size: tuple
) -> Iterator[tuple[int, Any, float]]:
    """Yield number, statistics and wall milliseconds of each frame of `path`, (number, camera) pairs.

    Frames are sent ahead of those that are still drawn, so that the GPU neither waits nor lowers its clocks. The wall
    time is that between results; results that arrive together share it.
    """
    then = time.perf_counter()
    for number, camera in [*path, (None, None)]:
        arrived = renderer.collect(wait=number is None)
        while number is not None and renderer.is_full:
            time.sleep(1e-5)
            arrived += renderer.collect()
        now = time.perf_counter()
        for tag, frame in arrived:
            yield tag, frame, (now - then) * 1e3 / len(arrived)
        then = now if arrived else then
        if number is not None:
            renderer.submit(scene, camera, settings, size, tag=number)


class _Nowhere:
    """Stands for the file that was not asked for."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


def _write_line(out: IO[str] | None, record: dict[str, Any]) -> None:
    if out is not None:
        out.write(to_json(record) + "\n")
        out.flush()


def _table(manifest: dict[str, Any], frames: list[dict[str, Any]]) -> str:
    """Return the medians, and the spread around them, of wall time and of each pass."""
    rows = {"wall": [frame["wall_ms"] for frame in frames]}
    for frame in frames:
        for label, milliseconds in frame["statistics"]["passes_ms"].items():
            rows.setdefault(label, []).append(milliseconds)
    width = max(len(label) for label in rows)
    experiment = manifest["experiment"]
    size = "x".join(map(str, experiment["size"]))
    lines = [
        f"{experiment['scene']}, {size}, {len(frames)} frames, {manifest['device']['adapter']}",
        f"{'milliseconds':<{width}}  {'median':>9}  {'p05':>9}  {'p95':>9}",
    ]
    for label, values in rows.items():
        low, high = _quantile(values, 0.05), _quantile(values, 0.95)
        lines.append(f"{label:<{width}}  {statistics.median(values):>9.3f}  {low:>9.3f}  {high:>9.3f}")
    if incomplete := sum(not frame["statistics"]["is_complete"] for frame in frames):
        lines.append(f"{incomplete} frames are incomplete: the queues cannot grow further; raise --error-pixels")
    return "\n".join(lines)


def _quantile(values: list[float], fraction: float) -> float:
    ordered = sorted(values)
    return ordered[round(fraction * (len(ordered) - 1))]
