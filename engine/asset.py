"""Open a .mlith asset: pages and images memory-mapped, every checksum and every index checked before it is used.

The file is described in asset_file.py; builder/asset_writer.py writes it.
"""

import json
import mmap
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from engine import asset_file, asset_pages, asset_storage
from engine.asset_page_checks import check_page, page_tables
from engine.asset_pages import ClusterGeometry
from engine.asset_tables import check_tables
from engine.page_loading import load_pages

_CACHED_PAGES = 64
_JSON_KEYS = ("meshes", "materials")


def open_asset(path: str | Path) -> "Asset":
    """Return the Asset in the file; raise ValueError ("path: reason") where it is damaged or of another version."""
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path}: is a folder, not an asset")
    try:
        if path.stat().st_size < asset_file.HEADER.itemsize:
            raise ValueError("is too short to be a .mlith asset")
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return Asset(path, np.frombuffer(mapped, np.uint8), mapped.size)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


class Asset:
    """An open asset. The tables are read-only; numbers count from the start of the file.

    meshes (M,) layout.MESH, nodes layout.NODE, groups layout.GROUP, materials layout.MATERIAL;
    instances (k,) asset_file.INSTANCE: mesh, transform (3, 4) float64 (column vectors);
    page_table (P,) asset_file.PAGE; mesh_triangles (M,) asset_file.TRIANGLES: source, stored;
    mesh_names, material_names: lists of str; metadata: dict (sources, settings, versions, report).
    """

    def __init__(self, path: Path, data: np.ndarray, file_bytes: Callable[[], int] | None = None) -> None:
        """Check and cut `data` (n,) uint8, the bytes of the file; raise ValueError with the reason it is refused.

        `file_bytes` says how large the file is now, where `data` is mapped.
        """
        self.path, self._file_bytes = path, file_bytes
        self._data = data
        sections, pages_end = _sections(data)
        tables = {name: _table(sections[name], name, dtype) for name, dtype in asset_file.TABLES.items()}
        self.meshes, self.nodes, self.groups = tables["meshes"], tables["nodes"], tables["groups"]
        self.materials, self.instances = tables["materials"], tables["instances"]
        self.page_table, self.mesh_triangles = tables["pages"], tables["triangles"]
        self._texture_table, self._images = tables["textures"], sections["images"]
        names = _json(sections["names"], "names")
        self.metadata = _json(sections["metadata"], "metadata")
        self.mesh_names, self.material_names = (names.get(key) for key in _JSON_KEYS)
        check_tables(self, self._texture_table, len(self._images), pages_end)
        tables_of_pages = self.meshes, self.nodes, self.groups, self.page_table
        self._page_tables = page_tables(*tables_of_pages, len(self.materials))
        self._pages: OrderedDict[int, np.ndarray] = OrderedDict()
        self._clusters: np.ndarray | None = None
        self._lock = threading.Lock()

    @property
    def page_count(self) -> int:
        """Number of pages."""
        return len(self.page_table)

    @property
    def page_word_counts(self) -> np.ndarray:
        """(P,) int64: how many words each page has when decoded."""
        return self.page_table["word_count"].astype(np.int64)

    @property
    def identity(self) -> tuple[Path, bytes]:
        """The file's full path and its header, whose checksums cover all that the file holds."""
        return self.path.resolve(), self._data[: asset_file.HEADER.itemsize].tobytes()

    @property
    def mesh_origins(self) -> np.ndarray:
        """(M, 3) float64: position of each mesh's local (0, 0, 0) in the frame of the asset."""
        return self.meshes["origin_high"].astype(np.float64) + self.meshes["origin_low"]

    @property
    def textures(self) -> list[tuple[str, bytes]]:
        """(mime type, encoded image) of each texture; raises ValueError where one is damaged."""
        return [self.texture(number) for number in range(len(self._texture_table))]

    def texture(self, number: int) -> tuple[str, bytes]:
        """Return (mime type, encoded image) of one texture; raise ValueError where it is damaged."""
        entry = self._texture_table[number]
        self._check_length()
        image = self._images[int(entry["offset"]) : int(entry["offset"]) + int(entry["bytes"])]
        if zlib.crc32(image.data) != entry["checksum"]:
            raise ValueError(f"{self.path}: texture {number} is damaged (wrong checksum)")
        return entry["mime"].decode("ascii", "replace"), image.tobytes()

    @property
    def source_triangles(self) -> int:
        """Triangles of level 0, every mesh counted once."""
        return int(self.mesh_triangles["source"].sum())

    @property
    def instanced_triangles(self) -> int:
        """Triangles of level 0, every mesh counted as often as it is placed."""
        return int(self.mesh_triangles["source"][self.instances["mesh"]].sum())

    def page_words(self, page: int) -> np.ndarray:
        """Return the decoded words (w,) uint32 of a page, read-only and checked; safe to call from many threads.

        Raises ValueError where the page is damaged, IndexError where there is none of this number.
        """
        entry = self.page_table[page]
        self._check_length()
        try:
            return self._decode_page(page, entry)
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from None

    def clusters(self) -> np.ndarray:
        """Return the records (C,) layout.CLUSTER of all clusters by number; the first call decodes every page."""
        if self._clusters is None:
            parts = load_pages(
                lambda page: asset_pages.page_clusters(self.page_words(page)).copy(), range(self.page_count)
            )
            self._clusters = np.concatenate(list(parts))
        return self._clusters

    def cluster_geometry(self, cluster: int) -> ClusterGeometry:
        """Return positions, triangles, normals, UVs, colours and materials of one cluster, by its number."""
        count = int(self.meshes["cluster_count"].sum())
        if not 0 <= cluster < count:
            raise IndexError(f"cluster {cluster} is not one of {count}")
        group = self.groups[np.searchsorted(self.groups["first_cluster"], cluster, side="right") - 1]
        mesh = self.meshes[group["mesh"]]
        place = (int(group["place"]) & 0xFFFF) + cluster - int(group["first_cluster"])
        words = self._cached_page(int(group["page"]))
        return asset_pages.decode_cluster(words, place, float(mesh["step"]), float(mesh["uv_step"]))

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (low, high), (3,) float64 each: a box around all instances, in the frame of the asset."""
        low = self.meshes["box_min"] + self.mesh_origins
        high = self.meshes["box_max"] + self.mesh_origins
        if len(self.instances):
            center, half = (low + high) / 2, (high - low) / 2
            mesh, transform = self.instances["mesh"], self.instances["transform"]
            moved = np.einsum("kij,kj->ki", transform[:, :, :3], center[mesh]) + transform[:, :, 3]
            reach = np.einsum("kij,kj->ki", np.abs(transform[:, :, :3]), half[mesh])
            low, high = moved - reach, moved + reach
        return low.min(axis=0), high.max(axis=0)

    def stream_bytes(self) -> dict[str, int]:
        """Return the decoded bytes of all pages by stream; decodes every page."""
        clusters = self.clusters()
        words = asset_pages.stream_words(clusters).sum(axis=0)
        records = len(clusters) * asset_pages.RECORD_WORDS
        headers = int(self.page_table["word_count"].sum(dtype=np.int64)) - records - int(words.sum())
        names = ("headers", "records", *asset_pages.STREAMS)
        return {name: 4 * int(count) for name, count in zip(names, (headers, records, *words))}

    def _cached_page(self, page: int) -> np.ndarray:
        with self._lock:
            if page not in self._pages:
                self._pages[page] = self.page_words(page)
                if len(self._pages) > _CACHED_PAGES:
                    self._pages.popitem(last=False)
            return self._pages[page]

    def _decode_page(self, page: int, entry: np.void) -> np.ndarray:
        stored = self._data[int(entry["offset"]) : int(entry["offset"]) + int(entry["stored_bytes"])]
        if zlib.crc32(stored.data) != entry["checksum"]:
            raise ValueError(f"page {page} is damaged (wrong checksum)")
        try:
            words = asset_storage.decompress_page(stored, int(entry["word_count"]))
        except ValueError as error:
            raise ValueError(f"page {page} {error}") from None
        check_page(words, page, self._page_tables)
        return words

    def _check_length(self) -> None:
        if self._file_bytes is not None and self._file_bytes() < len(self._data):  # to read on would end the process
            raise ValueError(f"{self.path}: was cut short after it was opened")


def _sections(data: np.ndarray) -> tuple[dict[str, np.ndarray], int]:
    """Return the bytes of each section by name, and where the first begins.

    All checksums are checked but those of images and pages.
    """
    size = asset_file.HEADER.itemsize
    header = data[:size].view(asset_file.HEADER)[0]
    if data[:8].tobytes() != asset_file.MAGIC:
        raise ValueError("is not a .mlith asset; make one with `microlith build`")
    if header["version"] != asset_file.VERSION:
        raise ValueError(
            f"has format version {header['version']}, this is version {asset_file.VERSION}; build it again"
        )
    if zlib.crc32(data[: size - 4].data) != header["header_checksum"]:
        raise ValueError("is damaged (wrong checksum of the header)")
    if header["layout_hash"] != asset_file.layout_hash():
        raise ValueError("was built with another layout.wgsl; build it again")
    if header["file_bytes"] != len(data):
        raise ValueError(f"has {len(data)} bytes, should have {header['file_bytes']}; it was cut short or appended to")
    start, end = int(header["table_offset"]), len(data)
    if start > end or end - start != int(header["section_count"]) * asset_file.SECTION.itemsize:
        raise ValueError("is damaged (wrong section table)")
    if zlib.crc32(data[start:end].data) != header["table_checksum"]:
        raise ValueError("is damaged (wrong checksum of the section table)")
    sections, first_section = {}, start
    for entry in data[start:end].view(asset_file.SECTION):
        name, first, count = entry["name"].decode("ascii", "replace"), int(entry["offset"]), int(entry["bytes"])
        if name not in asset_file.SECTIONS or name in sections:
            raise ValueError(f"has an unknown section, or one twice: {name!r}")
        if not size <= first <= start or first + count > start or first % asset_file.SECTION_ALIGNMENT:
            raise ValueError(f"section {name} lies outside the file")
        sections[name], first_section = data[first : first + count], min(first, first_section)
        if name != "images":
            sections[name] = _in_memory(sections[name])
            if zlib.crc32(sections[name].data) != entry["checksum"]:
                raise ValueError(f"section {name} is damaged (wrong checksum)")
    if missing := set(asset_file.SECTIONS) - set(sections):
        raise ValueError(f"lacks the sections {', '.join(sorted(missing))}")
    return sections, first_section


def _in_memory(section: np.ndarray) -> np.ndarray:
    """Return a read-only copy: to touch what is mapped would end the process where the file was cut short meanwhile."""
    copy = section.copy()
    copy.flags.writeable = False
    return copy


def _table(section: np.ndarray, name: str, dtype: np.dtype) -> np.ndarray:
    if len(section) % dtype.itemsize:
        raise ValueError(f"section {name} has a wrong size")
    return section.view(dtype)


def _json(section: np.ndarray, name: str) -> dict[str, Any]:
    try:
        value = json.loads(section.tobytes(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ValueError(f"section {name} is not a JSON object")
    return value


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")
