"""Keep the finished meshes of an unfinished build, so that the same command goes on where it was interrupted.

They lie in the user's cache folder, one folder for each output, settings and version of the builder, and go when the
build is done. Meshes are kept together once they took KEEP_SECONDS, so that many small ones cost next to nothing, and
when the build is interrupted; after a crash or a power cut at most the last KEEP_SECONDS are built again.
"""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import time
import zipfile
from collections.abc import Generator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engine import asset_file, layout
from engine.builder.asset_writer import AssetWriter
from engine.builder.report import versions
from engine.builder.source import SourceMesh
from engine.settings import BuildSettings
from engine.user_cache import cache_folder, remove_unused

LOGGER = logging.getLogger("engine")
KEEP_SECONDS = 2.0  # of work, that is kept together
_UNUSED_SECONDS = 7 * 86400.0
_NEWEST = 4  # unfinished builds that are kept, at least


@dataclass
class FinishedMesh:
    """A mesh whose pages the writer has; all numbers count over the asset."""

    record: np.ndarray  # () layout.MESH
    nodes: np.ndarray  # (n,) layout.NODE
    groups: np.ndarray  # (g,) layout.GROUP
    row: dict[str, Any]  # of the report
    stream_bytes: dict[str, int]


class _KeptMesh(NamedTuple):
    mesh: FinishedMesh
    pages: np.ndarray  # (p,) asset_file.PAGE, offsets in `stored`
    stored: np.ndarray  # uint8


class KeptMeshes:
    """Owns the folder of one build: `with KeptMeshes(writer, settings) as kept:` around all work and `finish`.

    Left without an error the folder is removed; else what was not kept yet is kept. Trouble with the folder is logged
    and is never an error of the build.
    """

    def __init__(self, writer: AssetWriter, settings: BuildSettings) -> None:
        self._writer = writer
        self._folder = cache_folder("builds") / _build_key(writer.path, settings)
        self._files: dict[str, Path] = {}  # of each mesh, by digest
        self._opened: tuple[Path, dict[str, _KeptMesh]] | None = None
        self._waiting: list[tuple[str, FinishedMesh, int]] = []  # with its first page
        self._kept_at = time.perf_counter()

    def __enter__(self) -> "KeptMeshes":
        remove_unused(self._folder.parent, "*", _NEWEST, _UNUSED_SECONDS)
        for path in sorted(self._folder.glob("*.npz")) if self._folder.is_dir() else []:
            with _trouble_logged(), np.load(path) as file:
                self._files |= dict.fromkeys((text["digest"] for text in json.loads(bytes(file["texts"]))), path)
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is not None:
            self._keep()
        elif self._folder.is_dir():
            shutil.rmtree(self._folder, ignore_errors=True)

    def take(self, digest: str, mesh: int) -> FinishedMesh | None:
        """Return a kept mesh, its pages written as those of mesh number `mesh`; None where it must be built."""
        path, kept = self._files.get(digest), None
        if path is None:
            return None
        self._keep()  # what waits lies in one piece before this mesh
        with _trouble_logged():
            if self._opened is None or self._opened[0] != path:
                self._opened = path, _read(path)
            kept = self._opened[1][digest]
        if kept is None:
            return None
        self._writer.add_stored_pages(kept.pages, kept.stored, mesh)
        return kept.mesh

    def add(self, digest: str, finished: FinishedMesh) -> None:
        """Keep a mesh that was just built, now or together with the next."""
        self._waiting.append((digest, finished, self._writer.page_count - finished.row["pages"]))
        if time.perf_counter() - self._kept_at >= KEEP_SECONDS:
            self._keep()

    def _keep(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            with _trouble_logged():
                self._folder.mkdir(parents=True, exist_ok=True)
                _write(self._folder / f"{waiting[0][0]}.npz", waiting, self._writer)
        self._kept_at = time.perf_counter()


def mesh_digest(mesh: SourceMesh, step: float, origin: np.ndarray, material_flags: np.ndarray, bases: Any) -> str:
    """Return 32 hex digits that change with anything that a mesh's part of the asset depends on, but for settings."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr((mesh.name, step, np.asarray(origin).tolist(), astuple(bases))).encode())
    arrays = mesh.positions, mesh.faces, mesh.normals, mesh.uvs, mesh.colors, mesh.face_material, material_flags
    for array in arrays:
        if array is not None:
            digest.update(repr((array.dtype.str, array.shape)).encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _build_key(output: Path, settings: BuildSettings) -> str:
    """Return the name of a build's folder: of its output, settings, and the code that builds."""
    digest = hashlib.blake2b(repr((str(output.resolve()), settings, versions())).encode(), digest_size=16)
    digest.update(asset_file.layout_hash())
    builder = Path(__file__).parent
    for path in sorted([*builder.glob("*.py"), *builder.parent.glob("asset*.py"), *builder.parent.glob("bvh*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@contextlib.contextmanager
def _trouble_logged() -> Generator[None]:
    """Go on without what cannot be read or written."""
    try:
        yield
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
        LOGGER.info("finished meshes cannot be kept or taken (%s)", error)


def _write(path: Path, meshes: list[tuple[str, FinishedMesh, int]], writer: AssetWriter) -> None:
    """Write meshes that follow one another, with their pages as they are stored, in one file, which is then whole."""
    finished = [mesh for _, mesh, _ in meshes]
    pages, stored = writer.stored_pages(meshes[0][2])
    texts = [{"digest": d, "row": mesh.row, "stream_bytes": mesh.stream_bytes} for d, mesh, _ in meshes]
    partial = path.with_suffix(".partial")
    try:
        with partial.open("wb") as file:
            np.savez(
                file,
                texts=np.frombuffer(json.dumps(texts).encode(), np.uint8),
                records=_bytes(np.array([mesh.record for mesh in finished], layout.MESH)),
                nodes=_bytes(np.concatenate([mesh.nodes for mesh in finished])),
                groups=_bytes(np.concatenate([mesh.groups for mesh in finished])),
                pages=_bytes(pages),
                stored=stored,
            )
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _bytes(records: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(records).view(np.uint8)


def _read(path: Path) -> dict[str, _KeptMesh]:
    """Return the meshes of a file by digest."""
    with np.load(path) as file:
        texts = json.loads(bytes(file["texts"]))
        records, nodes = file["records"].view(layout.MESH), file["nodes"].view(layout.NODE)
        groups, pages = file["groups"].view(layout.GROUP), file["pages"].view(asset_file.PAGE)
        stored = file["stored"]
    meshes, node, group, page = {}, 0, 0, 0
    for text, record in zip(texts, records, strict=True):
        row = text["row"]
        own_nodes = nodes[node : node + int(record["node_count"])]
        own_groups = groups[group : group + int(record["group_count"])]
        own_pages = pages[page : page + row["pages"]].copy()
        first = int(own_pages["offset"][0])
        end = int(own_pages["offset"][-1]) + int(own_pages["stored_bytes"][-1])
        own_pages["offset"] -= np.uint64(first)
        mesh = FinishedMesh(record, own_nodes, own_groups, row, text["stream_bytes"])
        meshes[text["digest"]] = _KeptMesh(mesh, own_pages, stored[first:end])
        node, group, page = node + len(own_nodes), group + len(own_groups), page + len(own_pages)
    return meshes
