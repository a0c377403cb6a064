// Scene depth, velocity and material of every pixel from the visibility buffer. Where a scene has one material
// function, base_pass writes the same targets itself.
import package::layout_frame::{VisibleCluster};
import package::scene::{views};
import package::visible::{sample_place, sample_triangle};
import package::surface::{reconstruct};
import package::targets::{write_targets, write_nothing};

struct EmitDepthTargets {
    view: u32,
}
var<immediate> dispatch: EmitDepthTargets;

@group(1) @binding(0) var<storage, read> visible_clusters: array<VisibleCluster>;
@group(1) @binding(1) var<storage, read> visibility: array<vec2u>; // low word, depth bits

@compute @workgroup_size(8, 8)
fn emit_depth_targets(@builtin(global_invocation_id) id: vec3u) {
    let view = views[dispatch.view];
    if (any(id.xy >= view.size)) {
        return;
    }
    let index = id.y * view.size.x + id.x;
    let sample = visibility[view.first_pixel + index];
    if (sample.y == 0u) {
        write_nothing(index);
        return;
    }
    let surface = reconstruct(id.xy, visible_clusters[sample_place(sample.x)], sample_triangle(sample.x));
    write_targets(view, dispatch.view, index, surface);
}
