// The members of the candidate groups, one lane a member; in the post pass also the clusters that the main pass found
// hidden. A group is a candidate because it is too coarse to be replaced; drawn are those of its members that were made by
// a group which represents them well enough, and that are in view.
import package::layout::{Cluster, NONE, PAGE_HEADER_WORDS, CLUSTER_WORDS};
import package::layout_frame::{VisibleCluster, PHASE_MAIN, PHASE_POST, TALLY_CLUSTERS, OUTCOME_KEPT, OUTCOME_DETAIL, OUTCOME_OCCLUSION, OUTCOME_NONE, BIN_SOFTWARE};
import package::subgroup::{subgroup_lane, count_votes, votes_before, speaker};
import package::scene::{views, meshes, groups, instances, page_addresses, view_of, instance_of};
import package::queue::{states, candidate_groups, CLUSTER_CULL_WORKGROUPS};
import package::transform::{eye_to_instance};
import package::lod::{combined_error, projected_error};
import package::traversal::{test_box};
import package::decode::{read_cluster, triangle_count};
import package::raster_bin::{raster_bin};
import package::draw_list::{append, size_raster_passes};
import package::tally::{clear_tally, count_outcome, count_culled_triangles, count_drawn, flush_tally};

struct ClusterCull {
    phase: u32,
}
var<immediate> dispatch: ClusterCull;

@group(1) @binding(11) var<storage, read_write> hidden_clusters: array<VisibleCluster>;
@group(1) @binding(12) var<storage, read_write> post_cluster_arguments: array<atomic<u32>>; // of this pass, in the post pass

const LANES: u32 = 64u;

var<private> bin_ends: vec4u; // how far the bins reach that the lane's subgroup appended to

// Whether the group that made the cluster is too coarse to accept.
fn is_made_too_coarse(view_instance: u32, cluster: Cluster) -> bool {
    if (cluster.made_by == NONE) {
        return false;
    }
    let view = views[view_of(view_instance)];
    let instance = instances[instance_of(view_instance)];
    let group = groups[meshes[instance.mesh].group_base + cluster.made_by];
    let error = combined_error(view, group.geometric_error, group.attribute_error);
    return projected_error(instance, eye_to_instance(instance, view), view, group.center, group.radius, error) > view.error_pixels;
}

fn test_cluster(view_instance: u32, cluster: Cluster) -> u32 {
    if (is_made_too_coarse(view_instance, cluster)) {
        return OUTCOME_DETAIL;
    }
    let instance = instances[instance_of(view_instance)];
    let step = meshes[instance.mesh].step;
    let box_min = vec3f(cluster.origin) * step;
    let box_max = vec3f(cluster.origin + vec3i(cluster.extent)) * step;
    return test_box(view_instance, instance, box_min, box_max, dispatch.phase);
}

// Test the cluster of each lane (address NONE: it has none), and append it to the list that it belongs to.
fn judge(view_instance: u32, address: u32) {
    var outcome = OUTCOME_NONE;
    var cluster: Cluster;
    if (address != NONE) {
        cluster = read_cluster(address);
        outcome = test_cluster(view_instance, cluster);
        count_outcome(TALLY_CLUSTERS, outcome);
    }
    let is_kept = outcome == OUTCOME_KEPT;
    var bin = BIN_SOFTWARE;
    if (is_kept) {
        let instance = instances[instance_of(view_instance)];
        bin = raster_bin(views[view_of(view_instance)], instance, meshes[instance.mesh].step, cluster);
        count_drawn(bin, triangle_count(cluster));
    } else if (address != NONE) {
        count_culled_triangles(outcome, triangle_count(cluster));
    }
    bin_ends = max(bin_ends, append(dispatch.phase, is_kept, bin, view_instance, address));
    if (dispatch.phase == PHASE_MAIN) {
        append_hidden(outcome == OUTCOME_OCCLUSION, view_instance, address);
    }
}

