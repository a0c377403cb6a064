// Level of detail: the size on the screen of a claimed error. One function for every decision; a group
// that is judged in two ways is a hole.
import package::layout_frame::{Instance, View};
import package::transform::{to_eye, is_orthographic, dot_fma};

fn combined_error(view: View, geometric_error: f32, attribute_error: f32) -> f32 {
    return max(geometric_error, view.attribute_weight * attribute_error);
}

// Distance from the eye to the centre of an object-space sphere.
fn center_distance(instance: Instance, offset: vec3f, center: vec3f) -> f32 {
    let to_center = to_eye(instance, offset, center);
    return sqrt(dot_fma(to_center, to_center));
}

// Pixels that `error` covers at the nearest point of the sphere, at the centre of the image.
fn projected_error(instance: Instance, offset: vec3f, view: View, center: vec3f, radius: f32, error: f32) -> f32 {
    let size = error * instance.max_scale * view.lod_scale;
    if (is_orthographic(view)) {
        return size;
    }
    let distance = center_distance(instance, offset, center);
    return size / max(view.near, fma(-radius, instance.max_scale, distance));
}

// A lower bound of the projected error of any group whose sphere lies inside this one.
fn least_projected_error(instance: Instance, offset: vec3f, view: View, center: vec3f, radius: f32, error: f32) -> f32 {
    let size = error * instance.max_scale * view.lod_scale;
    if (is_orthographic(view)) {
        return size * 0.99999;
    }
    let distance = center_distance(instance, offset, center);
    // A little smaller than the exact bound: rounding must not turn it into an upper one.
    return 0.99999 * size / max(view.near, fma(radius, instance.max_scale, distance));
}
