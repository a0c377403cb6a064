// Walk the hierarchies of all instances in one dispatch: threads stay resident and take nodes from the
// queue until every node that was pushed is finished (Karis et al., "Nanite: A Deep Dive", SIGGRAPH 2021).
//
// A lane looks at one slot per turn and never waits inside a turn, so a lane without work cannot hold up
// a sibling that has some. Only lanes that run take tickets, hence workgroups that have not started yet own
// nothing that others wait for. A subgroup takes its tickets, and reports what it finished, with one atomic each.
import package::layout::{NONE, NODE_LEAF};
import package::scene::{nodes};
import package::queue::{state, node_queue, node_capacity, reserve_nodes, store_node, push_group};
import package::subgroup::{is_first_lane};
import package::traversal::{visit, VISIT_KEPT, VISIT_OUTSIDE_FRUSTUM, VISIT_WRONG_DETAIL};

override persistent_turns: u32 = 1u << 21u; // turns without progress before a lane gives up

@compute @workgroup_size(64)
fn persistent_cull() {
    var ticket = NONE;
    var idle_turns = 0u;
    var seen = u64(0u);
    var tested = 0u;
    var outside = 0u;
    var wrong_detail = 0u;
    loop {
        let wanted = select(0u, 1u, ticket == NONE);
        let place = subgroupExclusiveAdd(wanted);
        let wanted_by_all = subgroupAdd(wanted);
        var first = 0u;
        if (is_first_lane() && wanted_by_all > 0u) {
            first = atomicAdd(&state.nodes_taken, wanted_by_all);
        }
        first = subgroupBroadcastFirst(first);
        ticket = select(ticket, first + place, ticket == NONE);
        if (ticket >= node_capacity()) {
            break; // such a slot is never filled
        }
        let view_instance = atomicLoad(&node_queue[2u * ticket]);
        let node_index = atomicLoad(&node_queue[2u * ticket + 1u]);
        let is_ready = view_instance != NONE && node_index != NONE;
        var outcome = VISIT_WRONG_DETAIL;
        var child = 0u;
        var child_count = 0u;
        if (is_ready) {
            atomicStore(&node_queue[2u * ticket], NONE);
            atomicStore(&node_queue[2u * ticket + 1u], NONE);
            let node = nodes[node_index];
            outcome = visit(view_instance, node);
            tested += 1u;
            outside += select(0u, 1u, outcome == VISIT_OUTSIDE_FRUSTUM);
            wrong_detail += select(0u, 1u, outcome == VISIT_WRONG_DETAIL);
            child = node.child;
            child_count = select(0u, node.child_count, outcome == VISIT_KEPT);
            ticket = NONE;
        }
        let is_kept = is_ready && outcome == VISIT_KEPT;
        push_group(is_kept && child_count == NODE_LEAF, view_instance, child);
        let slot = reserve_nodes(0u, 0u, child_count, select(0u, 1u, is_ready));
        for (var i = 0u; i < child_count; i++) {
            store_node(slot + i, view_instance, child + i);
        }
        if (is_ready) {
            idle_turns = 0u;
        } else {
            // Equal halves are final: what is not pushed yet would be pushed by an unfinished node.
            let progress = atomicLoad(&state.node_progress);
            if (u32(progress >> 32u) == u32(progress)) {
                break;
            }
            idle_turns = select(idle_turns + 1u, 0u, progress != seen);
            seen = progress;
            if (idle_turns > persistent_turns) {
                atomicStore(&state.aborted, 1u);
                break;
            }
        }
    }
    tested = subgroupAdd(tested);
    outside = subgroupAdd(outside);
    wrong_detail = subgroupAdd(wrong_detail);
    if (is_first_lane() && tested > 0u) {
        atomicAdd(&state.nodes_tested, tested);
        atomicAdd(&state.nodes_culled_frustum, outside);
        atomicAdd(&state.nodes_culled_detail, wrong_detail);
    }
}
