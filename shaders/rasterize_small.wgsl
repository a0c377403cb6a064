// Software rasteriser of clusters of few triangles: several of them share a workgroup, so that its lanes have work. Most
// have about as many triangles as LANES; those with more take a second turn.
import package::layout::{NONE};
import package::layout_frame::{BIN_SMALL, SMALL_CLUSTER_TRIANGLES, SMALL_CLUSTERS};
import package::decode::{triangle_count};
import package::raster::{bin_entry};
import package::raster_cluster::{Drawn, corners, open_cluster, decode_corners, corner_indices, set_up};
import package::raster_triangle::{draw_small};

const LANES: u32 = 16u; // of a cluster

@compute @workgroup_size(SMALL_CLUSTERS * LANES)
fn rasterize_small(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
) {
    let part = lane / LANES;
    let base = part * 3u * SMALL_CLUSTER_TRIANGLES; // a triangle has three vertices at most for itself
    let entry = bin_entry(BIN_SMALL, (workgroup.y * workgroups.x + workgroup.x) * SMALL_CLUSTERS + part);
    var drawn: Drawn;
    if (entry.place != NONE) {
        drawn = open_cluster(entry);
        decode_corners(drawn, base, lane % LANES, LANES);
    }
    workgroupBarrier();
    if (entry.place == NONE) {
        return;
    }
    for (var triangle = lane % LANES; triangle < triangle_count(drawn.cluster); triangle += LANES) {
        let indices = base + corner_indices(drawn, triangle);
        let setup = set_up(drawn, triangle, corners[indices.x], corners[indices.y], corners[indices.z]);
        if (setup.is_drawn) {
            draw_small(drawn.view, setup.box, setup.edges, drawn.low | triangle);
        }
    }
}
