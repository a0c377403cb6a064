"""Quadric error metrics of positions and of attribute vertices, and the best place for a collapsed edge.

Garland and Heckbert, Surface Simplification Using Quadric Error Metrics, 1997 (area-weighted planes, borders).
Hoppe, New Quadric Metric for Simplifying Meshes with Appearance Attributes, 1999 (attributes as linear functions
over the triangle; their value at the new vertex is eliminated, which leaves a quadric in the position alone).

A quadric is ten numbers: xx, yy, zz, xy, xz, yz, x, y, z, 1 of `p^T A p + 2 b^T p + c`.
"""

import math

import numpy as np

from engine.builder.kernels import bare_njit, inline_njit

BORDER = 1  # edge with one triangle
SEAM = 2  # the two triangles of the edge use different vertices there
MATERIAL = 4  # the two triangles of the edge have different materials
SOFT = 8  # a seam of normals alone: may be collapsed across
HARD = BORDER | SEAM | MATERIAL
BORDER_WEIGHT = 4.0  # of the squared distance to a border line, per squared edge length
SEAM_WEIGHT = 1.0
REGULARIZATION = 1e-3  # pull to the middle of the edge, against the quadric's trace
SHAPE_COST = 1e-6  # added cost of an edge's squared length, so that flat parts keep even triangles


@bare_njit
def add_face_quadrics(place, locked, face_position, attributes, faces, face_edge, edge_flags, quadrics, row):
    """Add the quadrics of all faces, borders, seams and attributes.

    place (p, 3) float64; face_position (m, 4) int32; attributes (v, k) float64 in lattice units; faces (m, 3) int32
    vertices; face_edge (m, 4) int32, the edge from side to next side (-1: face takes no part); edge_flags (e,) uint8.
    Written: quadrics: (position_quadric (p, 10), vertex_quadric (v, 12 + 4k)) float64; a row of the latter is a
    quadric, the area, a gap, and the area-weighted gradient and value at the origin of each attribute.
    row (12 + 4k,) float64: scratch.
    """
    position_quadric, vertex_quadric = quadrics
    columns = attributes.shape[1]
    row[11] = 0.0
    for face in range(len(faces)):
        if face_edge[face, 0] < 0:
            continue
        v0, v1, v2 = faces[face, 0], faces[face, 1], faces[face, 2]
        p0, p1, p2 = face_position[face, 0], face_position[face, 1], face_position[face, 2]
        x0, y0, z0 = place[p0, 0], place[p0, 1], place[p0, 2]
        ex, ey, ez = place[p1, 0] - x0, place[p1, 1] - y0, place[p1, 2] - z0
        fx, fy, fz = place[p2, 0] - x0, place[p2, 1] - y0, place[p2, 2] - z0
        nx, ny, nz = ey * fz - ez * fy, ez * fx - ex * fz, ex * fy - ey * fx
        length = math.sqrt(nx * nx + ny * ny + nz * nz)
        if length == 0.0:
            continue
        nx, ny, nz = nx / length, ny / length, nz / length
        area = 0.5 * length
        d = -(nx * x0 + ny * y0 + nz * z0)
        for position in (p0, p1, p2):
            _add_plane(position_quadric, position, nx, ny, nz, d, area)
        for side in range(3):
            flags = edge_flags[face_edge[face, side]]
            if flags & HARD != 0:
                a, b = face_position[face, side], face_position[face, (side + 1) % 3]
                if not (locked[a] and locked[b]):
                    _add_line(position_quadric, place, a, b, nx, ny, nz, flags)
        if columns == 0:
            continue
        # dual basis of the two edges: the gradient of a value is the sum of its differences times these
        ux, uy, uz = (fy * nz - fz * ny) / length, (fz * nx - fx * nz) / length, (fx * ny - fy * nx) / length
        wx, wy, wz = (ny * ez - nz * ey) / length, (nz * ex - nx * ez) / length, (nx * ey - ny * ex) / length
        xx, yy, zz, xy, xz, yz, bx, by, bz, cc = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for column in range(columns):
            value = attributes[v0, column]
            first, second = attributes[v1, column] - value, attributes[v2, column] - value
            gx, gy, gz = first * ux + second * wx, first * uy + second * wy, first * uz + second * wz
            g = value - gx * x0 - gy * y0 - gz * z0
            xx, yy, zz = xx + gx * gx, yy + gy * gy, zz + gz * gz
            xy, xz, yz = xy + gx * gy, xz + gx * gz, yz + gy * gz
            bx, by, bz, cc = bx + gx * g, by + gy * g, bz + gz * g, cc + g * g
            row[12 + 4 * column], row[13 + 4 * column] = area * gx, area * gy
            row[14 + 4 * column], row[15 + 4 * column] = area * gz, area * g
        row[0], row[1], row[2], row[3], row[4] = area * xx, area * yy, area * zz, area * xy, area * xz
        row[5], row[6], row[7], row[8], row[9], row[10] = area * yz, area * bx, area * by, area * bz, area * cc, area
        for vertex in (v0, v1, v2):
            for c in range(12 + 4 * columns):
                vertex_quadric[vertex, c] += row[c]


