// Test one child of a work item: what both traversals share. An item names a node whose children wait: of the instance
// tree, whose last nodes list instances, or of a mesh's hierarchy, whose leaves are groups.
import package::layout::{NODE_LEAF, NONE};
import package::layout_frame::{Instance, NODE_BITS, INSTANCE_TREE, INSTANCE_CHILDREN, INSTANCE_BITS, PHASE_MAIN, VIEW_HAS_HISTORY, VIEW_INSTANCES_MOVED, VIEW_MOVED, TALLY_INSTANCE_NODES, TALLY_INSTANCES, TALLY_NODES, OUTCOME_KEPT, OUTCOME_FRUSTUM, OUTCOME_DETAIL, OUTCOME_SIZE, OUTCOME_OCCLUSION, OUTCOME_NONE};
import package::scene::{views, previous_views, instances, previous_instances, meshes, mesh_roots, nodes, instance_nodes, instance_order, view_of, instance_of};
import package::transform::{eye_to_instance};
import package::lod::{combined_error, projected_error, least_projected_error};
import package::frustum::{is_outside_frustum};
import package::occlusion::{project_box, covers_no_pixel, is_hidden};

override use_occlusion: bool = true;

// What became of one child. Where it is kept, `target_item` is a group to draw from or a node whose children come next.
struct Visit {
    kind: u32, // TALLY_*
    outcome: u32,
    is_group: bool,
    view_instance: u32,
    target_item: u32,
}

fn item_node(word: u32) -> u32 {
    return word & ((1u << NODE_BITS) - 1u);
}

fn item_children(word: u32) -> u32 {
    return word >> NODE_BITS;
}

// The box of a child and the space that it lies in: what all kinds of things are tested by.
struct Subject {
    instance: Instance,
    box_min: vec3f,
    box_max: vec3f,
    is_wrong_detail: bool,
}

fn visit_child(view_instance: u32, node_word: u32, child: u32, phase: u32) -> Visit {
    var visit = Visit(TALLY_NODES, OUTCOME_NONE, false, view_instance, 0u);
    var subject: Subject;
    let index = item_node(node_word);
    if (((item_children(node_word) >> child) & 1u) == 0u) {
        return visit;
    }
    if (instance_of(view_instance) != INSTANCE_TREE) {
        if (child >= nodes[index].child_count) {
            return visit;
        }
        subject = open_node(&visit, nodes[index].child + child);
    } else {
        let count = instance_nodes[index].child_count;
        let target_child = instance_nodes[index].child + child;
        if (child >= (count & ~INSTANCE_CHILDREN)) {
            return visit;
        }
        if ((count & INSTANCE_CHILDREN) != 0u) {
            subject = open_instance(&visit, instance_order[target_child]);
        } else {
            subject = open_instance_node(&visit, target_child);
        }
    }
    // One call for all kinds: lanes of different kinds go through it together.
    visit.outcome = OUTCOME_DETAIL;
    if (!subject.is_wrong_detail) {
        visit.outcome = test_box(visit.view_instance, subject.instance, subject.box_min, subject.box_max, phase);
    }
    return visit;
}

fn open_node(visit: ptr<function, Visit>, index: u32) -> Subject {
    let node = nodes[index];
    let view_instance = (*visit).view_instance;
    let view = views[view_of(view_instance)];
    let instance = instances[instance_of(view_instance)];
    let offset = eye_to_instance(instance, view);
    (*visit).is_group = node.child_count == NODE_LEAF;
    (*visit).target_item = select(index, node.child, (*visit).is_group);
    let largest = combined_error(view, node.geometric_error, node.attribute_error);
    let smallest = combined_error(view, node.made_by_geometric_error, node.made_by_attribute_error);
    // All below is finer than wanted, or was made by a simplification too coarse to accept.
    let is_wrong_detail = projected_error(instance, offset, view, node.center, node.radius, largest) <= view.error_pixels
        || least_projected_error(instance, offset, view, node.center, node.radius, smallest) > view.error_pixels;
    return Subject(instance, node.box_min, node.box_max, is_wrong_detail);
}

fn open_instance(visit: ptr<function, Visit>, slot: u32) -> Subject {
    let view_index = view_of((*visit).view_instance);
    let view = views[view_index];
    let instance = instances[slot];
    let mesh = instance.mesh;
    (*visit).kind = TALLY_INSTANCES;
    (*visit).view_instance = (view_index << INSTANCE_BITS) | slot;
    // Where every other group is too fine, the root group is all there is to draw from.
    let root = mesh_roots[mesh];
    let error = combined_error(view, root.geometric_error, root.attribute_error);
    let offset = eye_to_instance(instance, view);
    (*visit).is_group = root.group != NONE
        && projected_error(instance, offset, view, root.center, root.radius, error) <= view.error_pixels;
    (*visit).target_item = select(root.root_node, root.group, (*visit).is_group);
    return Subject(instance, meshes[mesh].box_min, meshes[mesh].box_max, false);
}

// A box of the instance tree lies in the world, and holds all instances below with what rounding may add.
fn open_instance_node(visit: ptr<function, Visit>, index: u32) -> Subject {
    let node = instance_nodes[index];
    let view = views[view_of((*visit).view_instance)];
    let spare = 5e-7 * (max(abs(node.box_min), abs(node.box_max)) + abs(view.eye_high));
    var world: Instance; // the identity
    world.linear_x = vec3f(1.0, 0.0, 0.0);
    world.linear_y = vec3f(0.0, 1.0, 0.0);
    world.linear_z = vec3f(0.0, 0.0, 1.0);
    (*visit).kind = TALLY_INSTANCE_NODES;
    (*visit).target_item = index;
    return Subject(world, node.box_min - spare, node.box_max + spare, false);
}

// The tests of a box in the space of an instance that all kinds share: frustum, a pixel at least, occlusion.
fn test_box(view_instance: u32, instance: Instance, box_min: vec3f, box_max: vec3f, phase: u32) -> u32 {
    let view_index = view_of(view_instance);
    let view = views[view_index];
    let offset = eye_to_instance(instance, view);
    if (is_outside_frustum(instance, offset, view, box_min, box_max)) {
        return OUTCOME_FRUSTUM;
    }
    var box = project_box(instance, offset, view, box_min, box_max);
    if (covers_no_pixel(box)) {
        return OUTCOME_SIZE;
    }
    if (!use_occlusion || (phase == PHASE_MAIN && (view.flags & VIEW_HAS_HISTORY) == 0u)) {
        return OUTCOME_KEPT;
    }
    if (phase == PHASE_MAIN && (view.flags & (VIEW_MOVED | VIEW_INSTANCES_MOVED)) != 0u) {
        // Where it was in the last frame. A wrong guess costs time only: the post pass asks again.
        var before = instance;
        if ((view.flags & VIEW_INSTANCES_MOVED) != 0u && instance_of(view_instance) != INSTANCE_TREE) {
            before = previous_instances[instance_of(view_instance)];
        }
        let previous = previous_views[view_index];
        box = project_box(before, eye_to_instance(before, previous), previous, box_min, box_max);
        if (covers_no_pixel(box) || before.generation != instance.generation) {
            return OUTCOME_KEPT; // was not there, or not to be seen
        }
    }
    return select(OUTCOME_KEPT, OUTCOME_OCCLUSION, !box.is_crossing && is_hidden(box, view_index, phase));
}
