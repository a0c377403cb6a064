"""The frame of a .mlith file, shared by its reader (asset.py) and its writer (builder/asset_writer.py).

    header | pages (asset_storage.py), from multiples of 8 bytes | sections, from multiples of 64 bytes | section table

All numbers are little-endian. The header names the section table; it, the table, each section, each page and each
image have a CRC-32 of their own. There is no time and no path in the file.
"""

import hashlib
import re

import numpy as np

from engine import layout

MAGIC = b"\x89MLITH\r\n"
VERSION = 2
SECTION_ALIGNMENT = 64
PAGE_ALIGNMENT = 8

HEADER: np.dtype = np.dtype(
    [
        ("magic", "S8"),
        ("version", "<u4"),
        ("section_count", "<u4"),
        ("layout_hash", "S32"),  # hexadecimal digits
        ("table_offset", "<u8"),
        ("file_bytes", "<u8"),
        ("table_checksum", "<u4"),
        ("header_checksum", "<u4"),  # of the bytes before it
    ]
)
SECTION: np.dtype = np.dtype(
    [("name", "S16"), ("offset", "<u8"), ("bytes", "<u8"), ("checksum", "<u4"), ("padding", "<u4")]
)
PAGE: np.dtype = np.dtype(
    [("offset", "<u8"), ("stored_bytes", "<u4"), ("word_count", "<u4"), ("checksum", "<u4"), ("mesh", "<u4")]
)
INSTANCE: np.dtype = np.dtype([("mesh", "<u4"), ("padding", "<u4"), ("transform", "<f8", (3, 4))])
TEXTURE: np.dtype = np.dtype(
    [("mime", "S48"), ("offset", "<u8"), ("bytes", "<u8"), ("checksum", "<u4"), ("padding", "<u4")]
)
TRIANGLES: np.dtype = np.dtype([("source", "<u8"), ("stored", "<u8")])  # of a mesh: level 0, and all levels

# Sections of records; `names` and `metadata` are JSON, `images` is what the texture table cuts.
TABLES = {
    "meshes": layout.MESH,
    "nodes": layout.NODE,
    "groups": layout.GROUP,
    "materials": layout.MATERIAL,
    "instances": INSTANCE,
    "textures": TEXTURE,
    "triangles": TRIANGLES,
    "pages": PAGE,
}
SECTIONS = (*TABLES, "images", "names", "metadata")


def layout_hash() -> bytes:
    """Return 32 hexadecimal digits of what layout.wgsl says, whatever its comments and spaces."""
    text = re.sub(r"//[^\n]*", "", layout.FILE_TEXT)
    return hashlib.blake2b(re.sub(r"\s+", "", text).encode(), digest_size=16).hexdigest().encode()
