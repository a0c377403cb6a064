// The depth targets of a view, one word a pixel each:
//   scene_depth: view-space depth along the view axis, 0 where nothing is
//   velocity: movement on the screen since the last frame in pixels (x right, y down), two f16; 0 where nothing is
//   material_target: covered bit | material function << 24 | material; 0 where nothing is
import package::layout_frame::{View, VIEW_INSTANCES_MOVED};
import package::shading::{TARGET_COVERED, TARGET_SHADER_SHIFT};
import package::scene::{materials, instances, previous_instances, previous_views};
import package::transform::{eye_to_instance, to_eye, to_view, to_screen, is_orthographic};
import package::surface::{Surface};

@group(1) @binding(8) var<storage, read_write> scene_depth: array<f32>;
@group(1) @binding(9) var<storage, read_write> velocity: array<u32>;
@group(1) @binding(10) var<storage, read_write> material_target: array<u32>;

const LARGEST_HALF: f32 = 65504.0;

fn write_nothing(index: u32) {
    scene_depth[index] = 0.0;
    velocity[index] = 0u;
    material_target[index] = 0u;
}

fn write_targets(view: View, view_index: u32, index: u32, surface: Surface) {
    let moved = screen_velocity(view, view_index, surface);
    let shader = materials[surface.material].shader;
    scene_depth[index] = select(surface.depth, 1e-30, surface.depth == 0.0); // orthographic: on the eye's plane
    velocity[index] = pack2x16float(moved);
    material_target[index] = TARGET_COVERED | (shader << TARGET_SHADER_SHIFT) | surface.material;
}

// Pixels from where the surface point was in the last frame to where it is; 0 where it was not to be seen at all.
fn screen_velocity(view: View, view_index: u32, surface: Surface) -> vec2f {
    let now = instances[surface.instance_index];
    let view_before = previous_views[view_index];
    var before = now;
    if ((view.flags & VIEW_INSTANCES_MOVED) != 0u) {
        before = previous_instances[surface.instance_index];
        if (before.generation != now.generation) {
            return vec2f(0.0);
        }
    }
    let position = to_eye(before, eye_to_instance(before, view_before), surface.object_position);
    let place = to_view(view_before, position);
    if (place.z < view_before.near && !is_orthographic(view_before)) {
        return vec2f(0.0);
    }
    // The same steps for both: what rests has no velocity, to the last bit.
    let here = to_screen(view, to_view(view, to_eye(now, eye_to_instance(now, view), surface.object_position)));
    let moved = here.xy - to_screen(view_before, place).xy;
    return clamp(moved, vec2f(-LARGEST_HALF), vec2f(LARGEST_HALF));
}
