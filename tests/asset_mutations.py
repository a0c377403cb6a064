"""Damaged and hostile .mlith files, made from a good one by a seeded generator."""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zstandard

from engine import asset_file, layout
from engine.asset import Asset
from engine.asset_pages import HEADER_WORDS, RECORD_WORDS
from engine.builder.page_encoder import compress_page

NUMBERS = (0, 1, 2, 3, 7, 127, 128, 255, 256, 0xFFFF, 0x10000, 1 << 24, 1 << 31, 0xFFFFFFFE, 0xFFFFFFFF)
LENGTHS = (0.0, -0.0, 1.0, -1.0, 1e-30, 1e30, 1e38, -1e38, np.inf, -np.inf, np.nan, 1e-45)
TEXTS = (
    b"", b"[]", b"null", b"{", b"[" * 100_000, b'{"a":' * 50_000, b"1" * 10_000, b'{"meshes":NaN}', b"\xff\xfe",
    b'{"meshes":{},"materials":{}}', b'{"meshes":["a"],"materials":["b"]}', b'{"meshes":[1,2],"materials":[[],[]]}',
    b'{"meshes":["\\ud800","b"],"materials":["c","d","e"]}',
    b'{"meshes":["a\\u001b[2J\\n","b"],"materials":["\\n","d"]}',
)  # fmt: skip


@dataclass
class Parts:
    """A file taken apart; `put_together` makes a file of it whose checksums are right."""

    pages: list[np.ndarray]  # words (w,) uint32
    stored: dict[int, bytes]  # pages stored as these bytes instead
    sections: dict[str, np.ndarray]  # records or bytes
    early: list  # functions of (sections) that run when the pages have their places
    late: list  # functions of (header, entries) that run before their checksums are made


def take_apart(path: Path) -> Parts:
    """Return copies of all that the file holds."""
    asset = Asset(path, np.fromfile(path, np.uint8))
    data = asset._data
    header = data[: asset_file.HEADER.itemsize].view(asset_file.HEADER)[0]
    sections = {}
    for entry in data[int(header["table_offset"]) :].view(asset_file.SECTION):
        name, first = entry["name"].decode(), int(entry["offset"])
        sections[name] = data[first : first + int(entry["bytes"])].view(asset_file.TABLES.get(name, np.uint8)).copy()
    return Parts([asset.page_words(page).copy() for page in range(asset.page_count)], {}, sections, [], [])


def put_together(parts: Parts) -> bytes:
    """Return the bytes of a file, every checksum right."""
    file = bytearray(asset_file.HEADER.itemsize)
    sections = {name: section.copy() for name, section in parts.sections.items()}
    for number, words in enumerate(parts.pages):
        stored = parts.stored.get(number) or _stored(words)
        file += bytes(-len(file) % asset_file.PAGE_ALIGNMENT)
        if number < len(sections["pages"]):
            sections["pages"]["offset"][number], sections["pages"]["stored_bytes"][number] = len(file), len(stored)
            sections["pages"]["checksum"][number] = zlib.crc32(stored)
        file += stored
    entries = np.zeros(len(sections), asset_file.SECTION)
    header = np.zeros((), asset_file.HEADER)
    header["magic"], header["version"] = asset_file.MAGIC, asset_file.VERSION
    header["section_count"], header["layout_hash"] = len(entries), asset_file.layout_hash()
    for patch in parts.early:
        patch(sections)
    for number, (name, section) in enumerate(sections.items()):
        content = section.tobytes()
        file += bytes(-len(file) % asset_file.SECTION_ALIGNMENT)
        entries[number] = (name.encode(), len(file), len(content), zlib.crc32(content), 0)
        file += content
    file += bytes(-len(file) % asset_file.SECTION_ALIGNMENT)
    header["table_offset"], header["file_bytes"] = len(file), len(file) + entries.nbytes
    for patch in parts.late:
        patch(header, entries)
    for entry in entries:  # of what they name now
        content = bytes(file[int(entry["offset"]) : int(entry["offset"]) + int(entry["bytes"])])
        entry["checksum"] = zlib.crc32(content)
    file += entries.tobytes()
    header["table_checksum"] = zlib.crc32(entries.tobytes())
    header["header_checksum"] = zlib.crc32(header.tobytes()[:-4])
    file[: asset_file.HEADER.itemsize] = header.tobytes()
    return bytes(file)


def _stored(words: np.ndarray) -> bytes:
    try:
        return compress_page(words, 1)
    except (ValueError, IndexError):  # too broken to be sorted by stream
        return zstandard.ZstdCompressor(level=1).compress(words.tobytes())