@bare_njit
def hold_places(place, face_position, quadric):
    """Add to the quadric of each position the squared distance from its place, times the area of the faces there.

    Planes alone let limbs go when a few large triangles are left: the tip moves to the root along the limb's planes.
    place (p, 3) float64, face_position (m, 4) int32; quadric (p, 10) float64: written.
    """
    for face in range(len(face_position)):
        p0, p1, p2 = face_position[face, 0], face_position[face, 1], face_position[face, 2]
        ex, ey, ez = place[p1, 0] - place[p0, 0], place[p1, 1] - place[p0, 1], place[p1, 2] - place[p0, 2]
        fx, fy, fz = place[p2, 0] - place[p0, 0], place[p2, 1] - place[p0, 1], place[p2, 2] - place[p0, 2]
        nx, ny, nz = ey * fz - ez * fy, ez * fx - ex * fz, ex * fy - ey * fx
        area = 0.5 * math.sqrt(nx * nx + ny * ny + nz * nz)
        for position in (p0, p1, p2):
            for axis in range(3):
                quadric[position, axis] += area
                quadric[position, 6 + axis] -= area * place[position, axis]
                quadric[position, 9] += area * place[position, axis] ** 2


@inline_njit
def _add_plane(quadric, index, nx, ny, nz, d, weight):
    wx, wy, wz, wd = weight * nx, weight * ny, weight * nz, weight * d
    row = quadric[index]
    row[0] += wx * nx
    row[1] += wy * ny
    row[2] += wz * nz
    row[3] += wx * ny
    row[4] += wx * nz
    row[5] += wy * nz
    row[6] += wx * d
    row[7] += wy * d
    row[8] += wz * d
    row[9] += wd * d


@bare_njit
def _add_line(quadric, positions, a, b, nx, ny, nz, flags):
    """Add the plane through the edge a b that stands upright on its triangle of unit normal n."""
    ex, ey, ez = positions[b, 0] - positions[a, 0], positions[b, 1] - positions[a, 1], positions[b, 2] - positions[a, 2]
    squared = ex * ex + ey * ey + ez * ez
    length = math.sqrt(squared)
    lx, ly, lz = (ey * nz - ez * ny) / length, (ez * nx - ex * nz) / length, (ex * ny - ey * nx) / length
    d = -(lx * positions[a, 0] + ly * positions[a, 1] + lz * positions[a, 2])
    weight = squared * (BORDER_WEIGHT if flags & BORDER else SEAM_WEIGHT)
    _add_plane(quadric, a, lx, ly, lz, d, weight)
    _add_plane(quadric, b, lx, ly, lz, d, weight)


@inline_njit
def sum_edge_quadric(i, j, pairs, pair_count, quadrics):
    """Return the quadric of merging position i with j, and the vertices of each of pairs (n, 2): ten numbers."""
    position_quadric, vertex_quadric = quadrics
    xx, yy = position_quadric[i, 0] + position_quadric[j, 0], position_quadric[i, 1] + position_quadric[j, 1]
    zz, xy = position_quadric[i, 2] + position_quadric[j, 2], position_quadric[i, 3] + position_quadric[j, 3]
    xz, yz = position_quadric[i, 4] + position_quadric[j, 4], position_quadric[i, 5] + position_quadric[j, 5]
    x, y = position_quadric[i, 6] + position_quadric[j, 6], position_quadric[i, 7] + position_quadric[j, 7]
    z, c = position_quadric[i, 8] + position_quadric[j, 8], position_quadric[i, 9] + position_quadric[j, 9]
    for n in range(pair_count):
        a, b = pairs[n, 0], pairs[n, 1]
        area = vertex_quadric[a, 10] + vertex_quadric[b, 10]
        if area <= 0.0:
            continue
        inverse = 1.0 / area
        xx += vertex_quadric[a, 0] + vertex_quadric[b, 0]
        yy += vertex_quadric[a, 1] + vertex_quadric[b, 1]
        zz += vertex_quadric[a, 2] + vertex_quadric[b, 2]
        xy += vertex_quadric[a, 3] + vertex_quadric[b, 3]
        xz += vertex_quadric[a, 4] + vertex_quadric[b, 4]
        yz += vertex_quadric[a, 5] + vertex_quadric[b, 5]
        x += vertex_quadric[a, 6] + vertex_quadric[b, 6]
        y += vertex_quadric[a, 7] + vertex_quadric[b, 7]
        z += vertex_quadric[a, 8] + vertex_quadric[b, 8]
        c += vertex_quadric[a, 9] + vertex_quadric[b, 9]
        for column in range(12, vertex_quadric.shape[1], 4):
            gx = vertex_quadric[a, column] + vertex_quadric[b, column]
            gy = vertex_quadric[a, column + 1] + vertex_quadric[b, column + 1]
            gz = vertex_quadric[a, column + 2] + vertex_quadric[b, column + 2]
            g = vertex_quadric[a, column + 3] + vertex_quadric[b, column + 3]
            hx, hy, hz = gx * inverse, gy * inverse, gz * inverse
            xx, yy, zz = xx - gx * hx, yy - gy * hy, zz - gz * hz
            xy, xz, yz = xy - gx * hy, xz - gx * hz, yz - gy * hz
            x, y, z, c = x - g * hx, y - g * hy, z - g * hz, c - g * g * inverse
    return xx, yy, zz, xy, xz, yz, x, y, z, c


