// Wire boxes over the picture. Each edge is a quad on the screen with a soft rim; what lies behind the surface that the
// visibility buffer holds is drawn faintly.
//
// Reverse-Z depth is linear on the screen, in perspective too: a fragment finds its own from the depths of both ends.
import package::layout::{View};
import package::transform::{to_view, to_screen, is_orthographic};
import package::color::{srgb_decode};

// A box, or with axes of length zero a rectangle or a line.
struct OverlayBox {
    center_high: vec3f, // world position: high + low
    color: u32, // 8-bit sRGB and alpha, red in the low byte
    center_low: vec3f,
    axis_x: vec3f, // half axes in world space
    axis_y: vec3f,
    axis_z: vec3f,
}

struct OverlayLines {
    image_size: vec2u, // of the visibility buffer; View.size is that of the target
    width_pixels: f32,
}

@group(0) @binding(0) var<storage, read> overlay_views: array<View>;
@group(0) @binding(1) var<storage, read> overlay_parameters: array<OverlayLines>;
@group(0) @binding(2) var<storage, read> overlay_boxes: array<OverlayBox>;
@group(0) @binding(3) var<storage, read> visibility: array<vec2u>; // low word, depth bits

override target_is_srgb: bool = false; // the target encodes what is written

const HIDDEN_ALPHA: f32 = 0.2;
// A line may lie this many pixels' width behind the surface and counts as in front: a box touches what it bounds.
const DEPTH_TOLERANCE_PIXELS: f32 = 3.0;
const LARGEST_TOLERANCE: f32 = 0.5; // of the distance, where pixels are wide
const PLANES: u32 = 5u;

struct Segment {
    a: vec3f, // view space
    b: vec3f,
    is_drawn: bool,
}

// Place on the target (x, y in pixels) and depth of both ends of the edge that a quad belongs to.
struct Corner {
    @builtin(position) position: vec4f,
    @location(0) @interpolate(flat) a: vec3f,
    @location(1) @interpolate(flat) b: vec3f,
    @location(2) @interpolate(flat) color: u32,
}

// Edge 0..11: four along each axis. Where axes have no length, edges that lie on others are left out.
fn box_edge(box: OverlayBox, view: View, edge: u32) -> Segment {
    var axes = array<vec3f, 3>(box.axis_x, box.axis_y, box.axis_z);
    let along = axes[edge / 4u];
    let side = axes[(edge / 4u + 1u) % 3u];
    let other = axes[(edge / 4u + 2u) % 3u];
    let is_far = vec2<bool>((edge & 1u) != 0u, (edge & 2u) != 0u);
    let is_repeated = (is_far.x && all(side == vec3f(0.0))) || (is_far.y && all(other == vec3f(0.0)));
    // High parts first: their difference is exact when eye and box are near each other.
    let center = (box.center_high - view.eye_high) + (box.center_low - view.eye_low);
    let middle = center + select(-side, side, is_far.x) + select(-other, other, is_far.y);
    let is_drawn = !is_repeated && any(along != vec3f(0.0));
    return Segment(to_view(view, middle - along), to_view(view, middle + along), is_drawn);
}

// How far a point of view space is inside a plane: left, right, bottom and top, which lie beyond the target by as much
// as a line is wide, and near.
fn inside(view: View, point: vec3f, plane: u32) -> f32 {
    if (plane == 4u) {
        return point.z - view.near;
    }
    let w = select(point.z, 1.0, is_orthographic(view));
    let reach = 1.0 + 2.0 * (overlay_parameters[0].width_pixels + 2.0) / vec2f(view.size);
    let place = point.xy * vec2f(view.scale_x, view.scale_y);
    let axis = plane / 2u;
    return reach[axis] * w + select(place[axis], -place[axis], (plane & 1u) != 0u);
}