@compute @workgroup_size(64)
fn cluster_cull(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(subgroup_size) subgroup_size: u32,
    @builtin(subgroup_invocation_id) subgroup_invocation: u32,
) {
    subgroup_lane = subgroup_invocation;
    clear_tally(lane);
    workgroupBarrier();
    let group_count = min(atomicLoad(&states[dispatch.phase].candidate_groups), arrayLength(&candidate_groups));
    // All subgroups get the same number of groups, at most one a lane; where there are many, several times.
    let lanes = min(subgroup_size, LANES);
    let subgroups = workgroups.x * (LANES / lanes);
    let batch = clamp((group_count + subgroups - 1u) / subgroups, 1u, lanes);
    let subgroup = workgroup.x * (LANES / lanes) + lane / lanes;
    for (var first = subgroup * batch; first < group_count; first += subgroups * batch) {
        judge_members(select(group_count, first + subgroup_lane, subgroup_lane < batch), group_count, lanes);
    }
    if (dispatch.phase == PHASE_POST) {
        let hidden_count = min(atomicLoad(&states[PHASE_MAIN].hidden_clusters), arrayLength(&hidden_clusters));
        for (var first = workgroup.x * LANES; first < hidden_count; first += workgroups.x * LANES) {
            var entry = VisibleCluster(0u, NONE);
            if (first + lane < hidden_count) {
                entry = hidden_clusters[first + lane];
            }
            judge(entry.view_instance, entry.address);
        }
    }
    workgroupBarrier();
    if (lane % lanes == 0u) { // all lanes of a subgroup have the same ends
        size_raster_passes(dispatch.phase, bin_ends);
    }
    flush_tally(lane, dispatch.phase);
}

// Each lane brings a group; then the lanes of a subgroup share out the members of their groups evenly, so that groups
// of one member keep no lane idle.
fn judge_members(candidate: u32, group_count: u32, subgroup_size: u32) {
    var view_instance = 0u;
    var address = 0u; // of the group's first member
    var members = 0u;
    if (candidate < group_count) {
        let entry = candidate_groups[candidate];
        let group = groups[entry.y];
        view_instance = entry.x;
        members = (group.place >> 16u) & 255u;
        address = page_addresses[group.page] + PAGE_HEADER_WORDS + (group.place & 0xffffu) * CLUSTER_WORDS;
    }
    subgroupBarrier();
    let before = subgroupExclusiveAdd(members);
    let total = subgroupAdd(members);
    for (var first = 0u; first < total; first += subgroup_size) {
        let member = first + subgroup_lane;
        // The last lane whose members begin at or before this one: a binary search over the lanes. Lanes without members
        // begin where their successor does, which the search prefers.
        var owner = 0u;
        for (var step = subgroup_size >> 1u; step > 0u; step >>= 1u) {
            let begin = subgroupShuffle(before, owner + step);
            owner = select(owner, owner + step, begin <= member);
        }
        let owner_first = subgroupShuffle(before, owner);
        let owner_address = subgroupShuffle(address, owner);
        let owner_view_instance = subgroupShuffle(view_instance, owner);
        judge(owner_view_instance, select(NONE, owner_address + (member - owner_first) * CLUSTER_WORDS, member < total));
    }
}

fn append_hidden(is_hidden: bool, view_instance: u32, address: u32) {
    let votes = subgroupBallot(is_hidden);
    if (all(votes == vec4u(0u))) {
        return;
    }
    let leader = speaker(votes);
    var first = 0u;
    if (subgroup_lane == leader) {
        let count = count_votes(votes);
        first = atomicAdd(&states[PHASE_MAIN].hidden_clusters, count);
        let stored = min(first + count, arrayLength(&hidden_clusters));
        atomicMax(&post_cluster_arguments[0], min((stored + LANES - 1u) / LANES, CLUSTER_CULL_WORKGROUPS));
        atomicMax(&post_cluster_arguments[1], 1u);
    }
    let place = subgroupShuffle(first, leader) + votes_before(votes);
    if (is_hidden && place < arrayLength(&hidden_clusters)) {
        hidden_clusters[place] = VisibleCluster(view_instance, address);
    }
}
