"""What simplification does with disjoint parts: soups, foliage, and groups that strict collapses cannot shrink.

Small parts are thinned: an area-stratified choice survives, scaled about the parts' own centres so that the area
stays (as in Cook, Halstead, Planck and Ryu, Stochastic Simplification of Aggregate Detail, 2007). Parts that collapses
wear down swell back to their area, too. The rest of a group that strict collapses cannot shrink is collapsed
loosely (loose.py).

A part that touches a locked position is never thinned or scaled: other groups may continue its surface.
"""

import math

import numpy as np
from numba import njit

from engine.builder.kernels import find_root
from engine.builder.simplify import STRICT, simplify_group

LEAF_FACES = 4  # a disjoint part of at most this many faces is thinned where most are such
SMALL_FACES = 16  # likewise where collapses do not suffice
MOST_SCALE_SQUARED = 4.0  # of a part that stands for those around it
MOST_SHARES = 16.0  # of the area of small parts, for each part: where the search for the right number begins
SCATTERED = 0.55  # positions per face: a group with more may consist of many parts; a closed surface has half of one
LEAST_AREA = 0.98  # of a part, before it swells
MOST_AREA_GAIN = 3.0  # by swelling


@njit(nogil=True, cache=True, error_model="numpy")
def shrink_group(
    positions, locked, vertex_position, attributes, attribute_weights, faces, face_material, target_triangles, last
):
    """Reduce one group by strict collapses, or by thinning where it consists of small parts; see simplify_group.

    last: a group that may be the whole mesh; parts that lost area are then restored, as they are among many parts.
    """
    scattered = is_scattered(positions, faces)
    if scattered and _mostly_small(positions, locked, vertex_position, faces):
        return thin_group(
            positions, locked, vertex_position, attributes, attribute_weights, faces, face_material, target_triangles,
            STRICT,
        )  # fmt: skip
    result = simplify_group(
        positions, locked, vertex_position, attributes, attribute_weights, faces, face_material, target_triangles,
        STRICT,
    )  # fmt: skip
    if scattered or last:
        _restore_areas(positions, locked, vertex_position, faces, result)
    return result


