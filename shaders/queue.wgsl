// CandidateNodesAndClusters: the node queue and the list of candidate groups, all linear, and the indirect arguments
// that their producers write. The node queue has two halves of equal size, for the main and the post pass.
//
// It serves two traversals with one layout.
//  persistent: `node_progress` holds pushed (high) and finished (low) in one 64-bit atomic. Finishing an item that leaves
//    n more is one atomicAdd((n << 32) + 1), whose result also gives their slots. Nothing is left when both halves of
//    one load are equal. An item is two words, each with its own empty mark, so an item is complete when both
//    are there, in whatever order they arrive. Who takes an item empties its slot.
//  levels: what the items of level k leave are the items of level k + 1; `level_counts` counts them, and the start of
//    a level is the sum of the counts before it. Nobody reads a level before its dispatch begins.
// Items beyond the capacity are counted and not stored; the host sees the count, grows the queue, and draws again.
import package::layout_frame::{PassState, NODE_BITS, DISPATCH_FOLD, PHASE_POST, MAX_LEVELS};
import package::subgroup::{subgroup_lane, count_votes, votes_before, speaker};

@group(1) @binding(0) var<storage, read_write> states: array<PassState, 2>; // MainAndPostPassPersistentStates
@group(1) @binding(1) var<storage, read_write> node_queue: array<atomic<u32>>; // two words an item
@group(1) @binding(2) var<storage, read_write> candidate_groups: array<vec2u>; // CandidateGroup
@group(1) @binding(3) var<storage, read_write> cluster_arguments: array<atomic<u32>>; // dispatch of cluster_cull
@group(1) @binding(4) var<storage, read_write> level_counts: array<atomic<u32>>; // items of each level, of both passes
@group(1) @binding(5) var<storage, read_write> level_arguments: array<atomic<u32>>; // dispatches of the levels, of both passes
@group(1) @binding(7) var<storage, read_write> post_arguments: array<atomic<u32>>; // dispatch of the post pass's first level

override use_persistent: bool = true;

const ITEMS_PER_WORKGROUP: u32 = 8u; // of a traversal: eight lanes an item, one a child
const GROUPS_PER_WORKGROUP: u32 = 2u; // of cluster_cull, while there are few: the members of a group fill a subgroup
const CLUSTER_CULL_WORKGROUPS: u32 = 4096u; // at most; then each takes more groups

// Items that one half of the queue holds.
fn node_capacity() -> u32 {
    return arrayLength(&node_queue) / 4u;
}

// First word of an item.
fn item_word(phase: u32, slot: u32) -> u32 {
    return 2u * (phase * node_capacity() + slot);
}

fn store_item(phase: u32, slot: u32, view_instance: u32, node: u32, children: u32) {
    if (slot < node_capacity()) {
        atomicStore(&node_queue[item_word(phase, slot)], view_instance);
        atomicStore(&node_queue[item_word(phase, slot) + 1u], (children << NODE_BITS) | node);
    }
}

// First slot of the items of a level.
fn level_start(phase: u32, level: u32) -> u32 {
    var start = 0u;
    for (var i = 0u; i < level; i++) {
        start += atomicLoad(&level_counts[phase * MAX_LEVELS + i]);
    }
    return start;
}

// Reserve slots at `level` for the items of all lanes where `is_pushed`; `start` is level_start(phase, level). Items that
// lanes have `finished` are reported by the same atomic: one for a subgroup. Returns the lane's slot.
fn reserve_items(phase: u32, level: u32, start: u32, is_pushed: bool, is_finished: bool) -> u32 {
    let votes = subgroupBallot(is_pushed);
    let finished = subgroupBallot(is_finished);
    let either = votes | finished;
    if (all(either == vec4u(0u))) {
        return start;
    }
    let leader = speaker(either);
    var first = start;
    if (subgroup_lane == leader) {
        if (use_persistent) {
            first = reserve_persistent(phase, count_votes(votes), count_votes(finished));
        } else if (any(votes != vec4u(0u))) {
            first = start + reserve_at_level(phase, level, count_votes(votes));
        }
    }
    return subgroupShuffle(first, leader) + votes_before(votes);
}

fn reserve_persistent(phase: u32, count: u32, finished: u32) -> u32 {
    let slot = u32(atomicAdd(&states[phase].node_progress, (u64(count) << 32u) + u64(finished)) >> 32u);
    let stored = min(slot + count, max(slot, node_capacity())) - slot;
    if (stored < count) {
        atomicAdd(&states[phase].node_progress, u64(count - stored)); // what has no place is done
    }
    return slot;
}

fn reserve_at_level(phase: u32, level: u32, count: u32) -> u32 {
    let place = atomicAdd(&level_counts[phase * MAX_LEVELS + level], count);
    atomicAdd(&states[phase].node_progress, u64(count) << 32u);
    let workgroups = (place + count + ITEMS_PER_WORKGROUP - 1u) / ITEMS_PER_WORKGROUP;
    let x = min(workgroups, DISPATCH_FOLD);
    let y = (workgroups + DISPATCH_FOLD - 1u) / DISPATCH_FOLD;
    if (phase == PHASE_POST && level == 0u) {
        atomicMax(&post_arguments[0], x);
        atomicMax(&post_arguments[1], y);
    } else {
        let entry = 3u * (phase * MAX_LEVELS + level);
        atomicMax(&level_arguments[entry], x);
        atomicMax(&level_arguments[entry + 1u], y);
    }
    return place;
}

// Append `group` to the candidates where `is_pushed`; one atomic for a subgroup.
fn push_group(phase: u32, is_pushed: bool, view_instance: u32, group: u32) {
    let votes = subgroupBallot(is_pushed);
    if (all(votes == vec4u(0u))) {
        return;
    }
    let leader = speaker(votes);
    var first = 0u;
    if (subgroup_lane == leader) {
        let count = count_votes(votes);
        first = atomicAdd(&states[phase].candidate_groups, count);
        let stored = min(first + count, arrayLength(&candidate_groups));
        atomicMax(&cluster_arguments[0], min((stored + GROUPS_PER_WORKGROUP - 1u) / GROUPS_PER_WORKGROUP, CLUSTER_CULL_WORKGROUPS));
        atomicMax(&cluster_arguments[1], 1u);
    }
    let slot = subgroupShuffle(first, leader) + votes_before(votes);
    if (is_pushed && slot < arrayLength(&candidate_groups)) {
        candidate_groups[slot] = vec2u(view_instance, group);
    }
}
