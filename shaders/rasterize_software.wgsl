// Software rasteriser: one workgroup a cluster. Vertices are decoded once into workgroup memory, then one lane takes
// one triangle in 1/256-pixel fixed point with the top-left rule. Triangles of more than SMALL_PIXELS, and those
// that must be clipped, are left to rasterize_large.
import package::layout::{View, INSTANCE_MIRRORED, CLUSTER_TWO_SIDED, MAX_CLUSTER_TRIANGLES, MAX_CLUSTER_VERTICES, DISPATCH_FOLD};
import package::scene::{views, meshes, instances, view_of, instance_of};
import package::transform::{eye_to_instance, to_eye, to_view};
import package::decode::{read_cluster, read_triangle, read_position, triangle_stream, position_stream, vertex_count, triangle_count, has_flag};
import package::visible::{tie_hash, sample_low_word, TRIANGLE_BITS};
import package::edges::{Edges, make_edges};
import package::raster::{visible_clusters, states, large_triangles, dispatch, visible_range, write_sample, project, needs_clipping, oriented, slice_count};

@group(1) @binding(5) var<storage, read_write> large_arguments: array<atomic<u32>>; // dispatch of rasterize_large

const LANES: u32 = MAX_CLUSTER_TRIANGLES;
const SMALL_PIXELS: i32 = 32; // largest width and height of what a lane draws alone

var<workgroup> corners: array<vec3f, MAX_CLUSTER_VERTICES>; // snapped x, y in 1/256 pixel (exact in f32), depth value

fn draw_small(view: View, edges: Edges, low: u32) {
    for (var y = edges.first.y; y <= edges.last.y; y++) {
        for (var x = edges.first.x; x <= edges.last.x; x++) {
            let step = vec2i(x, y) - edges.first;
            let value = edges.start + step.x * edges.step_x + step.y * edges.step_y;
            if (min(value.x, min(value.y, value.z)) >= 0) {
                let weights = vec2f(value.yz + edges.bias.yz);
                write_sample(view, vec2i(x, y), edges.depth + (weights.x * edges.depth_1 + weights.y * edges.depth_2), low);
            }
        }
    }
}

// Leave a triangle to rasterize_large, in as many slices as its height asks for.
fn leave(name: u32, slices: u32) {
    let first = atomicAdd(&states[dispatch.phase].large_triangles, slices);
    let stored = min(first + slices, arrayLength(&large_triangles));
    for (var i = first; i < stored; i++) {
        large_triangles[i] = ((i - first) << 28u) | name;
    }
    atomicMax(&large_arguments[0], min(stored, DISPATCH_FOLD));
    atomicMax(&large_arguments[1], (stored + DISPATCH_FOLD - 1u) / DISPATCH_FOLD);
}

@compute @workgroup_size(MAX_CLUSTER_TRIANGLES)
fn rasterize_software(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
) {
    let range = visible_range();
    let place = range.x + workgroup.y * workgroups.x + workgroup.x;
    // A folded dispatch may have workgroups too many.
    if (place >= range.y) {
        return;
    }
    let entry = visible_clusters[place];
    let view = views[view_of(entry.view_instance)];
    let instance = instances[instance_of(entry.view_instance)];
    let cluster = read_cluster(entry.address);
    let step = meshes[instance.mesh].step;
    let offset = eye_to_instance(instance, view);
    let positions = position_stream(entry.address, cluster);
    for (var i = lane; i < vertex_count(cluster); i += LANES) {
        let p = to_eye(instance, offset, read_position(positions, cluster, step, i));
        corners[i] = project(view, to_view(view, p));
    }
    workgroupBarrier();

    if (lane < triangle_count(cluster)) {
        let is_mirrored = (instance.flags & INSTANCE_MIRRORED) != 0u;
        let indices = oriented(read_triangle(triangle_stream(entry.address, cluster), lane), is_mirrored);
        let a = corners[indices.x];
        let b = corners[indices.y];
        let c = corners[indices.z];
        let name = (place << TRIANGLE_BITS) | lane;
        if (needs_clipping(a, b, c)) {
            leave(name, slice_count(view, a, b, c));
            return;
        }
        let edges = make_edges(a, b, c, has_flag(cluster, CLUSTER_TWO_SIDED), vec2i(view.size));
        if (!edges.is_drawn) {
            return;
        }
        if (edges.is_small && all(edges.last - edges.first < vec2i(SMALL_PIXELS))) {
            draw_small(view, edges, sample_low_word(tie_hash(instance_of(entry.view_instance), cluster.index), place) | lane);
        } else {
            leave(name, slice_count(view, a, b, c));
        }
    }
}
