// Software rasteriser: one workgroup a cluster. Vertices are decoded once into workgroup memory, then one lane takes
// one triangle in 1/256-pixel fixed point with the top-left rule. Triangles of more than a few tiles, and those that
// must be clipped, are drawn by all lanes together.
import package::layout::{View, Instance, Mesh, Cluster, VisibleCluster, PassState, INSTANCE_MIRRORED, CLUSTER_TWO_SIDED, MAX_CLUSTER_TRIANGLES};
import package::scene::{views, meshes, instances, view_of, instance_of};
import package::transform::{eye_to_instance, to_eye, to_view, to_screen};
import package::decode::{read_cluster, read_triangle, read_position, triangle_stream, position_stream, vertex_count, triangle_count, has_flag};
import package::visible::{tie_hash, sample_low_word};
import package::edges::{Edges, make_edges, snap, tie_bias};
import package::clip::{clip_polygon, clipped};

@group(1) @binding(0) var<storage, read> visible_clusters: array<VisibleCluster>;
@group(1) @binding(1) var<storage, read_write> visibility: array<atomic<u64>>;
@group(1) @binding(2) var<storage, read_write> overdraw: array<atomic<u32>>;
@group(1) @binding(3) var<storage, read_write> state: PassState;

override count_overdraw: bool = false;

const LANES: u32 = 128u;
const SMALL_PIXELS: i32 = 32; // a lane alone takes triangles up to this size on both axes
const GUARD: f32 = 30000.0; // pixels; corners farther out are clipped, so that fixed point holds
const CLIP_BIT: u32 = 0x80000000u; // in large_triangles
const TILE: vec2i = vec2i(16, 8);

const MUST_CLIP: f32 = -1.0; // as depth value: the corner lies before the near plane or outside the guard band

var<workgroup> screen_positions: array<vec3f, 255>; // snapped x, y in 1/256 pixel (exact in f32), depth value
var<workgroup> large_triangles: array<u32, 128>;
var<workgroup> large_count: atomic<u32>;

fn write_sample(view: View, pixel: vec2i, depth: f32, low: u32) {
    let index = view.first_pixel + u32(pixel.y) * view.size.x + u32(pixel.x);
    atomicMax(&visibility[index], (u64(bitcast<u32>(depth)) << 32u) | u64(low));
    if (count_overdraw) {
        atomicAdd(&overdraw[index], 1u);
    }
}

// Snapped position of a corner in view space; depth MUST_CLIP where fixed point would not hold it.
fn project(view: View, p: vec3f) -> vec3f {
    let corner = snap(to_screen(view, p));
    let is_far_out = !(max(abs(corner.x), abs(corner.y)) <= GUARD * 256.0);
    return vec3f(corner.xy, select(corner.z, MUST_CLIP, p.z < view.near || is_far_out));
}

fn draw_small(view: View, edges: Edges, low: u32) {
    for (var y = edges.first.y; y <= edges.last.y; y++) {
        for (var x = edges.first.x; x <= edges.last.x; x++) {
            let step = vec2i(x, y) - edges.first;
            let e0 = edges.start.x + step.x * edges.step_x.x + step.y * edges.step_y.x;
            let e1 = edges.start.y + step.x * edges.step_x.y + step.y * edges.step_y.y;
            let e2 = edges.start.z + step.x * edges.step_x.z + step.y * edges.step_y.z;
            if (min(e0, min(e1, e2)) >= 0) {
                let depth = edges.depth + (f32(e1 + edges.bias.y) * edges.depth_1 + f32(e2 + edges.bias.z) * edges.depth_2);
                write_sample(view, vec2i(x, y), depth, low);
            }
        }
    }
}

// All lanes: the pixels of one triangle given by snapped corners, in tiles of one pixel a lane.
fn draw_large(view: View, a: vec3f, b: vec3f, c: vec3f, lane: u32, low: u32) {
    let first = max(vec2i(ceil((min(a.xy, min(b.xy, c.xy)) - 128.0) / 256.0)), vec2i(0));
    let last = min(vec2i(floor((max(a.xy, max(b.xy, c.xy)) - 128.0) / 256.0)), vec2i(view.size) - 1);
    let area = edge_64(a, b, vec2i(c.xy));
    if (area <= i64(0) || any(last < first)) {
        return;
    }
    let bias = vec3i(tie_bias(b, c), tie_bias(c, a), tie_bias(a, b));
    let inverse = 1.0 / f32(area);
    let cell = vec2i(vec2u(lane % u32(TILE.x), lane / u32(TILE.x)));
    for (var y = first.y; y <= last.y; y += TILE.y) {
        for (var x = first.x; x <= last.x; x += TILE.x) {
            let pixel = vec2i(x, y) + cell;
            let center = pixel * 256 + 128;
            let e0 = edge_64(b, c, center);
            let e1 = edge_64(c, a, center);
            let e2 = edge_64(a, b, center);
            let inside = e0 >= i64(bias.x) && e1 >= i64(bias.y) && e2 >= i64(bias.z);
            if (inside && all(pixel <= last)) {
                let depth = a.z + (f32(e1) * inverse * (b.z - a.z) + f32(e2) * inverse * (c.z - a.z));
                write_sample(view, pixel, depth, low);
            }
        }
    }
}

