// Culling without a hierarchy, second pass: one workgroup a piece of clusters that flat_instances chose, one lane a
// cluster. With `tests_clusters` a cluster is drawn where cluster_cull would draw it: where its group is too coarse to
// replace it, the group that made it is fine enough, and it is in view. Else all are drawn.
import package::layout::{Cluster, Group, NONE};
import package::layout_frame::{View, Instance, PHASE_MAIN, TALLY_CLUSTERS, OUTCOME_KEPT, OUTCOME_DETAIL, OUTCOME_NONE, BIN_SOFTWARE};
import package::subgroup::{subgroup_lane};
import package::scene::{views, meshes, groups, instances, view_of, instance_of};
import package::queue::{states, candidate_groups};
import package::transform::{eye_to_instance};
import package::lod::{combined_error, projected_error};
import package::traversal::{test_box};
import package::decode::{read_cluster, triangle_count};
import package::raster_bin::{raster_bin};
import package::draw_list::{append, size_raster_passes};
import package::tally::{clear_tally, count_outcome, count_culled_triangles, count_drawn, flush_tally};

struct FlatClusters {
    phase: u32,
}
var<immediate> dispatch: FlatClusters;

@group(1) @binding(13) var<storage, read> listed_clusters: array<u32>; // words in the page pool; NONE: nothing

override tests_clusters: bool = true;

const LANES: u32 = 64u; // PIECE_CLUSTERS

fn is_too_coarse(view: View, instance: Instance, group: Group) -> bool {
    let error = combined_error(view, group.geometric_error, group.attribute_error);
    return projected_error(instance, eye_to_instance(instance, view), view, group.center, group.radius, error) > view.error_pixels;
}

fn test_cluster(view_instance: u32, instance: Instance, cluster: Cluster) -> u32 {
    if (!tests_clusters) {
        return OUTCOME_KEPT;
    }
    let view = views[view_of(view_instance)];
    let mesh = meshes[instance.mesh];
    if (!is_too_coarse(view, instance, groups[mesh.group_base + cluster.group])) {
        return OUTCOME_DETAIL;
    }
    if (cluster.made_by != NONE) {
        if (is_too_coarse(view, instance, groups[mesh.group_base + cluster.made_by])) {
            return OUTCOME_DETAIL;
        }
    }
    let box_min = vec3f(cluster.origin) * mesh.step;
    let box_max = vec3f(cluster.origin + vec3i(cluster.extent)) * mesh.step;
    return test_box(view_instance, instance, box_min, box_max, PHASE_MAIN);
}

@compute @workgroup_size(64)
fn flat_clusters(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(subgroup_size) subgroup_size: u32,
    @builtin(subgroup_invocation_id) subgroup_invocation: u32,
) {
    subgroup_lane = subgroup_invocation;
    clear_tally(lane);
    workgroupBarrier();
    let number = workgroup.y * workgroups.x + workgroup.x;
    // A folded dispatch may have workgroups too many.
    var view_instance = 0u;
    var address = NONE;
    if (number < min(atomicLoad(&states[PHASE_MAIN].candidate_groups), arrayLength(&candidate_groups))) {
        let piece = candidate_groups[number];
        view_instance = piece.x;
        address = listed_clusters[piece.y + lane];
    }
    var outcome = OUTCOME_NONE;
    var bin = BIN_SOFTWARE;
    if (address != NONE) {
        let instance = instances[instance_of(view_instance)];
        let cluster = read_cluster(address);
        outcome = test_cluster(view_instance, instance, cluster);
        count_outcome(TALLY_CLUSTERS, outcome);
        if (outcome == OUTCOME_KEPT) {
            bin = raster_bin(views[view_of(view_instance)], instance, meshes[instance.mesh].step, cluster);
            count_drawn(bin, triangle_count(cluster));
        } else {
            count_culled_triangles(outcome, triangle_count(cluster));
        }
    }
    workgroupBarrier(); // the lanes of a subgroup are together again
    let bin_ends = append(PHASE_MAIN, outcome == OUTCOME_KEPT, bin, view_instance, address);
    if (lane % min(subgroup_size, LANES) == 0u) { // all lanes of a subgroup have the same ends
        size_raster_passes(PHASE_MAIN, bin_ends);
    }
    flush_tally(lane, PHASE_MAIN);
}