@njit(nogil=True, cache=True, error_model="numpy")
def thin_group(
    positions, locked, vertex_position, attributes, attribute_weights, faces, face_material, target_triangles, manner
):
    """Reduce one group towards target_triangles by collapses of `manner` and thinning; see simplify_group.

    Where most triangles are in small parts these are thinned and not collapsed, else only if collapses do not suffice.
    No connected part larger than SMALL_FACES, after collapses, is removed.
    """
    part, part_faces, _, part_locked = _parts(positions, locked, vertex_position, faces)
    small, small_faces, used_faces = _small_parts(part_faces, part_locked, LEAF_FACES)
    rest = np.ones(len(faces), dtype=np.bool_)
    rest_target = target_triangles
    if 2 * small_faces >= used_faces:
        rest_target = round(target_triangles * (used_faces - small_faces) / max(used_faces, 1))
        for face in range(len(faces)):
            rest[face] = part[face] >= 0 and not small[part[face]]
    result = simplify_group(
        positions, locked, vertex_position, attributes, attribute_weights, faces[rest], face_material[rest],
        rest_target, manner,
    )  # fmt: skip
    _restore_areas(positions, locked, vertex_position, faces[rest], result)
    _, rest_faces, rest_material, place, place_of, attributes_out, moved_position, moved_vertex, pinned = result
    faces_out = np.concatenate((rest_faces, faces[~rest]))
    material_out = np.concatenate((rest_material, face_material[~rest]))
    part, part_faces, part_area, part_locked = _parts(place, locked, place_of, faces_out)
    small, small_faces, used_faces = _small_parts(part_faces, part_locked, SMALL_FACES)
    keep = part >= 0
    if used_faces > target_triangles:
        for face in range(len(faces_out)):
            keep[face] &= not small[part[face]]
        small_target = max(target_triangles - (used_faces - small_faces), small_faces // 8)
        _thin_small(small_target, part, small, part_faces, part_area, place, place_of, faces_out, keep)
    mark_moved(positions, place, place_of, moved_position, moved_vertex)
    kept, material = faces_out[keep], material_out[keep]
    return len(kept), kept, material, place, place_of, attributes_out, moved_position, moved_vertex, pinned


@njit(nogil=True, error_model="numpy")
def is_scattered(positions, faces):
    """Return whether a group may consist of many parts; strict collapses of one that does not lose no part."""
    return len(positions) > SCATTERED * len(faces)


@njit(nogil=True, error_model="numpy")
def _mostly_small(positions, locked, vertex_position, faces):
    _, part_faces, _, part_locked = _parts(positions, locked, vertex_position, faces)
    _, small_faces, used_faces = _small_parts(part_faces, part_locked, LEAF_FACES)
    return 2 * small_faces >= used_faces and used_faces > 0


@njit(nogil=True, error_model="numpy")
def _small_parts(part_faces, part_locked, most):
    """Return which parts may be thinned, those of at most `most` faces, and their faces and the faces of all parts."""
    small = np.zeros(len(part_faces), dtype=np.bool_)
    small_faces, used_faces = 0, 0
    for i in range(len(part_faces)):
        small[i] = not part_locked[i] and part_faces[i] <= most
        small_faces += part_faces[i] if small[i] else 0
        used_faces += part_faces[i]
    return small, small_faces, used_faces


@njit(nogil=True, error_model="numpy")
def mark_moved(positions, place, place_of, moved_position, moved_vertex):
    """Mark the positions that differ, and their vertices."""
    for i in range(len(positions)):
        for axis in range(3):
            moved_position[i] |= place[i, axis] != positions[i, axis]
    for vertex in range(len(place_of)):
        moved_vertex[vertex] |= moved_position[place_of[vertex]]


@njit(nogil=True, error_model="numpy")
def _restore_areas(positions, locked, vertex_position, faces, result):
    """Swell every unlocked part that lost area, in the result of simplify_group.

    It moves along its normals, or where it is flat is scaled about its centre: whichever moves it less.
    positions, vertex_position, faces: what the result was made from.
    """
    _, faces_after, _, place, place_of, _, moved_position, moved_vertex, _ = result
    parent = np.arange(len(positions))
    for face in range(len(faces)):
        join(parent, vertex_position, faces[face])
    before, after, corners = np.zeros(len(positions)), np.zeros(len(positions)), np.zeros(len(positions))
    center = np.zeros((len(positions), 3))
    held, used = np.zeros(len(positions), dtype=np.bool_), np.zeros(len(positions), dtype=np.bool_)
    for i in range(len(positions)):
        held[find_root(parent, i)] |= locked[i]
    for face in range(len(faces)):
        a, b, c = vertex_position[faces[face, 0]], vertex_position[faces[face, 1]], vertex_position[faces[face, 2]]
        before[find_root(parent, a)] += _face_area(positions, a, b, c)
    for face in range(len(faces_after)):
        a, b, c = place_of[faces_after[face, 0]], place_of[faces_after[face, 1]], place_of[faces_after[face, 2]]
        root = find_root(parent, a)
        after[root] += _face_area(place, a, b, c)
        for position in (a, b, c):
            if not used[position]:
                used[position] = True
                corners[root] += 1.0
                for axis in range(3):
                    center[root, axis] += place[position, axis]
    normal = vertex_normals(place, place_of, faces_after)
    radius, slope = np.zeros(len(positions)), np.zeros(len(positions))
    for i in range(len(positions)):
        root = find_root(parent, i)
        if used[i]:
            squared = 0.0
            for axis in range(3):
                squared += (place[i, axis] - center[root, axis] / corners[root]) ** 2
            radius[root] = max(radius[root], math.sqrt(squared))
    offset = place + normal
    for face in range(len(faces_after)):
        a, b, c = place_of[faces_after[face, 0]], place_of[faces_after[face, 1]], place_of[faces_after[face, 2]]
        slope[find_root(parent, a)] += _face_area(offset, a, b, c) - _face_area(place, a, b, c)
    changed = False
    for i in range(len(positions)):
        root = find_root(parent, i)
        if not used[i] or held[root] or not 0.0 < after[root] < LEAST_AREA * before[root]:
            continue
        changed = True
        scale = math.sqrt(min(before[root] / after[root], MOST_AREA_GAIN))
        away = (before[root] - after[root]) / slope[root] if slope[root] > 0.0 else np.inf
        for axis in range(3):
            if away < (scale - 1.0) * radius[root]:
                place[i, axis] = math.floor(place[i, axis] + away * normal[i, axis] + 0.5)
            else:
                middle = center[root, axis] / corners[root]
                place[i, axis] = math.floor(middle + scale * (place[i, axis] - middle) + 0.5)
    if changed:
        mark_moved(positions, place, place_of, moved_position, moved_vertex)


@njit(nogil=True, error_model="numpy")
def vertex_normals(place, place_of, faces):
    """Return the unit normal (p, 3) of each position, weighted by area; zero where there is none."""
    normal = np.zeros(place.shape)
    for face in range(len(faces)):
        a, b, c = place_of[faces[face, 0]], place_of[faces[face, 1]], place_of[faces[face, 2]]
        ex, ey, ez = place[b, 0] - place[a, 0], place[b, 1] - place[a, 1], place[b, 2] - place[a, 2]
        fx, fy, fz = place[c, 0] - place[a, 0], place[c, 1] - place[a, 1], place[c, 2] - place[a, 2]
        for position in (a, b, c):
            normal[position, 0] += ey * fz - ez * fy
            normal[position, 1] += ez * fx - ex * fz
            normal[position, 2] += ex * fy - ey * fx
    for i in range(len(place)):
        length = math.sqrt(normal[i, 0] ** 2 + normal[i, 1] ** 2 + normal[i, 2] ** 2)
        for axis in range(3):
            normal[i, axis] /= max(length, 1e-9)
    return normal


@njit(nogil=True, error_model="numpy", forceinline=True)
def join(parent, vertex_position, face):
    """Join the sets of the positions of a face (3,)."""
    first = find_root(parent, vertex_position[face[0]])
    for side in range(1, 3):
        other = find_root(parent, vertex_position[face[side]])
        low, high = min(first, other), max(first, other)
        parent[high] = low
        first = low


@njit(nogil=True, error_model="numpy")
def _parts(positions, locked, vertex_position, faces):
    """Return part (m,) int32 of each face (-1: degenerate), and faces, area and lock of each part, in face order."""
    parent = np.arange(len(positions))
    for face in range(len(faces)):
        join(parent, vertex_position, faces[face])
    number = np.full(len(positions), -1, dtype=np.int32)
    part = np.full(len(faces), -1, dtype=np.int32)
    part_faces = np.zeros(len(faces), dtype=np.int64)
    part_area = np.zeros(len(faces))
    part_locked = np.zeros(len(faces), dtype=np.bool_)
    count = 0
    for face in range(len(faces)):
        a, b, c = vertex_position[faces[face, 0]], vertex_position[faces[face, 1]], vertex_position[faces[face, 2]]
        if a == b or b == c or c == a:
            continue
        root = find_root(parent, a)
        if number[root] < 0:
            number[root] = count
            count += 1
        here = number[root]
        part[face] = here
        part_faces[here] += 1
        part_area[here] += _face_area(positions, a, b, c)
        part_locked[here] |= locked[a] or locked[b] or locked[c]
    return part, part_faces[:count], part_area[:count], part_locked[:count]


@njit(nogil=True, error_model="numpy")
def _face_area(positions, a, b, c):
    ex, ey, ez = positions[b, 0] - positions[a, 0], positions[b, 1] - positions[a, 1], positions[b, 2] - positions[a, 2]
    fx, fy, fz = positions[c, 0] - positions[a, 0], positions[c, 1] - positions[a, 1], positions[c, 2] - positions[a, 2]
    nx, ny, nz = ey * fz - ez * fy, ez * fx - ex * fz, ex * fy - ey * fx
    return 0.5 * math.sqrt(nx * nx + ny * ny + nz * nz)


@njit(nogil=True, error_model="numpy")
def _thin_small(target, part, small, part_faces, part_area, place, vertex_position, faces, keep):
    """Keep small parts of at most `target` faces, at least one; the largest of each run of equal area stands for it."""
    chosen, stands_for = _choose_parts(target, small, part_faces, part_area)
    center = np.zeros((len(small), 3))
    corners = np.zeros(len(small))
    seen = np.zeros(len(place), dtype=np.bool_)
    for turn in range(2):
        for face in range(len(faces)):
            i = part[face]
            if i < 0 or not chosen[i]:
                continue
            keep[face] = True
            scale = math.sqrt(min(stands_for[i] / max(part_area[i], 1e-9), MOST_SCALE_SQUARED * MOST_AREA_GAIN))
            for side in range(3):
                position = vertex_position[faces[face, side]]
                if seen[position] != (turn == 1):
                    continue
                seen[position] = turn == 0
                corners[i] += turn == 0
                for axis in range(3):
                    if turn == 0:
                        center[i, axis] += place[position, axis]
                    elif scale > 1.0:
                        middle = center[i, axis] / corners[i]
                        place[position, axis] = math.floor(middle + scale * (place[position, axis] - middle) + 0.5)


@njit(nogil=True, error_model="numpy")
def _choose_parts(target, small, part_faces, part_area):
    """Return chosen (n,) bool and stands_for (n,), the area that each chosen part is to have."""
    chosen, stands_for = np.zeros(len(small), dtype=np.bool_), np.zeros(len(small))
    total_area, count = 0.0, 0
    for i in range(len(small)):
        if small[i]:
            total_area += part_area[i] + 1e-9
            count += 1
    shares = MOST_SHARES * float(count)
    while count > 0:
        step = total_area / max(shares, 1.0)
        kept_faces, rest_area, stood_for, passed = 0, 0.0, 0.0, 0.5 * step
        largest = -1
        for i in range(len(small)):
            chosen[i], stands_for[i] = small[i] and part_area[i] >= step, part_area[i]
            kept_faces += part_faces[i] if chosen[i] else 0
        for i in range(len(small)):
            if not small[i] or part_area[i] >= step:
                continue
            if largest < 0 or part_area[i] > part_area[largest]:
                largest = i
            rest_area += part_area[i]
            passed += part_area[i] + 1e-9
            if passed >= step:
                chosen[largest] = True
                stands_for[largest] = min(step, MOST_SCALE_SQUARED * part_area[largest])
                stood_for += stands_for[largest]
                kept_faces += part_faces[largest]
                passed, largest = passed - step, -1
        if kept_faces == 0 and largest >= 0:
            chosen[largest], stands_for[largest] = True, rest_area
        if kept_faces <= target or shares <= 1.0:
            for i in range(len(small)):
                if stands_for[i] != part_area[i] and stood_for > 0.0:
                    stands_for[i] *= min(max(rest_area / stood_for, 1.0), MOST_AREA_GAIN)
            break
        shares = min(0.95 * shares, shares - 0.5)
    return chosen, stands_for