// Twice the signed area of (a, b, p) in 1/65536 pixels: 64 bits, for any triangle inside the guard band.
fn edge_64(a: vec3f, b: vec3f, p: vec2i) -> i64 {
    let u = vec2i(b.xy) - vec2i(a.xy);
    let v = p - vec2i(a.xy);
    return i64(u.x) * i64(v.y) - i64(u.y) * i64(v.x);
}

@compute @workgroup_size(128)
fn rasterize_software(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
) {
    let place = workgroup.y * workgroups.x + workgroup.x;
    // A folded dispatch may have workgroups too many.
    if (place >= min(atomicLoad(&state.visible_clusters), arrayLength(&visible_clusters))) {
        return;
    }
    let entry = visible_clusters[place];
    let view = views[view_of(entry.view_instance)];
    let instance = instances[instance_of(entry.view_instance)];
    let cluster = read_cluster(entry.address);
    let low = sample_low_word(tie_hash(instance_of(entry.view_instance), cluster.index), place);
    if (lane == 0u) {
        atomicStore(&large_count, 0u);
    }
    let step = meshes[instance.mesh].step;
    let offset = eye_to_instance(instance, view);
    let positions = position_stream(entry.address, cluster);
    for (var i = lane; i < vertex_count(cluster); i += LANES) {
        let p = to_eye(instance, offset, read_position(positions, cluster, step, i));
        screen_positions[i] = project(view, to_view(view, p));
    }
    workgroupBarrier();

    let is_two_sided = has_flag(cluster, CLUSTER_TWO_SIDED);
    let is_mirrored = (instance.flags & INSTANCE_MIRRORED) != 0u;
    let triangles = triangle_stream(entry.address, cluster);
    if (lane < triangle_count(cluster)) {
        let corners = oriented(read_triangle(triangles, lane), is_mirrored);
        let a = screen_positions[corners.x];
        let b = screen_positions[corners.y];
        let c = screen_positions[corners.z];
        if (min(a.z, min(b.z, c.z)) < 0.0) {
            large_triangles[atomicAdd(&large_count, 1u)] = lane | CLIP_BIT;
        } else {
            let edges = make_edges(a, b, c, is_two_sided, vec2i(view.size));
            if (edges.is_drawn) {
                if (all(edges.last - edges.first < vec2i(SMALL_PIXELS)) && edges.is_small) {
                    draw_small(view, edges, low | lane);
                } else {
                    large_triangles[atomicAdd(&large_count, 1u)] = lane;
                }
            }
        }
    }
    workgroupBarrier();

    let count = atomicLoad(&large_count);
    for (var i = 0u; i < count; i++) {
        let triangle = large_triangles[i] & ~CLIP_BIT;
        let corners = oriented(read_triangle(triangles, triangle), is_mirrored);
        if ((large_triangles[i] & CLIP_BIT) == 0u) {
            draw_facing(view, screen_positions[corners.x], screen_positions[corners.y], screen_positions[corners.z],
                is_two_sided, lane, low | triangle);
            continue;
        }
        var in_view: array<vec3f, 3>;
        for (var k = 0u; k < 3u; k++) {
            in_view[k] = to_view(view, to_eye(instance, offset, read_position(positions, cluster, step, corners[k])));
        }
        let corner_count = clip_polygon(view, in_view[0], in_view[1], in_view[2]);
        for (var k = 2u; k < corner_count; k++) {
            draw_facing(view, snap(to_screen(view, clipped[0])), snap(to_screen(view, clipped[k - 1u])),
                snap(to_screen(view, clipped[k])), is_two_sided, lane, low | triangle);
        }
    }
}

// A mirrored instance turns its triangles over: two corners change places before any rule looks at them.
fn oriented(corners: vec3u, is_mirrored: bool) -> vec3u {
    return select(corners, corners.xzy, is_mirrored);
}

fn draw_facing(view: View, a: vec3f, b: vec3f, c: vec3f, is_two_sided: bool, lane: u32, low: u32) {
    // Pixels have y down, so a triangle that faces the eye (counter-clockwise, y up) has negative area as given.
    let is_back = edge_64(a, b, vec2i(c.xy)) > i64(0);
    if (is_back && is_two_sided) {
        draw_large(view, a, b, c, lane, low);
    } else {
        draw_large(view, a, c, b, lane, low);
    }
}
