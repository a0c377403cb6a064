// The other traversal: one indirect dispatch for each level of instance tree and hierarchies. It needs no promise about
// the progress of threads, and must find the same groups as persistent_cull. Eight lanes an item, a child each.
import package::layout::{NONE};
import package::layout_frame::{OUTCOME_KEPT, OUTCOME_OCCLUSION, OUTCOME_NONE, ALL_CHILDREN, PHASE_MAIN, PHASE_POST, MAX_LEVELS};
import package::queue::{node_queue, node_capacity, item_word, level_counts, level_start, reserve_items, store_item, push_group};
import package::subgroup::{subgroup_lane};
import package::traversal::{Visit, visit_child, item_node};
import package::tally::{clear_tally, count_outcome, flush_tally};

struct LevelsCull {
    phase: u32,
    level: u32,
}
var<immediate> dispatch: LevelsCull;

var<workgroup> hidden: array<atomic<u32>, 8>; // children of each item that are left to the post pass

@compute @workgroup_size(64)
fn levels_cull(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(subgroup_invocation_id) subgroup_invocation: u32,
) {
    subgroup_lane = subgroup_invocation;
    clear_tally(lane);
    if (lane < 8u) {
        atomicStore(&hidden[lane], 0u);
    }
    workgroupBarrier();
    let phase = dispatch.phase;
    let team = lane / 8u;
    let index = (workgroup.y * workgroups.x + workgroup.x) * 8u + team;
    let start = level_start(phase, dispatch.level);
    let count = atomicLoad(&level_counts[phase * MAX_LEVELS + dispatch.level]);
    let is_real = index < count && start + index < node_capacity();
    var words = vec2u(NONE);
    var visit = Visit();
    visit.outcome = OUTCOME_NONE;
    if (is_real) {
        let word = item_word(phase, start + index);
        words = vec2u(atomicLoad(&node_queue[word]), atomicLoad(&node_queue[word + 1u]));
        visit = visit_child(words.x, words.y, lane % 8u, phase);
        count_outcome(visit.kind, visit.outcome);
        if (visit.outcome == OUTCOME_OCCLUSION) {
            atomicOr(&hidden[team], 1u << (lane % 8u));
        }
    }
    workgroupBarrier();
    let is_kept = visit.outcome == OUTCOME_KEPT;
    push_group(phase, is_kept && visit.is_group, visit.view_instance, visit.target_item);
    let is_pushed = is_kept && !visit.is_group;
    let slot = reserve_items(phase, dispatch.level + 1u, start + count, is_pushed, false);
    if (is_pushed) {
        store_item(phase, slot, visit.view_instance, visit.target_item, ALL_CHILDREN);
    }
    let children = atomicLoad(&hidden[team]);
    let is_leader = is_real && lane % 8u == 0u;
    let is_left = is_leader && children != 0u && phase == PHASE_MAIN;
    let place = reserve_items(PHASE_POST, 0u, 0u, is_left, false);
    if (is_left) {
        store_item(PHASE_POST, place, words.x, item_node(words.y), children);
    }
    if (is_leader) {
        let word = item_word(phase, start + index);
        atomicStore(&node_queue[word], NONE);
        atomicStore(&node_queue[word + 1u], NONE);
    }
    flush_tally(lane, phase);
}
