"""Numbers and polygons from the bytes of text files, by numba: for OBJ, text PLY, and OFF, which is read here.

Polygons become fans of triangles.
"""

import re
from pathlib import Path

import numpy as np
from numba import njit

from engine.builder.source import SourceMesh


@njit(nogil=True, cache=True)
def skip_blanks(data, here):
    """Return the first byte that is a line feed or belongs to a word: control characters are blanks."""
    while here < len(data) and data[here] <= 32 and data[here] != 10:
        here += 1
    return here


@njit(nogil=True, cache=True)
def next_line(data, here):
    """Return the byte after the end of the line."""
    while here < len(data) and data[here] != 10:
        here += 1
    return here + 1


@njit(nogil=True, cache=True)
def skip_word(data, here):
    """Return the first byte that ends a word."""
    while here < len(data) and data[here] > 32:
        here += 1
    return here


@njit(nogil=True, cache=True)
def parse_number(data, here):
    """Return (value, byte after the word); NaN where no number starts. What follows a number in its word is ignored."""
    end = skip_word(data, here)
    negative = here < end and data[here] == 45
    if here < end and (data[here] == 45 or data[here] == 43):
        here += 1
    mantissa, exponent, digits, point = np.uint64(0), 0, 0, False
    while here < end:
        byte = data[here]
        if 48 <= byte <= 57:
            digits += 1
            if mantissa < np.uint64(100000000000000000):
                mantissa = mantissa * np.uint64(10) + np.uint64(byte - 48)
                exponent -= 1 if point else 0
            else:
                exponent += 0 if point else 1
        elif byte == 46 and not point:
            point = True
        else:
            break
        here += 1
    if digits == 0:
        return np.nan, end
    if here + 1 < end and (data[here] == 101 or data[here] == 69):
        here += 1
        sign = -1 if data[here] == 45 else 1
        if data[here] == 45 or data[here] == 43:
            here += 1
        power = 0
        while here < end and 48 <= data[here] <= 57:
            power = min(power * 10 + (data[here] - 48), 9999)
            here += 1
        exponent += sign * power
    value = np.float64(mantissa)
    # Division by a power of ten up to 10^22, which is exact, rounds correctly; multiplication by 10^-n would not.
    if exponent < -300:
        value = value / 1e300 / 10.0 ** min(-exponent - 300, 300)
    elif exponent < 0:
        value /= 10.0 ** (-exponent)
    elif exponent > 0:
        value = value * 10.0**exponent if exponent <= 308 else (np.inf if value > 0.0 else 0.0)
    return (-value if negative else value), end


@njit(nogil=True, cache=True)
def parse_integer(data, here):
    """Return (value, byte after it, whether there were digits) of a decimal integer with a sign."""
    negative = here < len(data) and data[here] == 45
    if here < len(data) and (data[here] == 45 or data[here] == 43):
        here += 1
    value, start = 0, here
    while here < len(data) and 48 <= data[here] <= 57:
        value = min(value * 10 + (data[here] - 48), 1 << 40)
        here += 1
    return (-value if negative else value), here, here > start


@njit(nogil=True, cache=True)
def next_content(data, here):
    """Return the first byte of the next line that holds more than a comment, or -1 at the end."""
    while here < len(data):
        here = skip_blanks(data, here)
        if here >= len(data):
            return -1
        if data[here] == 10 or data[here] == 35:
            here = next_line(data, here)
        else:
            return here
    return -1


@njit(nogil=True, cache=True)
def number_lines(data, here, count, columns):
    """Read `count` lines of at least `columns` numbers: (count, columns) float64, and the next byte (-1: too short)."""
    if count * max(2 * columns, 1) > 2 * (len(data) - here) + 16:
        return np.empty((0, columns), np.float64), -1
    values = np.empty((count, columns), np.float64)
    for line in range(count):
        here = next_content(data, here)
        if here < 0:
            return values, -1
        for column in range(columns):
            here = skip_blanks(data, here)
            if here >= len(data) or data[here] == 10:
                return values, -1
            values[line, column], here = parse_number(data, here)
        here = next_line(data, here)
    return values, here


@njit(nogil=True, cache=True)
def _grown(corners):
    result = np.empty((2 * len(corners), 3), np.int32)
    for row in range(len(corners)):
        for column in range(3):
            result[row, column] = corners[row, column]
    return result


