// Each instance: is its root node worth entering? Survivors push the root's children, or its group.
import package::layout::{NODE_LEAF, INSTANCE_BITS, NONE};
import package::scene::{instances, meshes, nodes};
import package::queue::{state, reserve_nodes, store_node, push_group};
import package::subgroup::{is_first_lane};
import package::traversal::{visit, VISIT_KEPT, VISIT_OUTSIDE_FRUSTUM, VISIT_WRONG_DETAIL};

struct InstanceCull {
    instance_count: u32,
    view: u32,
}
var<immediate> dispatch: InstanceCull;

@compute @workgroup_size(64)
fn instance_cull(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
) {
    let index = (workgroup.y * workgroups.x + workgroup.x) * 64u + lane;
    var is_real = index < dispatch.instance_count;
    if (is_real) {
        is_real = instances[index].mesh != NONE; // a freed slot
    }
    let view_instance = (dispatch.view << INSTANCE_BITS) | index;
    var outcome = VISIT_WRONG_DETAIL;
    var child = 0u;
    var child_count = 0u;
    if (is_real) {
        let root = nodes[meshes[instances[index].mesh].root_node];
        outcome = visit(view_instance, root);
        child = root.child;
        child_count = select(0u, root.child_count, outcome == VISIT_KEPT);
    }
    push_group(outcome == VISIT_KEPT && child_count == NODE_LEAF, view_instance, child);
    let slot = reserve_nodes(0u, 0u, child_count, 0u);
    for (var i = 0u; i < child_count; i++) {
        store_node(slot + i, view_instance, child + i);
    }
    let tested = subgroupAdd(select(0u, 1u, is_real));
    let outside = subgroupAdd(select(0u, 1u, is_real && outcome == VISIT_OUTSIDE_FRUSTUM));
    let small = subgroupAdd(select(0u, 1u, is_real && outcome == VISIT_WRONG_DETAIL));
    if (is_first_lane()) {
        atomicAdd(&state.instances_tested, tested);
        atomicAdd(&state.instances_culled_frustum, outside);
        atomicAdd(&state.instances_culled_size, small);
    }
}
