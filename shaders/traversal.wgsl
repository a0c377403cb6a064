// Visit one node for one instance: the decision that instance_cull and both traversals share.
import package::layout::{Node};
import package::scene::{views, instances, view_of, instance_of};
import package::transform::{eye_to_instance};
import package::lod::{combined_error, projected_error, least_projected_error};
import package::frustum::{is_outside_frustum};

const VISIT_KEPT: u32 = 0u;
const VISIT_OUTSIDE_FRUSTUM: u32 = 1u;
const VISIT_WRONG_DETAIL: u32 = 2u;

// Whether the node may hold a cluster to draw, or why not.
fn visit(view_instance: u32, node: Node) -> u32 {
    let view = views[view_of(view_instance)];
    let instance = instances[instance_of(view_instance)];
    let offset = eye_to_instance(instance, view);
    // Cheapest first: all below is finer than wanted.
    let largest = combined_error(view, node.geometric_error, node.attribute_error);
    if (projected_error(instance, offset, view, node.center, node.radius, largest) <= view.error_pixels) {
        return VISIT_WRONG_DETAIL;
    }
    // All below was made by a simplification too coarse to accept.
    let smallest = combined_error(view, node.made_by_geometric_error, node.made_by_attribute_error);
    if (least_projected_error(instance, offset, view, node.center, node.radius, smallest) > view.error_pixels) {
        return VISIT_WRONG_DETAIL;
    }
    if (is_outside_frustum(instance, offset, view, node.box_min, node.box_max)) {
        return VISIT_OUTSIDE_FRUSTUM;
    }
    return VISIT_KEPT;
}
