// The members of each candidate group: one lane a cluster. Drawn is what its own group is too coarse to
// replace and what the group that made it represents well enough.
import package::layout::{Cluster, CandidateGroup, NONE, PAGE_HEADER_WORDS, CLUSTER_WORDS, MAX_GROUP_CLUSTERS, BIN_SOFTWARE, BIN_COUNT};
import package::subgroup::{is_first_lane};
import package::scene::{views, meshes, groups, instances, page_addresses, view_of, instance_of};
import package::transform::{eye_to_instance};
import package::lod::{combined_error, projected_error};
import package::frustum::{is_outside_frustum};
import package::decode::{read_cluster, triangle_count};
import package::raster_bin::{raster_bin};
import package::draw_list::{state, append, size_raster_passes};

@group(1) @binding(1) var<storage, read> candidate_groups: array<CandidateGroup>;

const LANES: u32 = 64u; // one a member: two groups at a time

const TEST_NONE: u32 = 0u;
const TEST_KEPT: u32 = 1u;
const TEST_OUTSIDE_FRUSTUM: u32 = 2u;
const TEST_WRONG_DETAIL: u32 = 3u;

// Whether the projected error of a group is too large to accept.
fn is_too_coarse(view_instance: u32, group_index: u32) -> bool {
    let view = views[view_of(view_instance)];
    let instance = instances[instance_of(view_instance)];
    let group = groups[group_index];
    let error = combined_error(view, group.geometric_error, group.attribute_error);
    return projected_error(instance, eye_to_instance(instance, view), view, group.center, group.radius, error) > view.error_pixels;
}

fn test_cluster(view_instance: u32, group_index: u32, cluster: Cluster) -> u32 {
    let view = views[view_of(view_instance)];
    let instance = instances[instance_of(view_instance)];
    let mesh = meshes[instance.mesh];
    if (!is_too_coarse(view_instance, group_index)) {
        return TEST_WRONG_DETAIL;
    }
    if (cluster.made_by != NONE && is_too_coarse(view_instance, mesh.group_base + cluster.made_by)) {
        return TEST_WRONG_DETAIL;
    }
    let box_min = vec3f(cluster.origin) * mesh.step;
    let box_max = vec3f(cluster.origin + vec3i(cluster.extent)) * mesh.step;
    if (is_outside_frustum(instance, eye_to_instance(instance, view), view, box_min, box_max)) {
        return TEST_OUTSIDE_FRUSTUM;
    }
    return TEST_KEPT;
}

@compute @workgroup_size(64)
fn cluster_cull(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
) {
    let groups_per_workgroup = LANES / MAX_GROUP_CLUSTERS;
    let count = min(atomicLoad(&state.candidate_groups), arrayLength(&candidate_groups));
    let member = lane % MAX_GROUP_CLUSTERS;
    var tested = 0u;
    var outside = 0u;
    var wrong_detail = 0u;
    var clusters = vec4u(0u); // kept, by bin
    var triangles = vec4u(0u);
    var ends = vec4u(0u);
    // The same number of turns for both groups of a workgroup: `first` is the first of them.
    for (var first = workgroup.x * groups_per_workgroup; first < count; first += workgroups.x * groups_per_workgroup) {
        let candidate = first + lane / MAX_GROUP_CLUSTERS;
        var outcome = TEST_NONE;
        var view_instance = 0u;
        var address = 0u;
        var bin = BIN_SOFTWARE;
        if (candidate < count) {
            let entry = candidate_groups[candidate];
            view_instance = entry.view_instance;
            let group = groups[entry.group];
            if (member < ((group.place >> 16u) & 255u)) {
                let place = (group.place & 0xffffu) + member;
                address = page_addresses[group.page] + PAGE_HEADER_WORDS + place * CLUSTER_WORDS;
                let cluster = read_cluster(address);
                outcome = test_cluster(view_instance, entry.group, cluster);
                if (outcome == TEST_KEPT) {
                    let instance = instances[instance_of(view_instance)];
                    bin = raster_bin(views[view_of(view_instance)], instance, meshes[instance.mesh].step, cluster);
                    clusters[bin] += 1u;
                    triangles[bin] += triangle_count(cluster);
                }
            }
        }
        ends = max(ends, append(outcome == TEST_KEPT, bin, view_instance, address));
        tested += select(0u, 1u, outcome != TEST_NONE);
        outside += select(0u, 1u, outcome == TEST_OUTSIDE_FRUSTUM);
        wrong_detail += select(0u, 1u, outcome == TEST_WRONG_DETAIL);
    }
    tested = subgroupAdd(tested);
    outside = subgroupAdd(outside);
    wrong_detail = subgroupAdd(wrong_detail);
    clusters = subgroupAdd(clusters);
    triangles = subgroupAdd(triangles);
    if (is_first_lane() && tested > 0u) {
        atomicAdd(&state.clusters_tested, tested);
        atomicAdd(&state.clusters_culled_frustum, outside);
        atomicAdd(&state.clusters_culled_detail, wrong_detail);
        for (var i = 0u; i < BIN_COUNT; i++) {
            if (clusters[i] > 0u) {
                atomicAdd(&state.bin_clusters[i], clusters[i]);
                atomicAdd(&state.bin_triangles[i], triangles[i]);
            }
        }
        size_raster_passes(ends);
    }
}
