// Culling without a hierarchy, first pass: one lane an instance. Where it is in view, what it draws from goes on as pieces
// of PIECE_CLUSTERS clusters, in the place of candidate groups: all clusters of its mesh, or with `picks_level` those of
// the coarsest whole-mesh level whose claimed error is small enough.
import package::layout::{NONE};
import package::layout_frame::{ClusterList, DISPATCH_FOLD, PHASE_MAIN, PIECE_CLUSTERS, TALLY_INSTANCES, OUTCOME_KEPT};
import package::scene::{views, meshes, instances};
import package::queue::{states, candidate_groups, cluster_arguments};
import package::transform::{eye_to_instance};
import package::lod::{combined_error, projected_error};
import package::traversal::{test_box};
import package::tally::{clear_tally, count_outcome, flush_tally};

struct FlatInstances {
    phase: u32,
    slots: u32,
}
var<immediate> dispatch: FlatInstances;

@group(1) @binding(13) var<storage, read> cluster_lists: array<ClusterList>;
@group(1) @binding(14) var<storage, read> mesh_lists: array<vec2u>; // first list and number of lists of each mesh

override picks_level: bool = false;

const LANES: u32 = 64u;

// What a lane found: its first piece among those of the workgroup, the number of them, their first entry.
var<workgroup> found: array<vec3u, LANES>;
var<workgroup> piece_count: atomic<u32>;
var<workgroup> first_piece: u32;

// The list that an instance draws from, or NONE where it is not in view.
fn choose_list(slot: u32) -> u32 {
    let instance = instances[slot];
    let mesh = meshes[instance.mesh];
    let outcome = test_box(slot, instance, mesh.box_min, mesh.box_max, PHASE_MAIN); // the view is number 0
    count_outcome(TALLY_INSTANCES, outcome);
    if (outcome != OUTCOME_KEPT) {
        return NONE;
    }
    let lists = mesh_lists[instance.mesh];
    if (!picks_level) {
        return lists.x;
    }
    let view = views[0];
    let offset = eye_to_instance(instance, view);
    for (var i = lists.x; i + 1u < lists.x + lists.y; i++) {
        let error = combined_error(view, cluster_lists[i].geometric_error, cluster_lists[i].attribute_error);
        if (projected_error(instance, offset, view, mesh.center, mesh.radius, error) <= view.error_pixels) {
            return i;
        }
    }
    return lists.x + lists.y - 1u; // the source clusters
}

@compute @workgroup_size(64)
fn flat_instances(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
) {
    clear_tally(lane);
    if (lane == 0u) {
        atomicStore(&piece_count, 0u);
    }
    workgroupBarrier();
    let base = (workgroup.y * workgroups.x + workgroup.x) * LANES;
    let slot = base + lane;
    var list = NONE;
    if (slot < dispatch.slots && instances[slot].mesh != NONE) {
        list = choose_list(slot);
    }
    var own = vec3u(0u);
    if (list != NONE) {
        own = vec3u(0u, cluster_lists[list].pieces, cluster_lists[list].first);
        own.x = atomicAdd(&piece_count, own.y);
    }
    found[lane] = own;
    workgroupBarrier();
    if (lane == 0u) {
        first_piece = reserve_pieces(atomicLoad(&piece_count));
    }
    workgroupBarrier();
    for (var i = 0u; i < LANES; i++) {
        let pieces = found[i];
        for (var k = lane; k < pieces.y; k += LANES) {
            let place = first_piece + pieces.x + k;
            if (place < arrayLength(&candidate_groups)) {
                candidate_groups[place] = vec2u(base + i, pieces.z + k * PIECE_CLUSTERS);
            }
        }
    }
    flush_tally(lane, PHASE_MAIN);
}

fn reserve_pieces(count: u32) -> u32 {
    if (count == 0u) {
        return 0u;
    }
    let first = atomicAdd(&states[PHASE_MAIN].candidate_groups, count);
    let stored = min(first + count, arrayLength(&candidate_groups));
    atomicMax(&cluster_arguments[0], min(stored, DISPATCH_FOLD));
    atomicMax(&cluster_arguments[1], (stored + DISPATCH_FOLD - 1u) / DISPATCH_FOLD);
    return first;
}
