// The other traversal: one indirect dispatch for each level of the BVHs. It needs no promise about the
// progress of threads, and must find the same groups as persistent_cull.
import package::layout::{NONE, NODE_LEAF};
import package::scene::{nodes};
import package::queue::{state, node_queue, node_capacity, level_counts, level_start, reserve_nodes, store_node, push_group};
import package::subgroup::{is_first_lane};
import package::traversal::{visit, VISIT_KEPT, VISIT_OUTSIDE_FRUSTUM, VISIT_WRONG_DETAIL};

struct LevelsCull {
    level: u32,
}
var<immediate> dispatch: LevelsCull;

@compute @workgroup_size(64)
fn levels_cull(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
) {
    let index = (workgroup.y * workgroups.x + workgroup.x) * 64u + lane;
    let start = level_start(dispatch.level);
    let count = atomicLoad(&level_counts[dispatch.level]);
    let slot = start + index;
    let is_real = index < count && slot < node_capacity();
    var outcome = VISIT_WRONG_DETAIL;
    var view_instance = 0u;
    var child = 0u;
    var child_count = 0u;
    if (is_real) {
        view_instance = atomicLoad(&node_queue[2u * slot]);
        let node = nodes[atomicLoad(&node_queue[2u * slot + 1u])];
        atomicStore(&node_queue[2u * slot], NONE);
        atomicStore(&node_queue[2u * slot + 1u], NONE);
        outcome = visit(view_instance, node);
        child = node.child;
        child_count = select(0u, node.child_count, outcome == VISIT_KEPT);
    }
    push_group(outcome == VISIT_KEPT && child_count == NODE_LEAF, view_instance, child);
    let place = reserve_nodes(dispatch.level + 1u, start + count, child_count, 0u);
    for (var i = 0u; i < child_count; i++) {
        store_node(place + i, view_instance, child + i);
    }
    let tested = subgroupAdd(select(0u, 1u, is_real));
    let outside = subgroupAdd(select(0u, 1u, is_real && outcome == VISIT_OUTSIDE_FRUSTUM));
    let wrong_detail = subgroupAdd(select(0u, 1u, is_real && outcome == VISIT_WRONG_DETAIL));
    if (is_first_lane()) {
        atomicAdd(&state.nodes_tested, tested);
        atomicAdd(&state.nodes_culled_frustum, outside);
        atomicAdd(&state.nodes_culled_detail, wrong_detail);
    }
}
