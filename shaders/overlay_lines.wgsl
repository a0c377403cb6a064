// Wire boxes over the picture. Each edge is a quad on the screen with a soft rim; what lies behind the surface that the
// visibility buffer holds is drawn faintly.
//
// Reverse-Z depth is linear on the screen, in perspective too: a fragment finds its own from the depths of both ends.
import package::layout_frame::{View};
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
    image_scale: vec2f, // pixels of the image in a pixel of the target
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

// What a fragment needs is made here as far as it can be: there are many.
struct Corner {
    @builtin(position) position: vec4f,
    @location(0) @interpolate(linear) place: vec2f, // pixels along the edge from its middle, and across
    @location(1) @interpolate(linear) depth: f32, // a surface must be nearer to hide the edge
    @location(2) @interpolate(flat) half_length: f32, // pixels
    @location(3) @interpolate(flat) color: vec4f,
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

// The depth that a surface must exceed to hide a point at `depth`.
fn hiding_depth(view: View, depth: f32) -> f32 {
    let pixel_size = 2.0 / (view.scale_y * f32(overlay_parameters[0].image_size.y)); // perspective: at distance 1
    let slack = DEPTH_TOLERANCE_PIXELS * pixel_size;
    if (is_orthographic(view)) {
        return depth + slack / (view.far - view.near);
    }
    return depth / (1.0 - min(slack, LARGEST_TOLERANCE));
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
    let a = to_screen(view, segment.a);
    let b = to_screen(view, segment.b);
    let length_pixels = distance(a.xy, b.xy);
    let along = select(vec2f(1.0, 0.0), (b.xy - a.xy) / length_pixels, length_pixels > 0.0);
    let reach = 0.5 * overlay_parameters[0].width_pixels + 0.5;
    let is_end = (vertex & 1u) != 0u;
    corner.half_length = 0.5 * length_pixels;
    corner.place.x = select(-1.0, 1.0, is_end) * (corner.half_length + reach);
    corner.place.y = select(-reach, reach, (vertex & 2u) != 0u);
    corner.depth = hiding_depth(view, select(a.z, b.z, is_end));
    let color = unpack4x8unorm(box.color);
    corner.color = select(color, vec4f(srgb_decode(color.rgb), color.a), target_is_srgb);
    let pixel = 0.5 * (a.xy + b.xy) + corner.place.x * along + corner.place.y * vec2f(-along.y, along.x);
    let ndc = pixel / vec2f(view.size) * 2.0 - 1.0;
    corner.position = vec4f(ndc.x, -ndc.y, 0.0, 1.0);
    return corner;
}

@fragment
fn overlay_lines_fragment(corner: Corner) -> @location(0) vec4f {
    let parameters = overlay_parameters[0];
    let beyond = max(abs(corner.place.x) - corner.half_length, 0.0);
    let from_line = length(vec2f(beyond, corner.place.y));
    let coverage = clamp(0.5 * parameters.width_pixels + 0.5 - from_line, 0.0, min(parameters.width_pixels, 1.0));
    let pixel = min(vec2u(corner.position.xy * parameters.image_scale), parameters.image_size - 1u);
    let surface = bitcast<f32>(visibility[pixel.y * parameters.image_size.x + pixel.x].y);
    let is_behind = surface > 0.0 && surface > corner.depth; // where there is no surface, depths may lie below 0
    return vec4f(corner.color.rgb, corner.color.a * coverage * select(1.0, HIDDEN_ALPHA, is_behind));
}
