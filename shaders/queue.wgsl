// CandidateNodesAndClusters: the node queue and the list of candidate groups, both linear, and the
// indirect arguments that their producers write.
//
// The node queue serves two traversals with one layout.
//  persistent: `node_progress` holds pushed (high) and finished (low) in one 64-bit atomic. Finishing a node
//    with n children is one atomicAdd((n << 32) + 1), whose result also gives the children's slots. Nothing is
//    left when both halves of one load are equal. An item is two words, each with its own empty mark, so an
//    item is complete when both are there, in whatever order they arrive. Who takes an item empties its slot.
//  levels: the children of level k are the items of level k + 1; `level_counts` counts them, and the start of
//    a level is the sum of the counts before it. Nobody reads a level before its dispatch begins.
// Items beyond the capacity are counted and not stored; the host sees the count, grows the queue, and draws again.
import package::layout::{PassState, MAX_GROUP_CLUSTERS, DISPATCH_FOLD};
import package::subgroup::{is_first_lane};

@group(1) @binding(0) var<storage, read_write> state: PassState;
@group(1) @binding(1) var<storage, read_write> node_queue: array<atomic<u32>>; // two words an item
@group(1) @binding(2) var<storage, read_write> candidate_groups: array<vec2u>; // CandidateGroup
@group(1) @binding(3) var<storage, read_write> cluster_arguments: array<atomic<u32>>; // dispatch of cluster_cull
@group(1) @binding(4) var<storage, read_write> level_counts: array<atomic<u32>>; // nodes of each level
@group(1) @binding(5) var<storage, read_write> level_arguments: array<atomic<u32>>; // dispatch of the next level

override use_persistent: bool = true;

const GROUPS_PER_WORKGROUP: u32 = 64u / MAX_GROUP_CLUSTERS; // of cluster_cull: one lane a member
const CLUSTER_CULL_WORKGROUPS: u32 = 2048u; // at most; they take several groups each, one after the other

fn node_capacity() -> u32 {
    return arrayLength(&node_queue) / 2u;
}

fn store_node(slot: u32, view_instance: u32, node: u32) {
    if (slot < node_capacity()) {
        atomicStore(&node_queue[2u * slot], view_instance);
        atomicStore(&node_queue[2u * slot + 1u], node);
    }
}

// First slot of the items of a level.
fn level_start(level: u32) -> u32 {
    var start = 0u;
    for (var i = 0u; i < level; i++) {
        start += atomicLoad(&level_counts[i]);
    }
    return start;
}

// Reserve slots for `count` nodes of each lane, all at `level`; `start` is level_start(level). `finished` nodes (0 or 1)
// of each lane are reported done by the same atomic: one for all active lanes of a subgroup. Returns the lane's first slot.
fn reserve_nodes(level: u32, start: u32, count: u32, finished: u32) -> u32 {
    let before = subgroupExclusiveAdd(count);
    let total = subgroupAdd(count);
    let done = subgroupAdd(finished);
    var first = 0u;
    if (is_first_lane() && total + done > 0u) {
        first = reserve_for_subgroup(level, start, total, done);
    }
    return subgroupBroadcastFirst(first) + before;
}

fn reserve_for_subgroup(level: u32, start: u32, count: u32, finished: u32) -> u32 {
    if (use_persistent) {
        let slot = u32(atomicAdd(&state.node_progress, (u64(count) << 32u) + u64(finished)) >> 32u);
        let stored = min(slot + count, max(slot, node_capacity())) - slot;
        if (stored < count) {
            atomicAdd(&state.node_progress, u64(count - stored)); // what has no place is done
        }
        return slot;
    }
    if (count == 0u) {
        return start;
    }
    let place = atomicAdd(&level_counts[level], count);
    atomicAdd(&state.node_progress, u64(count) << 32u);
    let workgroups = (place + count + 63u) / 64u;
    atomicMax(&level_arguments[3u * level], min(workgroups, DISPATCH_FOLD));
    atomicMax(&level_arguments[3u * level + 1u], (workgroups + DISPATCH_FOLD - 1u) / DISPATCH_FOLD);
    return start + place;
}

// Append `group` to the candidates where `is_pushed`; one atomic for all active lanes of a subgroup.
fn push_group(is_pushed: bool, view_instance: u32, group: u32) {
    let count = select(0u, 1u, is_pushed);
    let before = subgroupExclusiveAdd(count);
    let total = subgroupAdd(count);
    var first = 0u;
    if (is_first_lane() && total > 0u) {
        first = atomicAdd(&state.candidate_groups, total);
        let stored = min(first + total, arrayLength(&candidate_groups));
        atomicMax(&cluster_arguments[0], min((stored + GROUPS_PER_WORKGROUP - 1u) / GROUPS_PER_WORKGROUP, CLUSTER_CULL_WORKGROUPS));
        atomicMax(&cluster_arguments[1], 1u);
    }
    let slot = subgroupBroadcastFirst(first) + before;
    if (is_pushed && slot < arrayLength(&candidate_groups)) {
        candidate_groups[slot] = vec2u(view_instance, group);
    }
}
