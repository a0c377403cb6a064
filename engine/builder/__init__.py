"""Turn mesh files into one .mlith asset: read, weld, build the hierarchy, page, write."""

import dataclasses
import logging
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numba.core import event

from engine import asset_file, kernel_cache, layout
from engine.builder.asset_writer import AssetWriter
from engine.builder.compilation import compile_kernels
from engine.builder.hierarchy import build_hierarchy
from engine.builder.meshfile import read_mesh_files
from engine.builder.pages import STREAMS, Bases, encode_mesh
from engine.builder.report import merged_levels, peak_memory_bytes, plain, versions, without_seconds
from engine.builder.resume import FinishedMesh, KeptMeshes, mesh_digest
from engine.builder.source import SourceScene
from engine.builder.threads import limited_threads
from engine.builder.weld import choose_lattice, weld
from engine.settings import BuildSettings

__all__ = ["build"]

LOGGER = logging.getLogger("engine")
Progress = Callable[[str, int, int], None]


def build(
    inputs: Iterable[str | Path],
    output: str | Path,
    settings: BuildSettings | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Build the asset `output` from mesh files and return the report, which JSON can hold.

    threads: at most so many, default all cores; the bytes written do not depend on it. progress(stage, done, total)
    is called from this thread, and may raise to end the build. A build of several meshes that was interrupted goes on
    from its finished meshes.
    Raises ValueError with one line where an input or a setting cannot be used; the output is then as it was before.
    """
    paths, settings = [Path(path) for path in inputs], settings or BuildSettings()
    progress = progress or (lambda *_: None)
    with limited_threads(threads) as count, AssetWriter(output, settings.compression_level, count) as writer:
        building = _Building(writer, settings, progress)
        with _first_compilation_logged():
            with building.timed("read"):
                progress("read", 0, len(paths))
                scene = read_mesh_files(paths, settings)
                progress("read", len(paths), len(paths))
            with building.timed("compile"):
                progress("compile", 0, 1)  # takes no time where an earlier build kept the kernels
                compile_kernels()
                progress("compile", 1, 1)
            several = len(scene.meshes) > 1
            with KeptMeshes(writer, settings) if several else nullcontext() as kept:
                _build_meshes(building, scene, kept)
                if not building.rows:
                    raise ValueError(f"{paths[0]}: no triangle with an area is left to build ({building.skipped[0]})")
                for reason in building.skipped:
                    LOGGER.warning("%s; it is left out", reason)
                with building.timed("write"):
                    progress("write", 0, 1)  # may raise: the last moment to leave the output as it was
                    size = _finish(building, scene, [path.name for path in paths])
                    progress("write", 1, 1)
        return _report(building, scene, size)


@dataclass
class _Building:
    """What a build gathers mesh by mesh."""

    writer: AssetWriter
    settings: BuildSettings
    progress: Progress
    rows: list[dict] = field(default_factory=list)  # one for each mesh that was stored
    numbers: list[int] = field(default_factory=list)  # its number in the source
    records: list[np.ndarray] = field(default_factory=list)
    nodes: list[np.ndarray] = field(default_factory=list)
    groups: list[np.ndarray] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    stream_bytes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STREAMS, 0))
    bases: Bases = field(default_factory=Bases)
    mesh_count: int = 0
    step: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Generator[None]:
        """Add the wall time of the block to `seconds`."""
        start = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start


def _build_meshes(building: _Building, scene: SourceScene, kept: KeptMeshes | None) -> None:
    """Build every mesh of the scene and write its pages; a source mesh is released as soon as it is welded."""
    flags = scene.materials["flags"]
    building.mesh_count = len(scene.meshes)
    two_sided = (flags & layout.CONSTANTS["MATERIAL_TWO_SIDED"]) != 0
    with building.timed("weld"):
        building.step, origins = choose_lattice(scene.meshes, building.settings, scene.report)
    ends = 2 * np.cumsum([len(mesh.faces) for mesh in scene.meshes])
    total, taken, is_told = int(ends[-1]), 0, False
    waiting, scene.meshes = scene.meshes[::-1], []
    for number, origin in enumerate(origins):
        source, before = waiting.pop(), int(ends[number - 1]) if number else 0
        if kept is not None:
            with building.timed("keep"):
                digest = mesh_digest(source, building.step, origin, flags, building.bases)
                finished = kept.take(digest, building.bases.mesh)
            if finished is not None:
                _append(building, finished, number)
                taken += 1
                _step(building, total, int(ends[number]), 0)
                continue
        if taken and not is_told:
            LOGGER.info("continuing: %d of %d meshes are done", taken, building.mesh_count)
        is_told = True
        try:
            with building.timed("weld"):
                welded = weld(source, building.step, origin, building.settings, two_sided)
        except ValueError as error:
            building.skipped.append(str(error))
            continue
        finally:
            del source
        step = partial(_step, building, total, before)
        finished = _build_mesh(building, welded, flags, step)
        _append(building, finished, number)
        if kept is not None:
            with building.timed("keep"):
                kept.add(digest, finished)
        _step(building, total, int(ends[number]), 0)
    if taken and not is_told:
        LOGGER.info("continuing: all %d meshes are done", taken)


def _step(building: _Building, total: int, before: int, done: int) -> None:
    building.progress("build", min(before + done, total), total)


def _build_mesh(
    building: _Building, welded: Any, material_flags: np.ndarray, progress: Callable[[int], None]
) -> FinishedMesh:
    """Build one mesh and write its pages."""
    with building.timed("hierarchy"):
        hierarchy = build_hierarchy(welded, building.settings, lambda _, done, __: progress(done))
    with building.timed("pages"):
        bases = building.bases
        mesh = encode_mesh(hierarchy, welded.step, welded.origin, material_flags, building.settings, bases)
    stored_before = building.writer.stored_page_bytes
    with building.timed("compress"):
        building.writer.add_pages(mesh.words, mesh.page_word, bases.mesh)
    row = {
        "name": welded.name,
        "source_triangles": mesh.source_triangles,
        "stored_triangles": mesh.stored_triangles,
        "clusters": int(mesh.record["cluster_count"]),
        "groups": int(mesh.record["group_count"]),
        "nodes": int(mesh.record["node_count"]),
        "root_clusters": _root_clusters(mesh.groups),
        "pages": len(mesh.page_word) - 1,
        "page_bytes": 4 * len(mesh.words),
        "stored_page_bytes": building.writer.stored_page_bytes - stored_before,
        "dropped": {name: int(count) for name, count in welded.dropped.items()},
        "levels": plain(hierarchy.report),
    }
    return FinishedMesh(mesh.record, mesh.nodes, mesh.groups, row, mesh.stream_bytes)


def _append(building: _Building, mesh: FinishedMesh, number: int) -> None:
    """Add a mesh, number `number` of the source, to the tables."""
    for name, count in mesh.stream_bytes.items():
        building.stream_bytes[name] += count
    building.records.append(mesh.record)
    building.nodes.append(mesh.nodes)
    building.groups.append(mesh.groups)
    building.numbers.append(number)
    building.rows.append(mesh.row)
    bases = building.bases
    building.bases = Bases(
        mesh=bases.mesh + 1,
        node=bases.node + len(mesh.nodes),
        group=bases.group + len(mesh.groups),
        cluster=bases.cluster + int(mesh.record["cluster_count"]),
        page=bases.page + mesh.row["pages"],
    )


def _root_clusters(groups: np.ndarray) -> int:
    root = groups["geometric_error"] >= np.float32(layout.CONSTANTS["ROOT_ERROR"])
    return int((groups["place"][root] >> 16 & 255).sum())


def _finish(building: _Building, scene: SourceScene, sources: list[str]) -> int:
    """Write the tables and put the file in its place; return its size."""
    stored = np.full(building.mesh_count, -1)
    stored[building.numbers] = np.arange(len(building.numbers))
    placed = stored[scene.instance_mesh] >= 0
    instances = np.zeros(int(placed.sum()), asset_file.INSTANCE)
    instances["mesh"] = stored[scene.instance_mesh[placed]]
    instances["transform"] = scene.instance_transform[placed, :3]
    triangles = [(row["source_triangles"], row["stored_triangles"]) for row in building.rows]
    tables = {
        "meshes": np.array(building.records, layout.MESH),
        "nodes": np.concatenate(building.nodes),
        "groups": np.concatenate(building.groups),
        "materials": scene.materials,
        "instances": instances,
        "triangles": np.array(triangles, asset_file.TRIANGLES),
    }
    metadata = {
        "sources": sources,
        "settings": dataclasses.asdict(building.settings),
        "versions": versions(),
        "lattice_step": building.step,
        "levels": [without_seconds(level) for level in merged_levels(building.rows)],
        "notes": plain(scene.report),
        "skipped": building.skipped,
    }
    names = [row["name"] for row in building.rows]
    return building.writer.finish(tables, scene.textures, names, scene.material_names, metadata)


def _report(building: _Building, scene: SourceScene, size: int) -> dict[str, Any]:
    """Return what `--report` writes."""
    totals = {
        name: sum(row[name] for row in building.rows)
        for name in ("source_triangles", "stored_triangles", "clusters", "groups", "nodes", "root_clusters", "pages")
    }
    triangles = max(totals["source_triangles"], 1)
    dropped: dict[str, int] = {}
    for row in building.rows:
        for name, count in row["dropped"].items():
            dropped[name] = dropped.get(name, 0) + count
    per_triangle = {name: count / triangles for name, count in building.stream_bytes.items()}
    return {
        **totals,
        "meshes": building.rows,
        "instances": len(scene.instance_mesh),
        "materials": len(scene.materials),
        "textures": len(scene.textures),
        "levels": merged_levels(building.rows),
        "lattice_step": building.step,
        "file_bytes": size,
        "bytes_per_triangle": {  # of the source
            "file": size / triangles,
            "pages_stored": building.writer.stored_page_bytes / triangles,
            "pages": sum(per_triangle.values()),
            "streams": per_triangle,
        },
        "dropped": dropped,
        "skipped": building.skipped,
        "notes": plain(scene.report),
        "seconds": building.seconds,
        "peak_memory_bytes": peak_memory_bytes(),
        "settings": dataclasses.asdict(building.settings),
        "versions": versions(),
    }


class _FirstCompilation(event.Listener):
    """Says once that compiling takes a while, when something is compiled."""

    def __init__(self) -> None:
        self.logged = False

    def on_start(self, event: Any) -> None:
        if not self.logged:
            self.logged = True
            LOGGER.info(
                "compiling the builder's kernels into %s, about a minute; only the first build waits",
                kernel_cache.FOLDER,
            )

    def on_end(self, event: Any) -> None:
        pass


@contextmanager
def _first_compilation_logged() -> Generator[None]:
    with event.install_listener("numba:compile", _FirstCompilation()):
        yield
