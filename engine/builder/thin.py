"""The fallback of simplify.py for groups that edge collapses cannot shrink: soups, foliage, non-manifold messes.

Small disjoint parts are thinned: an area-stratified choice survives, scaled about the parts' own centres so that the
area stays (as in Cook, Halstead, Planck and Ryu, Stochastic Simplification of Aggregate Detail, 2007). Everything else
is clustered by vertex on a grid (Rossignac and Borrel, 1993).

A part that touches a locked position is never thinned, only clustered: other groups may continue its surface. Locked
positions stand for themselves, and the map of the others is simplicial, so closed surfaces stay closed across groups.
"""

import math

import numpy as np
from numba import njit

SMALL_FACES = 16  # a disjoint part of at most this many faces is kept or removed as a whole
MOST_SCALE_SQUARED = 4.0
SEARCH_STEPS = 16
SAME_NORMAL_COSINE = 0.5


@njit(nogil=True, cache=True, error_model="numpy")
def thin_group(
    positions, locked, vertex_position, attributes, attribute_weights, faces, face_material, target_triangles
):
    """Reduce one group towards target_triangles by thinning and clustering; arguments and returns of simplify_group.

    It may fall short of the target only where locked positions hold the faces, and removes no connected part larger
    than SMALL_FACES. Vertices merged into another position may get a new vertex_position (and are marked as moved).
    """
    part, part_faces, part_area, part_locked = _parts(positions, locked, vertex_position, faces)
    small = np.zeros(len(part_faces), dtype=np.bool_)
    small_faces, used_faces = 0, 0
    for i in range(len(part_faces)):
        small[i] = not part_locked[i] and part_faces[i] <= SMALL_FACES
        small_faces += part_faces[i] if small[i] else 0
        used_faces += part_faces[i]
    rest_faces = used_faces - small_faces
    rest_target = round(target_triangles * rest_faces / max(used_faces, 1))
    place, place_of = positions.copy(), vertex_position.copy()
    attributes_out, faces_out = attributes.copy(), faces.copy()
    keep = np.zeros(len(faces), dtype=np.bool_)
    if rest_faces > 0:
        kept_faces = _cluster_rest(
            rest_target, locked, attribute_weights, part, small, place, place_of, attributes, faces_out, keep
        )
        rest_faces = kept_faces
    _thin_small(max(target_triangles - rest_faces, small_faces // 8), part, small, part_faces, part_area, place,
                vertex_position, faces, keep)  # fmt: skip
    moved_position = np.zeros(len(positions), dtype=np.bool_)
    for i in range(len(positions)):
        for axis in range(3):
            moved_position[i] |= place[i, axis] != positions[i, axis]
    moved_vertex = np.zeros(len(vertex_position), dtype=np.bool_)
    for i in range(len(vertex_position)):
        moved_vertex[i] = place_of[i] != vertex_position[i] or moved_position[place_of[i]]
    kept = faces_out[keep]
    return (len(kept), kept, face_material[keep], place, place_of, attributes_out, moved_position, moved_vertex, 0.0)


@njit(nogil=True, cache=True, error_model="numpy")
def _parts(positions, locked, vertex_position, faces):
    """Return part (m,) int32 of each face (-1: degenerate), and faces, area and lock of each part, in face order."""
    parent = np.arange(len(positions))
    for face in range(len(faces)):
        first = _root(parent, vertex_position[faces[face, 0]])
        for side in range(1, 3):
            other = _root(parent, vertex_position[faces[face, side]])
            low, high = min(first, other), max(first, other)
            parent[high] = low
            first = low
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
        root = _root(parent, a)
        if number[root] < 0:
            number[root] = count
            count += 1
        here = number[root]
        part[face] = here
        part_faces[here] += 1
        part_area[here] += _face_area(positions, a, b, c)
        part_locked[here] |= locked[a] or locked[b] or locked[c]
    return part, part_faces[:count], part_area[:count], part_locked[:count]


@njit(nogil=True, cache=True, error_model="numpy")
def _root(parent, i):
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(nogil=True, cache=True, error_model="numpy")
def _face_area(positions, a, b, c):
    ex, ey, ez = positions[b, 0] - positions[a, 0], positions[b, 1] - positions[a, 1], positions[b, 2] - positions[a, 2]
    fx, fy, fz = positions[c, 0] - positions[a, 0], positions[c, 1] - positions[a, 1], positions[c, 2] - positions[a, 2]
    nx, ny, nz = ey * fz - ez * fy, ez * fx - ex * fz, ex * fy - ey * fx
    return 0.5 * math.sqrt(nx * nx + ny * ny + nz * nz)


@njit(nogil=True, cache=True, error_model="numpy")
def _thin_small(target, part, small, part_faces, part_area, place, vertex_position, faces, keep):
    """Keep small parts, one for each equal share of their area, of at most `target` faces (at least one part)."""
    total_area, faces_total, small_count = 0.0, 0, 0
    for i in range(len(small)):
        if small[i]:
            total_area += part_area[i] + 1e-9
            faces_total += part_faces[i]
            small_count += 1
    if small_count == 0:
        return
    chosen = np.zeros(len(small), dtype=np.bool_)
    shares = small_count * min(1.0, target / faces_total)
    step = total_area
    while True:
        step = total_area / max(shares, 1.0)
        passed, kept_faces = 0.5 * step, 0
        for i in range(len(small)):
            if small[i]:
                before = math.floor(passed / step)
                passed += part_area[i] + 1e-9
                chosen[i] = math.floor(passed / step) > before
                kept_faces += part_faces[i] if chosen[i] else 0
        if kept_faces <= target or shares <= 1.0:
            break
        shares = min(0.95 * shares, shares - 1.0)
    scaled_area = 0.0
    for i in range(len(small)):
        if chosen[i]:
            scaled_area += min(max(step, part_area[i]), MOST_SCALE_SQUARED * part_area[i])
    more = min(max(total_area / max(scaled_area, 1e-9), 1.0), 1.5)
    center = np.zeros((len(small), 3))
    corners = np.zeros(len(small))
    seen = np.zeros(len(place), dtype=np.bool_)
    for turn in range(2):
        for face in range(len(faces)):
            i = part[face]
            if i < 0 or not chosen[i]:
                continue
            keep[face] = True
            scale = math.sqrt(more * min(max(step / max(part_area[i], 1e-9), 1.0), MOST_SCALE_SQUARED))
            for side in range(3):
                position = vertex_position[faces[face, side]]
                if seen[position] != (turn == 1):
                    continue
                seen[position] = turn == 0
                corners[i] += turn == 0
                for axis in range(3):
                    if turn == 0:
                        center[i, axis] += place[position, axis]
                    else:
                        middle = center[i, axis] / corners[i]
                        place[position, axis] = math.floor(middle + scale * (place[position, axis] - middle) + 0.5)


@njit(nogil=True, cache=True, error_model="numpy")
def _cluster_rest(target, locked, attribute_weights, part, small, place, place_of, attributes, faces, keep):
    """Cluster the positions of all faces that are not in small parts; return how many faces are kept."""
    used = np.zeros(len(place), dtype=np.bool_)
    for face in range(len(faces)):
        if part[face] >= 0 and not small[part[face]]:
            for side in range(3):
                used[place_of[faces[face, side]]] = True
    low, high = place[0].copy(), place[0].copy()
    for i in range(len(place)):
        for axis in range(3):
            low[axis], high[axis] = min(low[axis], place[i, axis]), max(high[axis], place[i, axis])
    extent = max(high[0] - low[0], high[1] - low[1], high[2] - low[2]) + 1.0
    small_cell, cell = 1.0, extent
    best = np.arange(len(place))
    for _ in range(SEARCH_STEPS):  # the smallest cell that reaches the target
        middle = math.sqrt(small_cell * cell)
        into = _cells(place, low, extent, middle, used, locked)
        if _faces_left(into, place_of, part, small, faces) <= target:
            cell = middle
        else:
            small_cell = middle
    best = _cells(place, low, extent, cell, used, locked)
    _move_to_means(best, used, locked, place)
    vertex_into = _merge_vertices(best, place_of, attributes, attribute_weights, used, cell)
    return _remap_faces(vertex_into, place_of, part, small, faces, keep)


@njit(nogil=True, cache=True, error_model="numpy")
def _cells(place, low, extent, cell, used, locked):
    """Return into (p,) int64: the position that stands for each one; locked ones stand for themselves."""
    per_axis = np.int64(extent / cell) + 2
    key = np.empty(len(place), dtype=np.int64)
    for i in range(len(place)):
        x = np.int64((place[i, 0] - low[0]) / cell + 0.5)
        y = np.int64((place[i, 1] - low[1]) / cell + 0.5)
        z = np.int64((place[i, 2] - low[2]) / cell + 0.5)
        key[i] = (x * per_axis + y) * per_axis + z
    order = np.argsort(key)
    into = np.arange(len(place))
    start = 0
    while start < len(order):
        stop = start
        first = -1
        while stop < len(order) and key[order[stop]] == key[order[start]]:
            i = order[stop]
            if used[i] and (
                first < 0 or (locked[i] and not locked[first]) or (locked[i] == locked[first] and i < first)
            ):
                first = i
            stop += 1
        for n in range(start, stop):
            i = order[n]
            if used[i] and not locked[i]:
                into[i] = first
        start = stop
    return into


@njit(nogil=True, cache=True, error_model="numpy")
def _faces_left(into, place_of, part, small, faces):
    count = 0
    for face in range(len(faces)):
        if part[face] >= 0 and not small[part[face]]:
            a, b, c = into[place_of[faces[face, 0]]], into[place_of[faces[face, 1]]], into[place_of[faces[face, 2]]]
            count += a != b and b != c and c != a
    return count


@njit(nogil=True, cache=True, error_model="numpy")
def _move_to_means(into, used, locked, place):
    """Move each free representative to the rounded mean of what it stands for."""
    total, count = np.zeros((len(place), 3)), np.zeros(len(place))
    for i in range(len(place)):
        if used[i]:
            count[into[i]] += 1.0
            for axis in range(3):
                total[into[i], axis] += place[i, axis]
    for i in range(len(place)):
        if count[i] > 1.0 and not locked[i]:
            for axis in range(3):
                place[i, axis] = math.floor(total[i, axis] / count[i] + 0.5)


@njit(nogil=True, cache=True, error_model="numpy")
def _merge_vertices(into, place_of, attributes, attribute_weights, used, cell):
    """Return vertex_into (v,) int64 and write place_of; vertices of one cell with like attributes become one.

    A vertex of the representative itself is never given up, and never changed.
    """
    vertex_into = np.arange(len(place_of))
    head, following = np.full(len(into), -1), np.full(len(place_of), -1)
    for turn in range(2):  # the representatives' own vertices come first
        for vertex in range(len(place_of)):
            position = place_of[vertex]
            if not used[position] or (into[position] == position) != (turn == 0):
                continue
            goal = into[position]
            candidate = head[goal] if turn == 1 else -1
            while candidate >= 0:
                cosine, squared = 0.0, 0.0
                for column in range(attributes.shape[1]):
                    first, second = float(attributes[vertex, column]), float(attributes[candidate, column])
                    squared += (attribute_weights[column] * (first - second)) ** 2
                    cosine += first * second if column < 3 else 0.0
                if cosine >= SAME_NORMAL_COSINE and squared <= cell * cell:
                    break
                candidate = following[candidate]
            if candidate >= 0:
                vertex_into[vertex] = candidate
            else:
                following[vertex], head[goal] = head[goal], vertex
    for vertex in range(len(place_of)):
        if used[place_of[vertex]]:
            place_of[vertex] = into[place_of[vertex]]
    return vertex_into


@njit(nogil=True, cache=True, error_model="numpy")
def _remap_faces(vertex_into, place_of, part, small, faces, keep):
    """Rename the rest's vertices, drop degenerate faces and all but one of equal faces; return how many are kept."""
    size = np.int64(len(place_of) + 1)
    key = np.full(len(faces), -1, dtype=np.int64)
    for face in range(len(faces)):
        if part[face] < 0 or small[part[face]]:
            continue
        for side in range(3):
            faces[face, side] = vertex_into[faces[face, side]]
        a, b, c = (
            np.int64(place_of[faces[face, 0]]),
            np.int64(place_of[faces[face, 1]]),
            np.int64(place_of[faces[face, 2]]),
        )
        if a == b or b == c or c == a:
            continue
        while a > b or a > c:
            a, b, c = b, c, a
        key[face] = (a * size + b) * size + c
    order = np.argsort(key)
    count, chosen = 0, -1
    for n in range(len(order)):
        face = order[n]
        if key[face] < 0:
            continue
        if chosen < 0 or key[chosen] != key[face]:
            chosen = face
            count += 1
        elif face < chosen:
            keep[chosen] = False
            chosen = face
        keep[chosen] = True
    return count
