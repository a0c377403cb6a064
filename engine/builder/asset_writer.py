"""Write a .mlith asset so that at any moment the old file or the new one is there, whole.

Bytes go to `OUTPUT.partial` in the same folder, which is synchronised and then renamed. A process that was killed
leaves that file behind; the next build of the same output takes it over.
"""

import contextlib
import json
import logging
import os
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from engine import asset_file
from engine.builder.page_encoder import compress_page

try:
    import fcntl
except ImportError:  # not a POSIX system: two builds of one output are not told apart
    fcntl = None

LOGGER = logging.getLogger("engine")
PARTIAL_SUFFIX = ".partial"


class AssetWriter:
    """Owns the unfinished file: `with AssetWriter(path) as writer: writer.add_pages(...); writer.finish(...)`.

    Without `finish` (an error, Ctrl-C) nothing is left behind and an older asset stays as it was.
    """

    def __init__(self, path: str | Path, compression_level: int = 3, threads: int | None = None) -> None:
        """Create the partial file; raise ValueError where the folder cannot hold it or another build writes it."""
        self.path = Path(path)
        self.partial = self.path.with_name(self.path.name + PARTIAL_SUFFIX)
        self.stored_page_bytes = 0
        self._level = compression_level
        self._pool = ThreadPoolExecutor(threads or os.cpu_count())
        self._pages: list[tuple[int, int, int, int, int]] = []
        self._finished = False
        if self.path.is_dir():
            raise ValueError(f"{self.path}: is a folder; name the asset file")
        try:
            self._file = _open_partial(self.partial)
        except OSError as error:
            raise ValueError(f"{self.path}: cannot be written ({error.strerror})") from None
        self._file.write(bytes(asset_file.HEADER.itemsize))

    def __enter__(self) -> "AssetWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        if not self._finished:
            if fcntl is None:
                self._file.close()  # an open file cannot be removed there
            with contextlib.suppress(OSError):
                self.partial.unlink()
        self._file.close()

    def add_pages(self, words: np.ndarray, page_word: np.ndarray, mesh: int) -> None:
        """Compress and append pages, page i being words[page_word[i]:page_word[i + 1]] (uint32)."""
        starts, ends = page_word[:-1].tolist(), page_word[1:].tolist()
        parts = self._pool.map(lambda start, end: _compressed(words[start:end], self._level), starts, ends)
        for start, end, (stored, checksum) in zip(starts, ends, parts):
            self._align(asset_file.PAGE_ALIGNMENT)
            self._pages.append((self._file.tell(), len(stored), end - start, checksum, mesh))
            self._file.write(stored)
            self.stored_page_bytes += len(stored)

    @property
    def page_count(self) -> int:
        """Number of pages added so far."""
        return len(self._pages)

    def stored_pages(self, first: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the pages from number `first` on: their rows (n,) asset_file.PAGE, and their bytes, uint8.

        Offsets count from the first byte returned. Read back from the file, so that nothing is held twice.
        """
        rows = np.array(self._pages[first:], asset_file.PAGE)
        start, end = int(rows["offset"][0]), self._file.tell()
        self._file.seek(start)
        stored = np.frombuffer(self._file.read(end - start), np.uint8)
        self._file.seek(end)
        rows["offset"] -= np.uint64(start)
        return rows, stored

    def add_stored_pages(self, rows: np.ndarray, stored: np.ndarray, mesh: int) -> None:
        """Append pages of one mesh as `stored_pages` returned them, the first at offset 0."""
        self._align(asset_file.PAGE_ALIGNMENT)
        start = self._file.tell()
        for row in rows.tolist():
            self._pages.append((start + row[0], *row[1:4], mesh))
            self.stored_page_bytes += row[1]
        self._file.write(stored.data)

    def finish(
        self,
        tables: dict[str, np.ndarray],
        textures: Sequence[tuple[str, bytes]],
        mesh_names: list[str],
        material_names: list[str],
        metadata: dict[str, Any],
    ) -> int:
        """Write everything but the pages, and put the file in its place; return its size in bytes.

        tables: meshes, nodes, groups, materials, instances, triangles, each with the dtype of asset_file.TABLES.
        """
        table, images = _texture_section(textures)
        pages = np.array(self._pages, asset_file.PAGE)
        sections: dict[str, bytes | np.ndarray] = {**tables, "pages": pages, "textures": table}
        for name, dtype in asset_file.TABLES.items():
            sections[name] = np.ascontiguousarray(sections[name], dtype=dtype).tobytes()
        sections |= {
            "images": images,
            "names": _json_bytes({"meshes": mesh_names, "materials": material_names}),
            "metadata": _json_bytes(metadata),
        }
        entries = np.zeros(len(asset_file.SECTIONS), asset_file.SECTION)
        for number, name in enumerate(asset_file.SECTIONS):
            content = bytes(sections[name])
            self._align(asset_file.SECTION_ALIGNMENT)
            entries[number] = (name.encode(), self._file.tell(), len(content), zlib.crc32(content), 0)
            self._file.write(content)
        self._align(asset_file.SECTION_ALIGNMENT)
        table_offset = self._file.tell()
        self._file.write(entries.tobytes())
        size = self._file.tell()
        self._file.seek(0)
        self._file.write(_header(entries, table_offset, size))
        self._publish()
        return size

    def _publish(self) -> None:
        """Bring the file to the disk, rename it, and bring the folder to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        if fcntl is None:
            self._file.close()  # an open file cannot be renamed there
        os.replace(self.partial, self.path)
        self._finished = True
        with contextlib.suppress(OSError):  # some systems do not synchronise folders
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _align(self, alignment: int) -> None:
        self._file.write(bytes(-self._file.tell() % alignment))


def _open_partial(path: Path) -> BinaryIO:
    """Open the partial file, empty and locked for this process."""
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        try:
            if _locked(file, path):
                if os.fstat(file.fileno()).st_size:
                    LOGGER.info("%s: replaced what an interrupted build had left", path)
                file.truncate(0)
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _locked(file: BinaryIO, path: Path) -> bool:
    """Lock the file; return False where it is no longer the one at `path` (another build just renamed it)."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(f"{path}: another build is writing this asset; wait for it") from None
    except OSError:  # a file system without locks
        return True
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _compressed(words: np.ndarray, level: int) -> tuple[bytes, int]:
    stored = compress_page(words, level)
    return stored, zlib.crc32(stored)


def _header(entries: np.ndarray, table_offset: int, size: int) -> bytes:
    header = np.zeros((), asset_file.HEADER)
    header["magic"], header["version"] = asset_file.MAGIC, asset_file.VERSION
    header["section_count"], header["layout_hash"] = len(entries), asset_file.layout_hash()
    header["table_offset"], header["file_bytes"] = table_offset, size
    header["table_checksum"] = zlib.crc32(entries.tobytes())
    header["header_checksum"] = zlib.crc32(header.tobytes()[:-4])
    return header.tobytes()


def _texture_section(textures: Iterable[tuple[str, bytes]]) -> tuple[np.ndarray, bytes]:
    """Return (asset_file.TEXTURE table, the images one after the other)."""
    rows, images, offset = [], [], 0
    for mime, image in textures:
        rows.append((mime.encode("ascii", "replace"), offset, len(image), zlib.crc32(image), 0))
        images.append(image)
        offset += len(image)
    return np.array(rows, asset_file.TEXTURE), b"".join(images)


def _json_bytes(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
