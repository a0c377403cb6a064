// Clip a triangle in view space against the near plane and a guard band around the image (Sutherland and
// Hodgman, "Reentrant Polygon Clipping", 1974). A shared edge is cut at the same point from both of its triangles: both
// have the corner that lies outside, and the cut is computed from the inner end, whichever way a triangle runs.
import package::layout_frame::{View};
import package::transform::{is_orthographic};
import package::edges::{GUARD_PIXELS};

const MAX_CORNERS: u32 = 8u; // three, and one more for each of five planes

var<private> clipped: array<vec3f, 8>;

// Signed distance-like value of plane `index`: near, then right, left, up, down of the guard band.
fn plane_value(view: View, index: u32, p: vec3f) -> f32 {
    if (index == 0u) {
        return p.z - view.near;
    }
    // A pixel beyond the guard band: a corner that no triangle clips for is never cut off by rounding.
    let reach = (2.0 * (GUARD_PIXELS + 1.0) + vec2f(view.size)) / vec2f(view.size);
    let limit = select(p.z, 1.0, is_orthographic(view)) * reach;
    switch index {
        case 1u: { return limit.x - p.x * view.scale_x; }
        case 2u: { return limit.x + p.x * view.scale_x; }
        case 3u: { return limit.y - p.y * view.scale_y; }
        default: { return limit.y + p.y * view.scale_y; }
    }
}

// Leaves the polygon in `clipped`; returns its number of corners.
fn clip_polygon(view: View, a: vec3f, b: vec3f, c: vec3f) -> u32 {
    clipped[0] = a;
    clipped[1] = b;
    clipped[2] = c;
    var count = 3u;
    for (var plane = 0u; plane < 5u; plane++) {
        count = clip_by_plane(view, plane, count);
    }
    return count;
}

fn clip_by_plane(view: View, plane: u32, count: u32) -> u32 {
    var kept: array<vec3f, 8>;
    var kept_count = 0u;
    for (var i = 0u; i < count; i++) {
        let p = clipped[i];
        let q = clipped[(i + 1u) % count];
        let p_value = plane_value(view, plane, p);
        let q_value = plane_value(view, plane, q);
        if (p_value >= 0.0) {
            kept[kept_count] = p;
            kept_count++;
        }
        if ((p_value >= 0.0) != (q_value >= 0.0)) {
            let inner = select(q, p, p_value >= 0.0);
            let outer = select(p, q, p_value >= 0.0);
            let inner_value = max(p_value, q_value);
            let outer_value = min(p_value, q_value);
            var cut = inner + (outer - inner) * (inner_value / (inner_value - outer_value));
            if (plane == 0u) {
                cut.z = view.near;
            }
            kept[kept_count] = cut;
            kept_count++;
        }
    }
    for (var i = 0u; i < kept_count; i++) {
        clipped[i] = kept[i];
    }
    return kept_count;
}