def raw_mutation(data: bytes, random: np.random.Generator) -> tuple[str, bytes]:
    """Return (what was done, the bytes) of one accident: flipped bits, a cut, or a slice moved, lost or overwritten."""
    kind = random.choice(["flip", "cut", "append", "zero", "noise", "lose", "double", "move"])
    first, count = int(random.integers(len(data))), int(2.0 ** random.uniform(0, 12))
    if kind == "flip":
        damaged = np.frombuffer(data, np.uint8).copy()
        for place in random.integers(len(data), size=random.integers(1, 9)):
            damaged[place] ^= np.uint8(1 << random.integers(8))
        return kind, damaged.tobytes()
    if kind == "cut":
        return kind, data[:first]
    if kind == "append":
        return kind, data + random.bytes(count)
    part = data[first : first + count]
    other = int(random.integers(len(data)))
    replaced = {"zero": bytes(len(part)), "noise": random.bytes(len(part)), "lose": b"", "double": part + part}
    replaced["move"] = data[other : other + len(part)]
    return kind, data[:first] + replaced[kind] + data[first + len(part) :]


def structured_mutation(parts: Parts, random: np.random.Generator) -> tuple[str, bytes]:
    """Return (the field that was changed, the bytes) of one lie behind right checksums; `parts` stays as it is."""
    kinds = {"table": 40, "record": 20, "page": 8, "stream": 8, "content": 16}
    kinds |= {"rows": 6, "zstd": 6, "json": 6, "frame": 6}
    weights = np.array(list(kinds.values()), float)
    while True:
        sections = {name: section.copy() for name, section in parts.sections.items()}
        changed = Parts([words.copy() for words in parts.pages], {}, sections, [], [])
        kind = random.choice(list(kinds), p=weights / weights.sum())
        name = globals()[f"_mutate_{kind}"](changed, random)
        data = put_together(changed)
        if data != put_together(parts):  # the other value was the same one
            return name, data


def _mutate_table(parts: Parts, random: np.random.Generator) -> str:
    """Change one field of one record of a table."""
    table = str(random.choice([name for name in asset_file.TABLES if len(parts.sections[name])]))
    records = parts.sections[table]
    row = int(random.integers(len(records)))
    if table != "pages":
        return f"{table}.{change_field(records, row, random)}"
    changed = records.copy()
    field = change_field(changed, row, random)

    def change(sections: dict[str, np.ndarray]) -> None:
        if field in ("word_count", "mesh"):
            sections["pages"][field][row] = changed[field][row]
        else:  # known only now
            change_field(sections["pages"], row, random, field)

    parts.early.append(change)
    return f"pages.{field}"


def _mutate_record(parts: Parts, random: np.random.Generator) -> str:
    """Change one field of one cluster."""
    words = parts.pages[random.integers(len(parts.pages))]
    count = int(words[0])
    records = words[HEADER_WORDS : HEADER_WORDS + count * RECORD_WORDS].view(layout.CLUSTER)
    return f"clusters.{change_field(records, int(random.integers(count)), random)}"


def _mutate_page(parts: Parts, random: np.random.Generator) -> str:
    """Change the header of a page or its list of dependencies."""
    words = parts.pages[random.integers(len(parts.pages))]
    header = words[:HEADER_WORDS].view(layout.PAGE_HEADER)
    first, count = int(header["dependency_word"][0]), int(header["dependency_count"][0])
    if count and random.random() < 0.4:
        words[first + random.integers(count)] = random.choice([*NUMBERS, *range(len(parts.pages))])
        return "page.dependencies"
    return f"page.{change_field(header, 0, random)}"


def _mutate_stream(parts: Parts, random: np.random.Generator) -> str:
    """Change a byte behind the records of a page."""
    words = parts.pages[random.integers(len(parts.pages))]
    start = 4 * (HEADER_WORDS + int(words[0]) * RECORD_WORDS)
    place = random.integers(start, words.nbytes)
    words.view(np.uint8)[place] = random.integers(256)
    return "page.streams"


def _mutate_content(parts: Parts, random: np.random.Generator) -> str:
    """Change a byte of what zstandard gives back for a page."""
    number = int(random.integers(len(parts.pages)))
    content = bytearray(zstandard.ZstdDecompressor().decompress(_stored(parts.pages[number])))
    end = len(content) if random.random() < 0.5 else min(600, len(content))  # sizes, header and records
    content[int(random.integers(end))] = int(random.integers(256))
    parts.stored[number] = zstandard.ZstdCompressor(level=1).compress(bytes(content))
    return "page.content"


def _mutate_rows(parts: Parts, random: np.random.Generator) -> str:
    """Exchange, lose or double rows of a table, or whole pages."""
    name = str(random.choice([*asset_file.TABLES, "words"]))
    rows = parts.pages if name == "words" else parts.sections[name]
    count = len(rows)
    if count == 0:
        return "nothing"
    order = np.arange(count)
    kind = random.choice(["exchange", "lose", "double"])
    a, b = random.integers(count, size=2)
    if kind == "exchange":
        order[[a, b]] = order[[b, a]]
    else:
        order = np.delete(order, a) if kind == "lose" else np.insert(order, a, b)
    if name == "words":
        parts.pages = [parts.pages[i] for i in order]
    else:
        parts.sections[name] = rows[order]
    return f"{name} {kind}"


