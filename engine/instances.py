"""Instance records: from 4x4 matrices in double precision to what the GPU reads."""

import numpy as np

from engine import layout
from engine.camera import float_pair

LEAST_SCALE, LARGEST_SCALE = 1e-15, 1e15  # singular values whose squares stay finite in float32
LEAST_VOLUME = 1e-12  # determinant over the cube of the largest singular value, below which a matrix counts as singular
LARGEST_TRANSLATION = 1e30
_ROUND_UP = 1.0 + 2.0**-22  # covers the rounding of the closed-form singular value
_CHUNK = 1 << 16  # instances handled at once, to bound memory


def from_matrices(meshes: int | np.ndarray, origins: np.ndarray, transforms: np.ndarray, number: int = 0) -> np.ndarray:
    """Return layout.INSTANCE records (k,) of instances placed by matrices; `number` is the first one's, for messages.

    `meshes`: one mesh or (k,); `origins`: (3,) or (k, 3) float64, asset position of each mesh's local origin;
    `transforms`: (k, 3, 4) or (k, 4, 4) float64, column vectors, from the asset's frame to the world.
    `max_scale` is the largest singular value of the float32 linear part, rounded up. Raises ValueError where a matrix
    is not finite, not affine, singular, or scales by less than 1e-15 or more than 1e15.
    """
    transforms = affine(transforms)
    records = np.zeros(len(transforms), layout.INSTANCE)
    records["mesh"] = meshes
    origins = np.broadcast_to(np.asarray(origins, float), (len(transforms), 3))
    for first in range(0, len(transforms), _CHUNK):
        part = slice(first, first + _CHUNK)
        _fill_records(records[part], origins[part], transforms[part], number + first)
    return records


def _fill_records(records: np.ndarray, origins: np.ndarray, transforms: np.ndarray, first: int) -> None:
    columns = [np.ascontiguousarray(transforms[:, :, i]) for i in range(4)]
    if not np.abs(transforms).max(initial=0.0) <= LARGEST_SCALE:  # also where there is a NaN
        _refuse(~np.isfinite(transforms).all(axis=(1, 2)), first, "is not finite")
        _refuse(np.abs(columns[3]).max(axis=1) > LARGEST_TRANSLATION, first, f"moves by over {LARGEST_TRANSLATION:g}")
        _refuse(
            np.abs(transforms[:, :, :3]).max(axis=(1, 2)) > LARGEST_SCALE, first, f"scales by over {LARGEST_SCALE:g}"
        )
    translation = columns.pop()
    rounded = [column.astype(np.float32) for column in columns]
    for name, column in zip(("linear_x", "linear_y", "linear_z"), rounded):
        records[name] = column
    if (transforms[:, :, :3] == transforms[:1, :, :3]).all():  # a grid: one of them tells for all
        columns, rounded = [column[:1] for column in columns], [column[:1] for column in rounded]
    scale = largest_singular_value(*(column.astype(float) for column in rounded))
    determinant = _determinant(*columns)
    _refuse(np.abs(determinant) <= LEAST_VOLUME * scale**3, first, "is singular (it flattens the mesh)")
    _refuse(scale < LEAST_SCALE, first, f"scales by less than {LEAST_SCALE:g}")
    records["max_scale"] = np.nextafter((scale * _ROUND_UP).astype(np.float32), np.float32(np.inf))
    records["flags"] = np.where(determinant < 0.0, layout.CONSTANTS["INSTANCE_MIRRORED"], 0)
    for axis, column in enumerate(columns):
        translation += column * origins[:, axis, None]
    records["translation_high"], records["translation_low"] = float_pair(translation)


def largest_singular_value(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return the largest singular value (k,) of 3x3 matrices given by their columns, each (k, 3) float64.

    The root of the largest eigenvalue of the Gram matrix in closed form (Smith, "Eigenvalues of a symmetric 3 x 3
    matrix", 1961); relative error below 1e-7, where two singular values nearly agree, else near rounding.
    """
    dot = lambda a, b: np.einsum("ij,ij->i", a, b)  # noqa: E731
    xx, yy, zz, xy, xz, yz = dot(x, x), dot(y, y), dot(z, z), dot(x, y), dot(x, z), dot(y, z)
    mean = (xx + yy + zz) / 3.0
    a, b, c = xx - mean, yy - mean, zz - mean
    spread = np.sqrt((a * a + b * b + c * c + 2.0 * (xy * xy + xz * xz + yz * yz)) / 6.0)
    safe = np.where(spread > 0.0, spread, 1.0)
    a, b, c, d, e, f = a / safe, b / safe, c / safe, xy / safe, xz / safe, yz / safe
    half_determinant = 0.5 * (a * (b * c - f * f) - d * (d * c - f * e) + e * (d * f - b * e))
    angle = np.arccos(np.clip(half_determinant, -1.0, 1.0)) / 3.0
    return np.sqrt(mean + 2.0 * spread * np.cos(angle))


def _determinant(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", np.cross(x, y), z)


def affine(transforms: np.ndarray) -> np.ndarray:
    """Return `transforms` as (k, 3, 4) float64; raise ValueError for other shapes and for projective matrices."""
    matrices = np.asarray(transforms, float)
    if matrices.ndim == 2:
        matrices = matrices[None]
    if matrices.ndim != 3 or matrices.shape[1:] not in ((4, 4), (3, 4)):
        raise ValueError(f"transforms have shape {np.shape(transforms)}; expected (k, 4, 4) or (k, 3, 4)")
    if matrices.shape[1] == 4:
        _refuse((matrices[:, 3] != (0.0, 0.0, 0.0, 1.0)).any(axis=1), 0, "has a last row other than 0 0 0 1")
    return matrices[:, :3]


def compose(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Return outer @ inner for affine matrices, (k, 3, 4) float64; one of the two holds a single matrix."""
    result = np.empty((max(len(outer), len(inner)), 3, 4))
    if len(inner) == 1:
        result[:] = (outer[:, :, :3].reshape(-1, 3) @ inner[0]).reshape(-1, 3, 4)
    else:
        result[:] = outer[0, :, :3] @ inner
    result[:, :, 3] += outer[:, :, 3]
    return result


def _refuse(bad: np.ndarray, first: int, what: str) -> None:
    """Raise ValueError that names the first matrix where `bad` holds."""
    if bad.any():
        raise ValueError(f"the transform of instance {first + int(bad.argmax())} {what}; correct its matrix")
