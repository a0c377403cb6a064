// Edge functions of a triangle in 1/256-pixel fixed point (Pineda, "A Parallel Algorithm for Polygon
// Rasterization", 1988), relative to its first pixel so that 32 bits hold them.

// Band around the image in which corners stay as they are; a triangle with a corner beyond it is clipped. All snapped
// coordinates of an image of up to 16,384 pixels then stay below 2^23.
const GUARD_PIXELS: f32 = 8000.0;

// Pixels -> snapped 1/256 pixels. Integers up to 2^23 are exact in f32.
fn snap(p: vec3f) -> vec3f {
    return vec3f(round(p.xy * 256.0), p.z);
}

struct Edges {
    first: vec2i, // pixels
    last: vec2i,
    start: vec3i, // edge values at the first pixel's centre, less the top-left bias
    step_x: vec3i,
    step_y: vec3i,
    bias: vec3i,
    depth: f32, // depth = depth + edge 1 * depth_1 + edge 2 * depth_2
    depth_1: f32,
    depth_2: f32,
    is_drawn: bool, // faces the eye and covers a pixel centre's box
    is_small: bool, // the 32-bit values hold
}

fn make_edges(a: vec3f, b_given: vec3f, c_given: vec3f, is_two_sided: bool, size: vec2i) -> Edges {
    var edges: Edges;
    edges.first = max(vec2i(ceil((min(a.xy, min(b_given.xy, c_given.xy)) - 128.0) / 256.0)), vec2i(0));
    edges.last = min(vec2i(floor((max(a.xy, max(b_given.xy, c_given.xy)) - 128.0) / 256.0)), size - 1);
    let span = max(a.xy, max(b_given.xy, c_given.xy)) - min(a.xy, min(b_given.xy, c_given.xy));
    edges.is_small = max(span.x, span.y) <= 16384.0; // 64 pixels: products stay below 2^29
    if (any(edges.last < edges.first)) {
        return edges;
    }
    if (!edges.is_small) {
        edges.is_drawn = true; // facing is decided with 64 bits
        return edges;
    }
    let to_b = vec2i(b_given.xy - a.xy);
    let to_c = vec2i(c_given.xy - a.xy);
    let doubled_area = to_b.x * to_c.y - to_b.y * to_c.x;
    // y points down: a triangle that faces the eye has negative area as given.
    edges.is_drawn = doubled_area < 0 || (is_two_sided && doubled_area > 0);
    let is_front = doubled_area < 0;
    let b = select(b_given, c_given, is_front);
    let c = select(c_given, b_given, is_front);
    let center = edges.first * 256 + 128;
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
    let inverse = 1.0 / f32(abs(doubled_area));
    edges.depth = a.z;
    edges.depth_1 = (b.z - a.z) * inverse;
    edges.depth_2 = (c.z - a.z) * inverse;
    return edges;
}

// What a pixel centre exactly on the edge a -> b must exceed: 0 on top and left edges, else 1.
fn tie_bias(a: vec3f, b: vec3f) -> i32 {
    let is_top = a.y == b.y && b.x > a.x;
    let is_left = b.y < a.y;
    return select(1, 0, is_top || is_left);
}