def _mutate_zstd(parts: Parts, random: np.random.Generator) -> str:
    """Store a page as something else than its words in one frame."""
    number = int(random.integers(len(parts.pages)))
    good = _stored(parts.pages[number])
    size = parts.pages[number].nbytes
    compressor = zstandard.ZstdCompressor(level=1)
    unknown = zstandard.ZstdCompressor(level=1, write_content_size=False)
    choices = {
        "bomb": compressor.compress(bytes(1 << 26)),
        "zeros": compressor.compress(bytes(size)),
        "unknown size": unknown.compress(parts.pages[number].tobytes()),
        "noise": random.bytes(len(good)),
        "empty": b"",
        "empty frame": compressor.compress(b""),
        "window": b"\x28\xb5\x2f\xfd\x80\xf8" + (size & 0xFFFFFFFF).to_bytes(4, "little") + good[6:],
        "skippable": b"\x50\x2a\x4d\x18\xff\xff\xff\x7f" + good,
        "cut": good[: random.integers(1, len(good))],
        "tail": good + random.bytes(9),
        "words": compressor.compress(random.bytes(size)),
        "noise within": good[: len(good) // 2] + random.bytes(4) + good[len(good) // 2 + 4 :],
    }
    kind = str(random.choice(list(choices)))
    parts.stored[number] = choices[kind] or b"\0"
    return f"zstd {kind}"


def _mutate_json(parts: Parts, random: np.random.Generator) -> str:
    """Change names or metadata."""
    name = str(random.choice(["names", "metadata"]))
    text = parts.sections[name].tobytes()
    if random.random() < 0.5:
        text = random.choice(np.array(TEXTS, object))
    elif random.random() < 0.5:
        value = json.loads(text)
        value[str(random.choice(list(value)))] = random.choice(np.array([None, 3, "", [], {}, -1.5e308], object))
        text = json.dumps(value).encode()
    else:
        place = random.integers(len(text))
        text = text[:place] + random.bytes(1) + text[place + 1 :]
    parts.sections[name] = np.frombuffer(text, np.uint8)
    return name


def _mutate_frame(parts: Parts, random: np.random.Generator) -> str:
    """Change the header or the section table."""
    table = str(random.choice(["header", "sections"]))
    dtype = asset_file.HEADER if table == "header" else asset_file.SECTION
    field = str(random.choice([name for name in dtype.names if "checksum" not in name]))

    def change(header: np.ndarray, entries: np.ndarray) -> None:
        if table == "header":
            change_field(header.reshape(1), 0, random, field)
        else:
            change_field(entries, int(random.integers(len(entries))), random, field)

    parts.late.append(change)
    return f"{table}.{field}"


def change_field(records: np.ndarray, row: int, random: np.random.Generator, field: str | None = None) -> str:
    """Give one component of a field of records[row] another value, in place; return the name of the field."""
    name = field or str(random.choice(records.dtype.names))
    values = records[name]
    if values.dtype.kind == "S":
        values[row] = random.choice([b"", b"a", b"\xff\xff", b"meshes", b"images", b"x\x1b[2J"])
        return name
    flat = values[row].reshape(-1) if values.ndim > 1 else values[row : row + 1]
    place = int(random.integers(flat.size))
    old = flat[place]
    if values.dtype.kind == "f":
        other = values.reshape(-1)[random.integers(values.size)]
        factors = [old * 2, old * 0.5, -old, old * np.float32(1.001), old * np.float32(0.999), other]
        with np.errstate(all="ignore"):
            chosen = random.choice(np.array([*factors, *LENGTHS], object))
            flat[place] = values.dtype.type(chosen)
        if random.random() < 0.25:
            bits = np.array([old]).view(f"u{values.dtype.itemsize}")
            flat[place] = (bits ^ bits.dtype.type(1 << int(random.integers(8 * bits.itemsize)))).view(values.dtype)[0]
    else:
        size, signed = 8 * values.dtype.itemsize, values.dtype.kind == "i"
        other = int(values.reshape(-1)[random.integers(values.size)])
        near = [int(old) + 1, int(old) - 1, int(old) ^ (1 << int(random.integers(size))), other, 2 * int(old)]
        number = int(random.choice(np.array([*near, *NUMBERS], object))) % (1 << size)
        flat[place] = number - (1 << size) if signed and number >= 1 << (size - 1) else number
    if values.ndim > 1:
        values[row] = flat.reshape(values[row].shape)
    return name
