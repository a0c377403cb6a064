// Triangles as any renderer draws them: positions from a vertex buffer, indices, a depth test. The colour target
// gets what names the triangle: the drawn instance, and the number of the triangle in its draw.
enable primitive_index;
import package::layout_frame::{DrawnInstance};
import package::scene::{views, instances};
import package::transform::{eye_to_instance, to_eye, to_view, is_orthographic};

@group(1) @binding(0) var<storage, read> drawn_instances: array<DrawnInstance>;

struct Corner {
    @builtin(position) position: vec4f,
    @location(0) @interpolate(flat) drawn: u32,
}

@vertex
fn draw_triangles_vertex(@location(0) position: vec3f, @builtin(instance_index) drawn: u32) -> Corner {
    let view = views[0];
    let instance = instances[drawn_instances[drawn].slot];
    let p = to_view(view, to_eye(instance, eye_to_instance(instance, view), position));
    let plane = vec2f(p.x * view.scale_x, p.y * view.scale_y);
    if (is_orthographic(view)) {
        return Corner(vec4f(plane, (view.far - p.z) / (view.far - view.near), 1.0), drawn);
    }
    return Corner(vec4f(plane, view.near, p.z), drawn); // reverse Z without a far plane
}

@fragment
fn draw_triangles_fragment(corner: Corner, @builtin(primitive_index) triangle: u32) -> @location(0) vec2u {
    return vec2u(corner.drawn, triangle);
}
