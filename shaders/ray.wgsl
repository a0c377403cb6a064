// The ray of a pixel centre, in world axes and relative to the eye.
import package::layout_frame::{View};
import package::transform::{is_orthographic};

// Pixel -> (x, y) at depth 1 (perspective), or its place on the eye plane (orthographic).
fn pixel_place(view: View, pixel: vec2u) -> vec2f {
    let ndc = (vec2f(pixel) + 0.5) / vec2f(view.size) * 2.0 - 1.0;
    return vec2f(ndc.x / view.scale_x, -ndc.y / view.scale_y);
}

// How far the place moves from one pixel to the next.
fn pixel_step(view: View) -> vec2f {
    return vec2f(2.0, -2.0) / (vec2f(view.size) * vec2f(view.scale_x, view.scale_y));
}

// Point at a depth along the view axis, relative to the eye.
fn point_at_depth(view: View, pixel: vec2u, depth: f32) -> vec3f {
    let place = pixel_place(view, pixel) * select(depth, 1.0, is_orthographic(view));
    return view.right * place.x + view.up * place.y + view.forward * depth;
}

// Unit vector from a point (relative to the eye) to the eye.
fn towards_eye(view: View, position: vec3f) -> vec3f {
    if (is_orthographic(view)) {
        return -view.forward;
    }
    return -normalize(position);
}

// Barycentrics of the ray's point in the plane of a triangle in view space; `place` as from pixel_place. Exact for
// corners behind the eye, too.
fn ray_barycentrics(view: View, place: vec2f, a: vec3f, b: vec3f, c: vec3f) -> vec3f {
    var weights: vec3f;
    if (is_orthographic(view)) {
        let pa = a.xy - place;
        let pb = b.xy - place;
        let pc = c.xy - place;
        weights = vec3f(pb.x * pc.y - pb.y * pc.x, pc.x * pa.y - pc.y * pa.x, pa.x * pb.y - pa.y * pb.x);
    } else {
        let direction = vec3f(place, 1.0);
        weights = vec3f(dot(direction, cross(b, c)), dot(direction, cross(c, a)), dot(direction, cross(a, b)));
    }
    return weights / (weights.x + weights.y + weights.z);
}
