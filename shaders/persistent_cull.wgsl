// Walk the hierarchies of all instances in one dispatch: threads stay resident and take nodes from the
// queue until every node that was pushed is finished (Karis et al., "Nanite: A Deep Dive", SIGGRAPH 2021).
//
// A lane looks at one slot per turn and never waits inside a turn, so a lane without work cannot hold up
// a sibling that has some. Only lanes that run take tickets, hence workgroups that have not started yet own
// nothing that others wait for.
import package::layout::{PassState, NONE, NODE_LEAF};
import package::scene::{nodes};
import package::queue::{state, node_queue, node_capacity, reserve_nodes, store_node, push_group};
import package::traversal::{visit, VISIT_KEPT, VISIT_OUTSIDE_FRUSTUM, VISIT_WRONG_DETAIL};

override persistent_turns: u32 = 1u << 24u; // turns without progress before a lane gives up

@compute @workgroup_size(64)
fn persistent_cull() {
    var ticket = NONE;
    var idle_turns = 0u;
    var seen = u64(0u);
    var tested = 0u;
    var outside = 0u;
    var wrong_detail = 0u;
    loop {
        if (ticket == NONE) {
            ticket = atomicAdd(&state.nodes_taken, 1u);
        }
        if (ticket >= node_capacity()) {
            break; // such a slot is never filled
        }
        // Progress first: if it says that all is done, the slot below is empty for good.
        let progress = atomicLoad(&state.node_progress);
        let view_instance = atomicLoad(&node_queue[2u * ticket]);
        let node_index = atomicLoad(&node_queue[2u * ticket + 1u]);
        if (view_instance != NONE && node_index != NONE) {
            atomicStore(&node_queue[2u * ticket], NONE);
            atomicStore(&node_queue[2u * ticket + 1u], NONE);
            let node = nodes[node_index];
            let outcome = visit(view_instance, node);
            tested += 1u;
            outside += select(0u, 1u, outcome == VISIT_OUTSIDE_FRUSTUM);
            wrong_detail += select(0u, 1u, outcome == VISIT_WRONG_DETAIL);
            var children = 0u;
            if (outcome == VISIT_KEPT) {
                if (node.child_count == NODE_LEAF) {
                    push_group(view_instance, node.child);
                }
                children = node.child_count;
            }
            let slot = reserve_nodes(0u, 0u, children, 1u);
            for (var i = 0u; i < children; i++) {
                store_node(slot + i, view_instance, node.child + i);
            }
            ticket = NONE;
            idle_turns = 0u;
        } else {
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
    if (tested > 0u) {
        atomicAdd(&state.nodes_tested, tested);
        atomicAdd(&state.nodes_culled_frustum, outside);
        atomicAdd(&state.nodes_culled_detail, wrong_detail);
    }
}