// Clip before the projection: it has no place for what is behind the eye, and floats are too coarse for what is far
// beyond the target (Liang and Barsky, "A new concept and method for line clipping", 1984).
fn clipped(view: View, whole: Segment) -> Segment {
    var begin = 0.0;
    var end = 1.0;
    for (var plane = 0u; plane < PLANES; plane++) {
        let at_a = inside(view, whole.a, plane);
        let at_b = inside(view, whole.b, plane);
        if (at_a < 0.0 && at_b < 0.0) {
            return Segment(whole.a, whole.b, false);
        }
        if (at_a < 0.0) {
            begin = max(begin, at_a / (at_a - at_b));
        } else if (at_b < 0.0) {
            end = min(end, at_a / (at_a - at_b));
        }
    }
    var part = Segment(mix(whole.a, whole.b, begin), mix(whole.a, whole.b, end), whole.is_drawn && begin <= end);
    part.a.z = max(part.a.z, view.near);
    part.b.z = max(part.b.z, view.near);
    return part;
}

// Vertices 0..47: four for each edge.
@vertex
fn overlay_lines_vertex(@builtin(vertex_index) vertex: u32, @builtin(instance_index) index: u32) -> Corner {
    let view = overlay_views[0];
    let box = overlay_boxes[index];
    var corner: Corner;
    corner.position = vec4f(0.0, 0.0, 0.0, 1.0);
    let segment = clipped(view, box_edge(box, view, vertex / 4u));
    if (!segment.is_drawn) {
        return corner;
    }
    corner.a = to_screen(view, segment.a);
    corner.b = to_screen(view, segment.b);
    corner.color = box.color;
    let span = corner.b.xy - corner.a.xy;
    let length_pixels = length(span);
    let direction = select(vec2f(1.0, 0.0), span / length_pixels, length_pixels > 0.0);
    let reach = 0.5 * overlay_parameters[0].width_pixels + 1.0;
    let forward = select(-direction, direction, (vertex & 1u) != 0u);
    let across = vec2f(-direction.y, direction.x);
    let place = select(corner.a.xy, corner.b.xy, (vertex & 1u) != 0u)
        + reach * (forward + select(-across, across, (vertex & 2u) != 0u));
    let ndc = place / vec2f(view.size) * 2.0 - 1.0;
    corner.position = vec4f(ndc.x, -ndc.y, 0.0, 1.0);
    return corner;
}

// Whether the surface in the pixel of the image that holds a place on the target is nearer.
fn is_hidden(view: View, place: vec2f, depth: f32) -> bool {
    let image_size = overlay_parameters[0].image_size;
    let pixel = min(vec2u(place / vec2f(view.size) * vec2f(image_size)), image_size - 1u);
    let surface = bitcast<f32>(visibility[pixel.y * image_size.x + pixel.x].y);
    let slack = DEPTH_TOLERANCE_PIXELS * 2.0 / (view.scale_y * f32(image_size.y)); // perspective: at distance 1
    if (is_orthographic(view)) {
        return surface > 0.0 && depth + slack / (view.far - view.near) < surface;
    }
    return surface > 0.0 && depth < surface * (1.0 - min(slack, LARGEST_TOLERANCE));
}

@fragment
fn overlay_lines_fragment(corner: Corner) -> @location(0) vec4f {
    let view = overlay_views[0];
    let place = corner.position.xy;
    let span = corner.b.xy - corner.a.xy;
    let share = clamp(dot(place - corner.a.xy, span) / max(dot(span, span), 1e-12), 0.0, 1.0);
    let width = overlay_parameters[0].width_pixels;
    let coverage = clamp(0.5 * width + 0.5 - distance(place, corner.a.xy + share * span), 0.0, min(width, 1.0));
    if (coverage <= 0.0) {
        discard;
    }
    let color = unpack4x8unorm(corner.color);
    let is_behind = is_hidden(view, place, mix(corner.a.z, corner.b.z, share));
    let alpha = color.a * coverage * select(1.0, HIDDEN_ALPHA, is_behind);
    return vec4f(select(color.rgb, srgb_decode(color.rgb), target_is_srgb), alpha);
}
