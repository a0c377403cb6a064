// Software rasteriser of clusters of few triangles: four of them share a workgroup, so that its lanes have work.
import package::layout::{BIN_SMALL, NONE, SMALL_CLUSTER_TRIANGLES, MAX_CLUSTER_TRIANGLES};
import package::decode::{triangle_count};
import package::raster::{bin_place};
import package::raster_cluster::{Drawn, corners, open_cluster, decode_corners, corner_indices, set_up};
import package::raster_triangle::{draw_small};

const CLUSTERS: u32 = MAX_CLUSTER_TRIANGLES / SMALL_CLUSTER_TRIANGLES; // of a workgroup

@compute @workgroup_size(MAX_CLUSTER_TRIANGLES)
fn rasterize_small(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
) {
    let part = lane / SMALL_CLUSTER_TRIANGLES;
    let triangle = lane % SMALL_CLUSTER_TRIANGLES;
    let base = part * 3u * SMALL_CLUSTER_TRIANGLES; // a triangle has three vertices at most for itself
    let place = bin_place(BIN_SMALL, (workgroup.y * workgroups.x + workgroup.x) * CLUSTERS + part);
    var drawn: Drawn;
    if (place != NONE) {
        drawn = open_cluster(place);
        decode_corners(drawn, base, triangle, SMALL_CLUSTER_TRIANGLES);
    }
    workgroupBarrier();
    if (place != NONE && triangle < triangle_count(drawn.cluster)) {
        let indices = base + corner_indices(drawn, triangle);
        let setup = set_up(drawn, triangle, corners[indices.x], corners[indices.y], corners[indices.z]);
        if (setup.is_drawn) {
            draw_small(drawn.view, setup.box, setup.edges, drawn.low | triangle);
        }
    }
}
