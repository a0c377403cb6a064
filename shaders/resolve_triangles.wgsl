// From the depth buffer and the triangle names of draw_triangles to the samples of the visibility buffer.
import package::layout_frame::{DrawnInstance};
import package::visible::{sample_low_word, TRIANGLE_BITS};

@group(0) @binding(0) var depth_target: texture_depth_2d;
@group(0) @binding(1) var name_target: texture_2d<u32>; // drawn instance, triangle of its draw
@group(0) @binding(2) var<storage, read> drawn_instances: array<DrawnInstance>;
@group(0) @binding(3) var<storage, read> triangle_names: array<u32>; // source cluster of its mesh << 7 | triangle of it
@group(0) @binding(4) var<storage, read_write> visibility: array<vec2u>;

@compute @workgroup_size(8, 8)
fn resolve_triangles(@builtin(global_invocation_id) id: vec3u) {
    let size = textureDimensions(depth_target);
    if (any(id.xy >= size)) {
        return;
    }
    let depth = textureLoad(depth_target, id.xy, 0);
    if (depth == 0.0) {
        return; // nothing is there, and init_context has emptied the buffer
    }
    let name = textureLoad(name_target, id.xy, 0);
    let drawn = drawn_instances[name.x];
    let triangle = triangle_names[drawn.first_triangle + name.y];
    let cluster = triangle >> TRIANGLE_BITS;
    let low = sample_low_word(0u, drawn.first_place + cluster) | (triangle & ((1u << TRIANGLE_BITS) - 1u));
    visibility[id.y * size.x + id.x] = vec2u(low, bitcast<u32>(depth));
}