@njit(nogil=True, cache=True)
def polygon_lines(data, here, count, column):
    """Read `count` lines whose word `column` is a corner count, followed by that many indices.

    Returns the fan triangles (m, 3) int32 (-1 for a bad index), the number of lines that were no polygon, and
    the next byte (-1 where the text ends early).
    """
    empty = np.empty((0, 3), np.int32)
    if count > len(data) - here:
        return empty, 0, -1
    corners = np.empty((max(count, 16), 3), np.int32)
    found, bad = 0, 0
    for _ in range(count):
        here = next_content(data, here)
        if here < 0:
            return empty, bad, -1
        for _ in range(column):
            here = skip_blanks(data, skip_word(data, here))
        length, here, _ = parse_integer(data, here)
        if length < 3:
            bad += 1
        first, before = -1, -1
        for corner in range(length):
            while here < len(data) and data[here] <= 32:  # some writers break polygons into lines
                here += 1
            index, here, good = parse_integer(data, here)
            if here >= len(data) and not good:
                return empty, bad, -1
            if not good:
                bad += 1
                break
            if index > 2147483647 or index < 0:
                index = -1
            if corner == 0:
                first = index
            elif corner >= 2:
                if found == len(corners):
                    corners = _grown(corners)
                corners[found, 0], corners[found, 1], corners[found, 2] = first, before, index
                found += 1
            before = index
        here = next_line(data, here)
    return corners[:found].copy(), bad, here


@njit(nogil=True, cache=True)
def facet_lines(data):
    """Read the loops of a text STL file.

    Returns their vertices (n, 3) float64, fan triangles (m, 3) int32, and the number of loops that are no polygon.
    """
    vertices, triangles = 0, 0
    for stage in range(2):
        if stage == 1:
            positions, faces = np.empty((vertices, 3), np.float64), np.empty((triangles, 3), np.int32)
        vertices, triangles, first, bad, here = 0, 0, 0, 0, 0
        while True:
            here = next_content(data, here)
            if here < 0:
                break
            kind = data[here] | 32
            if kind == 118:  # vertex
                if stage == 1:
                    here = skip_word(data, here)
                    for column in range(3):
                        here = skip_blanks(data, here)
                        positions[vertices, column], here = parse_number(data, here)
                vertices += 1
            elif kind == 101 and here + 3 < len(data) and (data[here + 3] | 32) == 108:  # endloop
                bad += vertices - first < 3
                for corner in range(first + 2, vertices):
                    if stage == 1:
                        faces[triangles, 0], faces[triangles, 1], faces[triangles, 2] = first, corner - 1, corner
                    triangles += 1
                first = vertices
            here = next_line(data, here)
        bad += first < vertices
    return positions, faces, bad


def read_bytes(path: Path) -> np.ndarray:
    """Return the text of a file as UTF-8 bytes (n,) uint8, writable; UTF-16 is recognised by its byte-order mark."""
    data = np.fromfile(path, np.uint8)
    mark = data[:3].tobytes()
    if mark[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = data.tobytes().decode("utf-16", "replace").encode("utf-8")
        return np.frombuffer(bytearray(text), np.uint8)
    return data[3:] if mark == b"\xef\xbb\xbf" else data


def read_off(path: Path, report: dict) -> SourceMesh:
    """Return the mesh of an OFF file (also COFF, NOFF, STOFF: the extra vertex columns are ignored)."""
    data = read_bytes(path)
    match = re.match(rb"\s*(?:#[^\n]*\n\s*)*(\w{0,8}OFF)\s+(?:#[^\n]*\n\s*)*(BINARY)?", data[:4096].tobytes())
    if match is None or match[2]:
        raise ValueError("is not a text OFF file (no 'OFF' in the first line)")
    if match[1] in (b"4OFF", b"nOFF", b"4nOFF"):
        raise ValueError(f"{match[1].decode()} is not three-dimensional")
    counts, here = number_lines(data, match.end(), 1, 2)
    if here < 0 or not np.isfinite(counts).all() or (counts < 0).any():
        raise ValueError("cannot read the counts of the OFF file")
    vertex_count, face_count = (int(value) for value in counts[0])
    if vertex_count + face_count > len(data):
        raise ValueError(f"announces {vertex_count} vertices and {face_count} faces, but has {len(data)} bytes")
    positions, here = number_lines(data, here, vertex_count, 3)
    faces, bad = np.zeros((0, 3), np.int32), 0
    if here >= 0:
        faces, bad, here = polygon_lines(data, here, face_count, 0)
    if here < 0:
        raise ValueError("the OFF file ends early (truncated, or the counts are wrong)")
    if bad:
        report["polygons_skipped"] = bad
    return SourceMesh(path.stem, positions, faces, None, None, None, np.zeros(len(faces), np.int32))
