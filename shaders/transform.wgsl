// From the object's space to the eye's. Every position on the screen goes through these functions, with
// explicit fma, so that all passes agree to the last bit.
import package::layout_frame::{Instance, View, VIEW_ORTHOGRAPHIC};

// World position of the instance's origin, seen from the eye. High parts first: their difference is
// exact when eye and object are near each other.
fn eye_to_instance(instance: Instance, view: View) -> vec3f {
    return (instance.translation_high - view.eye_high) + (instance.translation_low - view.eye_low);
}

// Object point -> world axes, relative to the eye.
fn to_eye(instance: Instance, offset: vec3f, p: vec3f) -> vec3f {
    return fma(instance.linear_x, vec3f(p.x), fma(instance.linear_y, vec3f(p.y), fma(instance.linear_z, vec3f(p.z), offset)));
}

fn dot_fma(a: vec3f, b: vec3f) -> f32 {
    return fma(a.x, b.x, fma(a.y, b.y, a.z * b.z));
}

// Relative to the eye -> (right, up, depth along the view axis).
fn to_view(view: View, p: vec3f) -> vec3f {
    return vec3f(dot_fma(view.right, p), dot_fma(view.up, p), dot_fma(view.forward, p));
}

fn is_orthographic(view: View) -> bool {
    return (view.flags & VIEW_ORTHOGRAPHIC) != 0u;
}

// View space -> pixels (y down) and reverse-Z depth. Depth must be at least view.near.
fn to_screen(view: View, p: vec3f) -> vec3f {
    let half_size = 0.5 * vec2f(view.size);
    if (is_orthographic(view)) {
        let ndc = vec2f(p.x * view.scale_x, -p.y * view.scale_y);
        return vec3f(fma(ndc, half_size, half_size), (view.far - p.z) / (view.far - view.near));
    }
    let inverse = 1.0 / p.z;
    let ndc = vec2f(p.x * view.scale_x, -p.y * view.scale_y) * inverse;
    return vec3f(fma(ndc, half_size, half_size), view.near * inverse);
}
