// Walk the instance tree and the hierarchies in one dispatch: threads stay resident and take items from the
// queue until every item that was pushed is finished (Karis et al., "Nanite: A Deep Dive", SIGGRAPH 2021).
//
// Eight lanes are a team and take one item, a child each. A team looks at one slot per turn and never waits inside a
// turn, so a team without work cannot hold up a sibling that has some; a subgroup ends when all of its teams do. Only
// lanes that run take tickets, hence workgroups that have not started yet own nothing that others wait for. A
// subgroup takes its tickets, and reports what it finished, with one atomic each. Subgroups have at least eight
// lanes, a multiple of eight.
import package::layout::{NONE};
import package::layout_frame::{OUTCOME_KEPT, OUTCOME_OCCLUSION, OUTCOME_NONE, ALL_CHILDREN, PHASE_MAIN, PHASE_POST};
import package::queue::{states, node_queue, node_capacity, item_word, reserve_items, store_item, push_group};
import package::subgroup::{subgroup_lane, count_votes, votes_before, speaker};
import package::traversal::{Visit, visit_child, item_node};
import package::tally::{clear_tally, count_outcome, flush_tally};

struct PersistentCull {
    phase: u32,
}
var<immediate> dispatch: PersistentCull;

override persistent_turns: u32 = 1u << 21u; // turns without progress before a team gives up

// Which lanes of this lane's team say yes: eight bits.
fn team_votes(is_yes: bool) -> u32 {
    let votes = subgroupBallot(is_yes);
    let word = subgroup_lane >> 5u;
    let own = select(select(votes.z, votes.w, word == 3u), select(votes.x, votes.y, word == 1u), word < 2u);
    return (own >> (subgroup_lane & 24u)) & 0xffu;
}

@compute @workgroup_size(64)
fn persistent_cull(@builtin(local_invocation_index) workgroup_lane: u32, @builtin(subgroup_invocation_id) lane: u32) {
    subgroup_lane = lane;
    let phase = dispatch.phase;
    let leader = lane & ~7u;
    let is_leader = lane == leader;
    var ticket = NONE;
    var idle_turns = 0u;
    var seen = u64(0u);
    clear_tally(workgroup_lane);
    workgroupBarrier();
    var is_over = false; // of a team; its subgroup goes on together until all of its teams are
    loop {
        subgroupBarrier();
        let is_wanted = is_leader && ticket == NONE;
        let wanted = subgroupBallot(is_wanted);
        if (any(wanted != vec4u(0u))) {
            let taker = speaker(wanted);
            var first = 0u;
            if (lane == taker) {
                first = atomicAdd(&states[phase].nodes_taken, count_votes(wanted));
            }
            ticket = select(ticket, subgroupShuffle(first, taker) + votes_before(wanted), is_wanted);
        }
        var words = vec2u(NONE);
        if (is_leader && !is_over) {
            is_over = ticket >= node_capacity(); // such a slot is never filled
            if (!is_over) {
                let word = item_word(phase, ticket);
                words = vec2u(atomicLoad(&node_queue[word]), atomicLoad(&node_queue[word + 1u]));
                if (all(words != vec2u(NONE))) {
                    atomicStore(&node_queue[word], NONE);
                    atomicStore(&node_queue[word + 1u], NONE);
                    ticket = NONE;
                } else {
                    // Equal halves are final: what is not pushed yet would be pushed by an unfinished item.
                    let progress = atomicLoad(&states[phase].node_progress);
                    is_over = u32(progress >> 32u) == u32(progress);
                    idle_turns = select(idle_turns + 1u, 0u, progress != seen);
                    seen = progress;
                    if (idle_turns > persistent_turns) {
                        atomicStore(&states[phase].aborted, 1u);
                        is_over = true;
                    }
                }
            }
        }
        subgroupBarrier();
        if (subgroupAll(is_over || !is_leader)) {
            break;
        }
        let view_instance = subgroupShuffle(words.x, leader);
        let node_word = subgroupShuffle(words.y, leader);
        let is_ready = view_instance != NONE && node_word != NONE;
        var visit = Visit();
        visit.outcome = OUTCOME_NONE;
        if (is_ready) {
            visit = visit_child(view_instance, node_word, lane & 7u, phase);
            count_outcome(visit.kind, visit.outcome);
        }
        let is_kept = visit.outcome == OUTCOME_KEPT;
        push_group(phase, is_kept && visit.is_group, visit.view_instance, visit.target_item);
        let is_pushed = is_kept && !visit.is_group;
        if (phase == PHASE_MAIN) {
            subgroupBarrier();
            let hidden = team_votes(visit.outcome == OUTCOME_OCCLUSION);
            let is_left = is_leader && hidden != 0u;
            let slot = reserve_items(PHASE_POST, 0u, 0u, is_left, false);
            if (is_left) {
                store_item(PHASE_POST, slot, view_instance, item_node(node_word), hidden);
            }
        }
        let slot = reserve_items(phase, 0u, 0u, is_pushed, is_leader && is_ready);
        if (is_pushed) {
            store_item(phase, slot, visit.view_instance, visit.target_item, ALL_CHILDREN);
        }
        if (is_ready) {
            idle_turns = 0u;
        }
    }
    workgroupBarrier();
    flush_tally(workgroup_lane, phase);
}
