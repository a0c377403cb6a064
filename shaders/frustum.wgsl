// Frustum test of an object-space box, carried into the world as an oriented box.
import package::layout_frame::{Instance, View};
import package::transform::{to_eye, dot_fma};

fn is_outside_frustum(instance: Instance, offset: vec3f, view: View, box_min: vec3f, box_max: vec3f) -> bool {
    let center = to_eye(instance, offset, 0.5 * (box_min + box_max));
    let half_size = 0.5 * (box_max - box_min);
    for (var i = 0u; i < 5u; i++) {
        let plane = view.planes[i];
        let reach = fma(abs(dot_fma(plane.xyz, instance.linear_x)), half_size.x,
            fma(abs(dot_fma(plane.xyz, instance.linear_y)), half_size.y,
                abs(dot_fma(plane.xyz, instance.linear_z)) * half_size.z));
        if (dot_fma(plane.xyz, center) + plane.w + reach < 0.0) {
            return true;
        }
    }
    return false;
}
