// Edge functions of a triangle in 1/256-pixel fixed point (Pineda, "A Parallel Algorithm for Polygon
// Rasterization", 1988), relative to its first pixel so that 32 bits hold them; and its depth, by one formula for all
// rasterisers, with explicit fma, so that they agree to the last bit.

// Band around the image in which corners stay as they are; a triangle with a corner beyond it is clipped. All snapped
// coordinates of an image of up to 16,384 pixels then stay below 2^23.
const GUARD_PIXELS: f32 = 8000.0;

// Largest width and height in 1/256 pixels of what 32 bits hold: 64 pixels, products stay below 2^29.
const SMALL_SPAN: f32 = 16384.0;

// Pixels -> snapped 1/256 pixels. Integers up to 2^23 are exact in f32.
fn snap(p: vec3f) -> vec3f {
    return vec3f(round(p.xy * 256.0), p.z);
}

// Depth over the image: that of the first corner, and its change for each unit of the edge values 1 and 2.
struct DepthPlane {
    at_a: f32,
    by_edge_1: f32,
    by_edge_2: f32,
}

fn depth_plane(a: f32, b: f32, c: f32, doubled_area: f32) -> DepthPlane {
    let inverse = 1.0 / doubled_area;
    return DepthPlane(a, (b - a) * inverse, (c - a) * inverse);
}

fn depth_at(plane: DepthPlane, edge_1: f32, edge_2: f32) -> f32 {
    return fma(edge_1, plane.by_edge_1, fma(edge_2, plane.by_edge_2, plane.at_a));
}

// The pixels whose centres lie in the box of a triangle.
struct PixelBox {
    first: vec2i,
    last: vec2i,
}

fn pixel_box(a: vec3f, b: vec3f, c: vec3f, size: vec2i) -> PixelBox {
    let first = max(vec2i(ceil((min(a.xy, min(b.xy, c.xy)) - 128.0) / 256.0)), vec2i(0));
    let last = min(vec2i(floor((max(a.xy, max(b.xy, c.xy)) - 128.0) / 256.0)), size - 1);
    return PixelBox(first, last);
}

fn is_small_span(a: vec3f, b: vec3f, c: vec3f) -> bool {
    let span = max(a.xy, max(b.xy, c.xy)) - min(a.xy, min(b.xy, c.xy));
    return max(span.x, span.y) <= SMALL_SPAN;
}

// A small triangle. The corners b and c have changed places where it faces the eye: its area is then positive.
struct Edges {
    start: vec3i, // edge values at the centre of the box's first pixel, less `bias`
    step_x: vec3i,
    step_y: vec3i,
    bias: vec3i,
    plane: DepthPlane,
    is_front: bool,
}

// Twice the signed area of a small triangle in 1/65536 pixels. y points down: what faces the eye has a negative one.
fn doubled_area(a: vec3f, b: vec3f, c: vec3f) -> i32 {
    let to_b = vec2i(b.xy - a.xy);
    let to_c = vec2i(c.xy - a.xy);
    return to_b.x * to_c.y - to_b.y * to_c.x;
}

fn make_edges(a: vec3f, b_given: vec3f, c_given: vec3f, area: i32, first: vec2i) -> Edges {
    var edges: Edges;
    edges.is_front = area < 0;
    let b = select(b_given, c_given, edges.is_front);
    let c = select(c_given, b_given, edges.is_front);
    let center = first * 256 + 128;
    edges.bias = vec3i(tie_bias(b, c), tie_bias(c, a), tie_bias(a, b));
    let bc = vec2i(c.xy - b.xy);
    let ca = vec2i(a.xy - c.xy);
    let ab = vec2i(b.xy - a.xy);
    let from_b = center - vec2i(b.xy);
    let from_c = center - vec2i(c.xy);
    let from_a = center - vec2i(a.xy);
    edges.start = vec3i(
        bc.x * from_b.y - bc.y * from_b.x,
        ca.x * from_c.y - ca.y * from_c.x,
        ab.x * from_a.y - ab.y * from_a.x,
    ) - edges.bias;
    edges.step_x = -256 * vec3i(bc.y, ca.y, ab.y);
    edges.step_y = 256 * vec3i(bc.x, ca.x, ab.x);
    edges.plane = depth_plane(a.z, b.z, c.z, f32(abs(area)));
    return edges;
}

override cut_rows: bool = true; // worth its divisions where lanes are few and wide, as on a CPU

// First and last pixel, from the box's first one, that may lie inside in a row of `last` + 1 pixels which begins with
// edge values `row`. A hundredth of a pixel makes up for rounding: whoever draws tests each pixel exactly.
fn row_span(row: vec3i, step_x: vec3i, last: i32) -> vec2i {
    if (!cut_rows) {
        return vec2i(0, last);
    }
    let crossing = -vec3f(row) / vec3f(step_x);
    let first = select(vec3f(0.0), ceil(crossing - 0.01), step_x > vec3i(0));
    let end = select(vec3f(f32(last)), floor(crossing + 0.01), step_x < vec3i(0));
    return vec2i(vec2f(max(max(first.x, first.y), max(first.z, 0.0)), min(min(end.x, end.y), min(end.z, f32(last)))));
}

// What a pixel centre exactly on the edge a -> b must exceed: 0 on top and left edges, else 1.
fn tie_bias(a: vec3f, b: vec3f) -> i32 {
    let is_top = a.y == b.y && b.x > a.x;
    let is_left = b.y < a.y;
    return select(1, 0, is_top || is_left);
}

// Twice the signed area of (a, b, p) in 1/65536 pixels: 64 bits, for any triangle inside the guard band.
fn wide_edge(a: vec3f, b: vec3f, p: vec2i) -> i64 {
    let u = vec2i(b.xy) - vec2i(a.xy);
    let v = p - vec2i(a.xy);
    return i64(u.x) * i64(v.y) - i64(u.y) * i64(v.x);
}
