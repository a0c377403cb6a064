// Which rasteriser draws a cluster. The choice hangs on where and how large the cluster is now, on nothing else, so
// that no pass over the hierarchy and no history can make two passes disagree.
import package::layout::{Cluster, CLUSTER_MASKED};
import package::layout_frame::{View, Instance, BIN_SOFTWARE, BIN_SMALL, BIN_MASKED, BIN_HARDWARE, SMALL_CLUSTER_TRIANGLES, HARDWARE_GUARD_PIXELS, NO_HARDWARE_PIXELS};
import package::transform::{eye_to_instance, to_eye, to_view, dot_fma, is_orthographic};
import package::decode::{triangle_count, has_flag};

const NEAR_MARGIN: f32 = 1.001; // what is nearer than this times the near distance is left to software, which clips

// Largest width or height in pixels of the box of a cluster, or -1 where it must be left to software.
fn hardware_size(view: View, instance: Instance, step: f32, cluster: Cluster) -> f32 {
    let box_min = vec3f(cluster.origin) * step;
    let box_max = vec3f(cluster.origin + vec3i(cluster.extent)) * step;
    let center = to_view(view, to_eye(instance, eye_to_instance(instance, view), 0.5 * (box_min + box_max)));
    let half_size = 0.5 * (box_max - box_min);
    let reach = vec3f(
        box_reach(instance, half_size, view.right),
        box_reach(instance, half_size, view.up),
        box_reach(instance, half_size, view.forward),
    );
    let nearest = center.z - reach.z;
    if (nearest < view.near * NEAR_MARGIN) {
        return -1.0;
    }
    let pixels = 0.5 * vec2f(view.size) * vec2f(view.scale_x, view.scale_y) / select(nearest, 1.0, is_orthographic(view));
    if (any((abs(center.xy) + reach.xy) * pixels > 0.5 * vec2f(view.size) + HARDWARE_GUARD_PIXELS)) {
        return -1.0;
    }
    let size = 2.0 * reach.xy * pixels;
    return max(size.x, size.y);
}

// Half the extent of a turned box along a unit axis.
fn box_reach(instance: Instance, half_size: vec3f, axis: vec3f) -> f32 {
    let along = abs(vec3f(dot_fma(axis, instance.linear_x), dot_fma(axis, instance.linear_y), dot_fma(axis, instance.linear_z)));
    return dot_fma(along, half_size);
}

fn raster_bin(view: View, instance: Instance, step: f32, cluster: Cluster) -> u32 {
    if (view.hardware_pixels < NO_HARDWARE_PIXELS) {
        if (hardware_size(view, instance, step, cluster) >= view.hardware_pixels) {
            return BIN_HARDWARE;
        }
    }
    if (has_flag(cluster, CLUSTER_MASKED)) {
        return BIN_MASKED;
    }
    return select(BIN_SOFTWARE, BIN_SMALL, triangle_count(cluster) <= SMALL_CLUSTER_TRIANGLES);
}
