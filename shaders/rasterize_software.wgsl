// Software rasteriser: one workgroup a cluster, one lane a triangle.
import package::layout::{NONE, MAX_CLUSTER_TRIANGLES};
import package::layout_frame::{BIN_SOFTWARE};
import package::decode::{triangle_count};
import package::raster::{bin_entry};
import package::raster_cluster::{corners, open_cluster, decode_corners, corner_indices, set_up};
import package::raster_triangle::{draw_small};

@compute @workgroup_size(MAX_CLUSTER_TRIANGLES)
fn rasterize_software(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
) {
    let entry = bin_entry(BIN_SOFTWARE, workgroup.y * workgroups.x + workgroup.x);
    if (entry.place == NONE) {
        return; // a folded dispatch may have workgroups too many
    }
    let drawn = open_cluster(entry);
    let has_triangle = lane < triangle_count(drawn.cluster);
    var indices = vec3u(0u); // read before the barrier: both streams are waited for at once
    if (has_triangle) {
        indices = corner_indices(drawn, lane);
    }
    decode_corners(drawn, 0u, lane, MAX_CLUSTER_TRIANGLES);
    workgroupBarrier();
    if (has_triangle) {
        let setup = set_up(drawn, lane, corners[indices.x], corners[indices.y], corners[indices.z]);
        if (setup.is_drawn) {
            draw_small(drawn.view, setup.box, setup.edges, drawn.low | lane);
        }
    }
}