@inline_njit
def merge_quadrics(i, j, pairs, pair_count, quadrics):
    """Add the quadrics of position i to j, and of the first vertex of each pair to the second."""
    position_quadric, vertex_quadric = quadrics
    for c in range(10):
        position_quadric[j, c] += position_quadric[i, c]
    for n in range(pair_count if len(vertex_quadric) > 0 else 0):
        if pairs[n, 0] == pairs[n, 1]:
            continue
        for c in range(vertex_quadric.shape[1]):
            vertex_quadric[pairs[n, 1], c] += vertex_quadric[pairs[n, 0], c]


@inline_njit
def quadric_value(q, x, y, z):
    """Return the quadric q, ten numbers, at a point."""
    return (
        x * (q[0] * x + 2.0 * (q[3] * y + q[4] * z + q[6]))
        + y * (q[1] * y + 2.0 * (q[5] * z + q[7]))
        + z * (q[2] * z + 2.0 * q[8])
        + q[9]
    )


@inline_njit
def best_place(q, positions, i, j):
    """Return the lattice point (x, y, z) where the quadric q is least, near the edge i j.

    The minimum is regularised towards the middle of the edge, which makes the system well-conditioned on flat and
    cylindrical parts; where it still lies far off, the best of both ends and the middle is taken.
    """
    ax, ay, az = positions[i, 0], positions[i, 1], positions[i, 2]
    bx, by, bz = positions[j, 0], positions[j, 1], positions[j, 2]
    mx, my, mz = 0.5 * (ax + bx), 0.5 * (ay + by), 0.5 * (az + bz)
    rx = -(q[0] * mx + q[3] * my + q[4] * mz + q[6])
    ry = -(q[3] * mx + q[1] * my + q[5] * mz + q[7])
    rz = -(q[4] * mx + q[5] * my + q[2] * mz + q[8])
    pull = REGULARIZATION * (q[0] + q[1] + q[2]) + 1e-30
    xx, yy, zz = q[0] + pull, q[1] + pull, q[2] + pull
    cxx, cxy, cxz = yy * zz - q[5] * q[5], q[4] * q[5] - q[3] * zz, q[3] * q[5] - q[4] * yy
    determinant = xx * cxx + q[3] * cxy + q[4] * cxz
    squared = (bx - ax) ** 2 + (by - ay) ** 2 + (bz - az) ** 2
    if determinant > 0.0:
        inverse = 1.0 / determinant
        cyy, cyz, czz = xx * zz - q[4] * q[4], q[3] * q[4] - xx * q[5], xx * yy - q[3] * q[3]
        dx = (cxx * rx + cxy * ry + cxz * rz) * inverse
        dy = (cxy * rx + cyy * ry + cyz * rz) * inverse
        dz = (cxz * rx + cyz * ry + czz * rz) * inverse
        if dx * dx + dy * dy + dz * dz <= 4.0 * squared:
            return np.floor(mx + dx + 0.5), np.floor(my + dy + 0.5), np.floor(mz + dz + 0.5)
    mx, my, mz = np.floor(mx + 0.5), np.floor(my + 0.5), np.floor(mz + 0.5)
    at_i, at_j, at_middle = quadric_value(q, ax, ay, az), quadric_value(q, bx, by, bz), quadric_value(q, mx, my, mz)
    if at_middle <= at_i and at_middle <= at_j:
        return mx, my, mz
    if at_i <= at_j:
        return ax, ay, az
    return bx, by, bz
