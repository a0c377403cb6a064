"""Pass overlay_lines: wire boxes on small targets, judged by a float64 twin."""

import numpy as np
import pytest
import wgpu

from engine.camera import Camera, view_record
from engine.frame import overlay_lines
from engine.frame.overlay_lines import OverlayLines
from engine.gpu.buffers import buffer_from
from engine.settings import FrameSettings

SIZE = (96, 54)
RED, HALF_GREEN = 0xFF0000FF, 0x8000FF00
BACKGROUND = np.array([0.0, 0.0, 0.2])
CAMERA = Camera((0.0, 0.0, 5.0), (0.0, 0.0, 0.0), near=0.1)
FLAT = Camera((0.0, 0.0, 5.0), (0.0, 0.0, 0.0), near=0.1, orthographic_height=4.0)
NOTHING = np.zeros((1, 1), np.float32)
SIGNS = np.array([(-1, -1), (1, -1), (-1, 1), (1, 1)])


def turned(*lengths: float, seed: int = 1) -> np.ndarray:
    """Return three half axes (1, 3, 3) of these lengths, at right angles, turned by chance."""
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return (rotation * np.array(lengths)[:, None])[None]


def surface_at(distance: float, camera: Camera = CAMERA, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return the depths (height, width) of a plane across the view axis."""
    view = view_record(camera, size, FrameSettings())
    depth = view["near"] / distance
    if camera.orthographic_height is not None:
        depth = (view["far"] - distance) / (view["far"] - view["near"])
    return np.full(size[::-1], depth, np.float32)


def drawn(device, camera, boxes, depth=NOTHING, size=SIZE, target_format="rgba8unorm", width=1.5) -> np.ndarray:
    """Return the target, (height, width, 3) float64 of 0..1, red first; `depth` (h, w) is that of the image."""
    lines = OverlayLines(device, target_format)
    lines.set_boxes(*boxes)
    return encoded(device, lines, camera, depth, size, target_format, width)


def encoded(
    device, lines, camera, depth, size, target_format="rgba8unorm", width=1.5, largest_count=None
) -> np.ndarray:
    """Return what `lines` draw over a target of the background's colour."""
    gpu = device.wgpu_device
    samples = np.zeros((*depth.shape, 2), np.uint32)
    samples[..., 1] = depth.astype(np.float32).view(np.uint32)
    samples[..., 0] = 0xFFFFFFFF  # what is drawn there does not matter
    visibility = buffer_from(device, "visibility", samples)
    usage = wgpu.TextureUsage.RENDER_ATTACHMENT | wgpu.TextureUsage.COPY_SRC
    target = gpu.create_texture(size=(*size, 1), format=target_format, usage=usage)
    encoder = gpu.create_command_encoder()
    clear = {"view": target.create_view(), "load_op": "clear", "store_op": "store", "clear_value": (*BACKGROUND, 1)}
    encoder.begin_render_pass(color_attachments=[clear]).end()
    image_size = depth.shape[::-1]
    view = view_record(camera, size, FrameSettings())
    count = lines.encode(encoder, target.create_view(), size, view, visibility, image_size, width, largest_count)
    assert count == min(lines.box_count, lines.box_count if largest_count is None else largest_count)
    gpu.queue.submit([encoder.finish()])
    row_bytes = -(-4 * size[0] // 256) * 256
    place = {"bytes_per_row": row_bytes, "rows_per_image": size[1]}
    data = np.frombuffer(gpu.queue.read_texture({"texture": target}, place, (*size, 1)), np.uint8)
    pixels = data.reshape(size[1], row_bytes)[:, : 4 * size[0]].reshape(size[1], size[0], 4)[..., :3] / 255.0
    return pixels[..., ::-1] if target_format.startswith("bgra") else pixels


def edges_of(center: np.ndarray, axes: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the ends of the different edges of one box, relative to the origin of `center`, float64."""
    edges: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
    for number in range(3):
        along, others = axes[number], np.delete(axes, number, axis=0)
        for signs in SIGNS:
            middle = center + signs @ others
            ends = (middle - along, middle + along)
            if (along != 0.0).any():
                edges.setdefault(np.round(np.concatenate(ends), 9).tobytes(), ends)
    return list(edges.values())


def expected(camera, boxes, depth=NOTHING, size=SIZE, width=1.5) -> np.ndarray:
    """Return what `drawn` must return, in float64: rays of all pixels against all edges."""
    picture = np.tile(np.round(BACKGROUND * 255) / 255, (size[1], size[0], 1))
    half = np.array(size) / 2.0
    x, y = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    rows, columns = (y * depth.shape[0] / size[1]).astype(int), (x * depth.shape[1] / size[0]).astype(int)
    surface = depth[rows, columns].astype(float)
    view = view_record(camera, size, FrameSettings())
    scale = np.array([view["scale_x"], -view["scale_y"]], float)
    flat, near = camera.orthographic_height is not None, camera.near_distance
    for center, axes, color in zip(*boxes):
        for ends in edges_of(center - np.array(camera.eye), axes):
            a, b = (camera.axes() @ end for end in ends)
            if max(a[2], b[2]) <= near:
                continue
            if min(a[2], b[2]) < near:
                a, b = (a, b) if a[2] < b[2] else (b, a)
                a = a + (b - a) * (near - a[2]) / (b[2] - a[2])
            a_depth, b_depth = (((view["far"] - p[2]) / (view["far"] - near) if flat else near / p[2]) for p in (a, b))
            a, b = (half + half * scale * p[:2] / (1.0 if flat else p[2]) for p in (a, b))
            span = b - a
            share = np.clip(((x - a[0]) * span[0] + (y - a[1]) * span[1]) / max(span @ span, 1e-12), 0, 1)
            distance = np.hypot(x - a[0] - share * span[0], y - a[1] - share * span[1])
            coverage = np.clip(0.5 * width + 0.5 - distance, 0.0, min(width, 1.0))
            hidden = a_depth + share * (b_depth - a_depth) < np.where(surface > 0.0, surface, -np.inf)
            words = np.array([color], "<u4").view(np.uint8) / 255.0
            alpha = (coverage * words[3] * np.where(hidden, 0.2, 1.0))[..., None]
            picture = picture * (1 - alpha) + words[:3] * alpha
    return picture


def assert_alike(found: np.ndarray, wanted: np.ndarray, least_pixels: int = 40, odd_pixels: int = 0) -> None:
    """Compare pictures; `odd_pixels` may differ: where a line meets the surface, within the tolerance of depths."""
    assert (np.abs(wanted - BACKGROUND) > 0.05).any(axis=-1).sum() >= least_pixels
    assert (np.abs(found - wanted) > 6.0 / 255.0).any(axis=-1).sum() <= odd_pixels


ONE_BOX = (np.array([[0.1, -0.05, 0.0]]), turned(0.9, 0.6, 0.4), np.array([RED], np.uint32))


@pytest.mark.parametrize("width", [0.5, 1.5, 4.0])
@pytest.mark.parametrize("camera", [CAMERA, FLAT], ids=["perspective", "orthographic"])
def test_edges_lie_where_the_projection_says(device, camera, width):
    assert_alike(drawn(device, camera, ONE_BOX, width=width), expected(camera, ONE_BOX, width=width))


@pytest.mark.parametrize("camera", [CAMERA, FLAT], ids=["perspective", "orthographic"])
def test_what_is_behind_the_surface_is_faint(device, camera):
    for distance, is_faint in ((3.0, True), (8.0, False)):
        depth = surface_at(distance, camera)
        found = drawn(device, camera, ONE_BOX, depth)
        assert_alike(found, expected(camera, ONE_BOX, depth))
        assert (found[..., 0].max() < 0.7) == is_faint
    through = surface_at(5.0, camera)
    assert_alike(drawn(device, camera, ONE_BOX, through), expected(camera, ONE_BOX, through), odd_pixels=120)


def test_nothing_hides_a_line_behind_the_far_plane_where_there_is_no_surface(device):
    far_box = (ONE_BOX[0] - [0.0, 0.0, 100.0], *ONE_BOX[1:])
    assert_alike(drawn(device, FLAT, far_box), expected(FLAT, far_box))


@pytest.mark.parametrize("image_size", [(48, 27), (33, 19), (16, 9)])
def test_the_image_may_be_smaller_than_the_target(device, image_size):
    depth = surface_at(3.0, size=image_size)
    depth[:, image_size[0] // 2 :] = 0.0
    depth[image_size[1] // 2 :] *= 0.3  # behind the box
    found = drawn(device, CAMERA, ONE_BOX, depth)
    assert_alike(found, expected(CAMERA, ONE_BOX, depth))
    above = found[: SIZE[1] // 2 - 4, :, 0]
    assert above[:, : SIZE[0] // 2 - 4].max() < 0.7 < above[:, SIZE[0] // 2 :].max()


@pytest.mark.parametrize("camera", [CAMERA, FLAT], ids=["perspective", "orthographic"])
def test_what_crosses_the_near_plane_is_cut_there(device, camera):
    boxes = (np.array([[0.0, 0.0, 4.0]]), turned(0.9, 1.2, 1.9, seed=4), np.array([RED], np.uint32))
    reach = np.abs(boxes[1][0] @ camera.axes()[2]).sum()
    depths = (boxes[0] - camera.eye) @ camera.axes()[2] + reach * np.array([-1.0, 1.0])
    assert depths.min() < 0.0 < camera.near_distance < depths.max()
    assert_alike(drawn(device, camera, boxes, width=3.0), expected(camera, boxes, width=3.0), least_pixels=100)
    behind = (boxes[0] + [0.0, 0.0, 10.0], *boxes[1:])
    assert (np.abs(drawn(device, camera, behind) - BACKGROUND) < 0.01).all()


def test_a_line_that_passes_close_to_the_eye_and_goes_on_for_kilometres(device):
    line = np.zeros((1, 3, 3))
    line[0, 0] = 300.0, 100.0, 10000.0
    boxes = (np.array([[0.4, 0.1, 4.0]]), line, np.array([RED], np.uint32))
    assert_alike(drawn(device, CAMERA, boxes), expected(CAMERA, boxes), least_pixels=20)


def test_nothing_is_lost_far_from_the_origin(device):
    away = np.array([1e7 + 0.123, -1e7 - 0.77, 3e6 + 0.25])
    camera = Camera(tuple(away + np.array([0.17, 0.23, 0.5])), tuple(away), near=0.01)
    boxes = (away[None], turned(0.09, 0.06, 0.04), np.array([RED], np.uint32))
    assert_alike(drawn(device, camera, boxes), expected(camera, boxes))


@pytest.mark.parametrize("lengths", [(0.0, 0.9, 0.0), (0.9, 0.0, 0.5), (0.0, 0.0, 0.0)])
def test_edges_that_fall_together_are_drawn_once(device, lengths):
    boxes = (np.zeros((1, 3)), turned(*lengths), np.array([HALF_GREEN], np.uint32))
    count = {0: 0, 1: 1, 2: 4}[np.count_nonzero(lengths)]
    assert len(edges_of(boxes[0][0], boxes[1][0])) == count
    assert_alike(drawn(device, CAMERA, boxes, width=3.0), expected(CAMERA, boxes, width=3.0), 40 if count else 0)


def test_the_last_box_is_on_top_and_all_are_drawn(device):
    rng = np.random.default_rng(5)
    colors = np.append(rng.integers(0, 2**24, 40, np.uint32) | np.uint32(0x60000000), np.uint32(RED))
    axes = np.concatenate([turned(*rng.uniform(0.05, 0.6, 3), seed=i) for i in range(41)])
    boxes = (rng.normal(size=(41, 3)) * 0.7, axes, colors)
    assert_alike(drawn(device, CAMERA, boxes), expected(CAMERA, boxes), least_pixels=500)


def test_the_first_boxes_can_be_drawn_alone(device):
    boxes = [np.concatenate([a, a]) for a in ONE_BOX]
    boxes[0][1] += 0.3
    lines = OverlayLines(device, "rgba8unorm")
    lines.set_boxes(*boxes)
    for count, expected_boxes in ((2, boxes), (9, boxes), (1, ONE_BOX), (0, [a[:0] for a in ONE_BOX])):
        found = encoded(device, lines, CAMERA, NOTHING, SIZE, largest_count=count)
        assert_alike(found, expected(CAMERA, expected_boxes), least_pixels=40 * bool(count))


@pytest.mark.parametrize("target_format", ["rgba8unorm", "bgra8unorm", "rgba8unorm-srgb", "bgra8unorm-srgb"])
def test_colours_are_the_same_on_every_format(device, target_format):
    boxes = (np.zeros((1, 3)), np.diag([1.0, 0.0, 0.0])[None], np.array([0xFF203080], np.uint32))
    found = drawn(device, CAMERA, boxes, target_format=target_format, width=6.0)
    np.testing.assert_allclose(found[SIZE[1] // 2, SIZE[0] // 2], np.array([0x80, 0x30, 0x20]) / 255.0, atol=0.006)


@pytest.mark.parametrize("camera", [CAMERA, FLAT], ids=["perspective", "orthographic"])
@pytest.mark.parametrize("image_size", [SIZE, (48, 27)])
def test_a_line_on_a_steep_surface_is_not_broken(device, camera, image_size):
    # The surface is the plane z = 1.5 x; the rectangle lies in it.
    view = view_record(camera, image_size, FrameSettings())
    x = (np.arange(image_size[0]) + 0.5) / image_size[0] * 2.0 - 1.0
    x = np.tile(x / float(view["scale_x"]), (image_size[1], 1))
    if camera.orthographic_height is None:
        depth = view["near"] / (5.0 / (1.0 + 1.5 * x))  # w = 5 - 1.5 x w
    else:
        depth = (view["far"] - (5.0 - 1.5 * x)) / (view["far"] - view["near"])
    axes = np.array([[[0.7, 0.0, 1.05], [0.0, 0.8, 0.0], [0.0, 0.0, 0.0]]])
    boxes = (np.zeros((1, 3)), axes, np.array([RED], np.uint32))
    assert_alike(drawn(device, camera, boxes, depth.astype(np.float32)), expected(camera, boxes))


def test_only_what_changed_is_uploaded(device, monkeypatch):
    uploads = []
    original = overlay_lines.upload
    monkeypatch.setattr(overlay_lines, "upload", lambda *args: (uploads.append(args[1].label), original(*args)))
    lines = OverlayLines(device, "rgba8unorm")
    del uploads[:]
    frames = [(CAMERA, ONE_BOX), (CAMERA, ONE_BOX), (FLAT, ONE_BOX), (FLAT, [np.repeat(a, 9, axis=0) for a in ONE_BOX])]
    found = []
    for camera, boxes in frames:
        lines.set_boxes(*boxes)
        encoded(device, lines, camera, NOTHING, SIZE)
        found.append([label.removeprefix("overlay_lines ") for label in uploads])
        del uploads[:]
    assert found == [["boxes", "view", "parameters"], [], ["view"], ["boxes"]]


def test_without_boxes_nothing_is_drawn(device):
    lines = OverlayLines(device, "rgba8unorm")
    assert (np.abs(encoded(device, lines, CAMERA, NOTHING, SIZE) - BACKGROUND) < 0.01).all()
    lines.set_boxes(*ONE_BOX)
    lines.set_boxes(np.zeros((0, 3)), np.zeros((0, 3, 3)), np.zeros(0, np.uint32))
    assert (np.abs(encoded(device, lines, CAMERA, NOTHING, SIZE) - BACKGROUND) < 0.01).all()
