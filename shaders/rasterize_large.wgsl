// Second loop of the software rasteriser: one workgroup draws one slice of a triangle that is large or must be clipped,
// tile by tile, one pixel a lane. A slice is every slice_count-th row of tiles.
import package::layout::{View, INSTANCE_MIRRORED, CLUSTER_TWO_SIDED};
import package::scene::{views, meshes, instances, view_of, instance_of};
import package::transform::{eye_to_instance, to_eye, to_view, to_screen};
import package::decode::{read_cluster, read_triangle, read_position, triangle_stream, position_stream, has_flag};
import package::visible::{tie_hash, sample_low_word, sample_place, sample_triangle};
import package::edges::{snap, tie_bias};
import package::raster::{visible_clusters, states, large_triangles, dispatch, write_sample, project, needs_clipping, oriented, slice_count};
import package::clip::{clip_polygon, clipped};

const TILE: vec2i = vec2i(16, 8); // pixels: one a lane

struct Slice {
    index: i32,
    count: i32,
    cell: vec2i, // the lane's pixel within a tile
    low: u32,
}

@compute @workgroup_size(128)
fn rasterize_large(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
) {
    let item = workgroup.y * workgroups.x + workgroup.x;
    // A folded dispatch may have workgroups too many.
    if (item >= min(atomicLoad(&states[dispatch.phase].large_triangles), arrayLength(&large_triangles))) {
        return;
    }
    let name = large_triangles[item] & 0x0fffffffu;
    let entry = visible_clusters[sample_place(name)];
    let view = views[view_of(entry.view_instance)];
    let instance = instances[instance_of(entry.view_instance)];
    let cluster = read_cluster(entry.address);
    let step = meshes[instance.mesh].step;
    let offset = eye_to_instance(instance, view);
    let is_mirrored = (instance.flags & INSTANCE_MIRRORED) != 0u;
    let indices = oriented(read_triangle(triangle_stream(entry.address, cluster), sample_triangle(name)), is_mirrored);
    let stream = position_stream(entry.address, cluster);
    let view_a = to_view(view, to_eye(instance, offset, read_position(stream, cluster, step, indices.x)));
    let view_b = to_view(view, to_eye(instance, offset, read_position(stream, cluster, step, indices.y)));
    let view_c = to_view(view, to_eye(instance, offset, read_position(stream, cluster, step, indices.z)));
    let a = project(view, view_a);
    let b = project(view, view_b);
    let c = project(view, view_c);

    var slice: Slice;
    slice.index = i32(large_triangles[item] >> 28u);
    slice.count = i32(slice_count(view, a, b, c));
    slice.cell = vec2i(vec2u(lane % u32(TILE.x), lane / u32(TILE.x)));
    let tie = tie_hash(instance_of(entry.view_instance), cluster.index);
    slice.low = sample_low_word(tie, sample_place(name)) | sample_triangle(name);
    let is_two_sided = has_flag(cluster, CLUSTER_TWO_SIDED);
    if (!needs_clipping(a, b, c)) {
        draw_facing(view, a, b, c, is_two_sided, slice);
        return;
    }
    let count = clip_polygon(view, view_a, view_b, view_c);
    for (var k = 2u; k < count; k++) {
        draw_facing(view, snap(to_screen(view, clipped[0])), snap(to_screen(view, clipped[k - 1u])),
            snap(to_screen(view, clipped[k])), is_two_sided, slice);
    }
}

// Pixels have y down, so a triangle that faces the eye (counter-clockwise, y up) has negative area as given.
fn draw_facing(view: View, a: vec3f, b: vec3f, c: vec3f, is_two_sided: bool, slice: Slice) {
    let is_back = edge(a, b, vec2i(c.xy)) > i64(0);
    if (is_back && is_two_sided) {
        draw(view, a, b, c, slice);
    } else {
        draw(view, a, c, b, slice);
    }
}

// The slice's pixels of one triangle given by snapped corners, drawn if its area is positive.
fn draw(view: View, a: vec3f, b: vec3f, c: vec3f, slice: Slice) {
    let first = max(vec2i(ceil((min(a.xy, min(b.xy, c.xy)) - 128.0) / 256.0)), vec2i(0));
    let last = min(vec2i(floor((max(a.xy, max(b.xy, c.xy)) - 128.0) / 256.0)), vec2i(view.size) - 1);
    let area = edge(a, b, vec2i(c.xy));
    if (area <= i64(0) || any(last < first)) {
        return;
    }
    let bias_0 = i64(tie_bias(b, c));
    let bias_1 = i64(tie_bias(c, a));
    let bias_2 = i64(tie_bias(a, b));
    let inverse = 1.0 / f32(area);
    for (var y = first.y + slice.index * TILE.y; y <= last.y; y += slice.count * TILE.y) {
        for (var x = first.x; x <= last.x; x += TILE.x) {
            let pixel = vec2i(x, y) + slice.cell;
            let center = pixel * 256 + 128;
            let e0 = edge(b, c, center);
            let e1 = edge(c, a, center);
            let e2 = edge(a, b, center);
            if (e0 >= bias_0 && e1 >= bias_1 && e2 >= bias_2 && all(pixel <= last)) {
                let depth = a.z + (f32(e1) * inverse * (b.z - a.z) + f32(e2) * inverse * (c.z - a.z));
                write_sample(view, pixel, depth, slice.low);
            }
        }
    }
}

// Twice the signed area of (a, b, p) in 1/65536 pixels: 64 bits, for any triangle inside the guard band.
fn edge(a: vec3f, b: vec3f, p: vec2i) -> i64 {
    let u = vec2i(b.xy) - vec2i(a.xy);
    let v = p - vec2i(a.xy);
    return i64(u.x) * i64(v.y) - i64(u.y) * i64(v.x);
}
