// Second loop of the software rasterisers: one workgroup draws one slice of a triangle that is large or must be
// clipped, tile by tile, one pixel a lane. A slice is every slice_count-th row of tiles.
import package::layout::{Cluster, CLUSTER_MASKED};
import package::layout_frame::{View, Instance, INSTANCE_MIRRORED};
import package::scene::{views, meshes, instances, view_of, instance_of};
import package::transform::{eye_to_instance, to_eye, to_view, to_screen};
import package::decode::{read_cluster, read_triangle, read_position, read_material, triangle_stream, position_stream, has_flag};
import package::visible::{tie_hash, sample_low_word, sample_place, sample_triangle};
import package::edges::{PixelBox, snap, pixel_box, tie_bias, wide_edge, depth_plane, depth_at};
import package::raster::{visible_clusters, states, dispatch, large_triangles, write_sample, project, needs_clipping, oriented, draws_both_sides};
import package::slices::{TILE, slice_count};
import package::clip::{clip_polygon, clipped};
import package::mask::{Mask, read_mask_vertex, corner_weights, is_sample_masked_out};
import package::ray::{pixel_place, ray_barycentrics};

struct Slice {
    index: i32,
    count: i32,
    cell: vec2i, // the lane's pixel within a tile
    low: u32,
}

// What the alpha test of a triangle needs. A clipped one is met by rays, for its pieces have corners of their own.
struct MaskedTriangle {
    is_masked: bool,
    is_clipped: bool,
    a: vec3f, // view space
    b: vec3f,
    c: vec3f,
    mask: Mask,
}

var<workgroup> polygon: array<vec3f, 8>; // snapped corners of what clipping has left
var<workgroup> polygon_count: u32;

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
    let name = large_triangles[item].name;
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
    slice.index = i32(large_triangles[item].slice);
    slice.count = i32(slice_count(view, a, b, c));
    slice.cell = vec2i(vec2u(lane % u32(TILE.x), lane / u32(TILE.x)));
    let tie = tie_hash(instance_of(entry.view_instance), cluster.index);
    slice.low = sample_low_word(tie, sample_place(name)) | sample_triangle(name);
    let is_two_sided = draws_both_sides(cluster);
    let is_masked = has_flag(cluster, CLUSTER_MASKED);
    var masked = MaskedTriangle(is_masked, needs_clipping(a, b, c), view_a, view_b, view_c, Mask());
    if (is_masked) {
        masked.mask = read_mask(instance, entry.address, cluster, sample_triangle(name), indices);
    }
    if (!masked.is_clipped) {
        draw_facing(view, a, b, c, is_two_sided, slice, masked);
        return;
    }
    if (lane == 0u) {
        polygon_count = clip_polygon(view, view_a, view_b, view_c);
        for (var k = 0u; k < polygon_count; k++) {
            polygon[k] = snap(to_screen(view, clipped[k]));
        }
    }
    workgroupBarrier();
    for (var k = 2u; k < polygon_count; k++) {
        draw_facing(view, polygon[0], polygon[k - 1u], polygon[k], is_two_sided, slice, masked);
    }
}

fn read_mask(instance: Instance, address: u32, cluster: Cluster, triangle: u32, indices: vec3u) -> Mask {
    let mesh = meshes[instance.mesh];
    return Mask(
        mesh.material_base + read_material(address, cluster, triangle),
        read_mask_vertex(address, cluster, mesh.uv_step, indices.x),
        read_mask_vertex(address, cluster, mesh.uv_step, indices.y),
        read_mask_vertex(address, cluster, mesh.uv_step, indices.z),
    );
}

// Pixels have y down, so a triangle that faces the eye (counter-clockwise, y up) has negative area as given.
fn draw_facing(view: View, a: vec3f, b: vec3f, c: vec3f, is_two_sided: bool, slice: Slice, masked: MaskedTriangle) {
    let is_back = wide_edge(a, b, vec2i(c.xy)) > i64(0);
    if (is_back && is_two_sided) {
        draw(view, a, b, c, slice, masked);
    } else {
        let mask = Mask(masked.mask.material, masked.mask.a, masked.mask.c, masked.mask.b);
        draw(view, a, c, b, slice, MaskedTriangle(masked.is_masked, masked.is_clipped, masked.a, masked.c, masked.b, mask));
    }
}

// The slice's pixels of one triangle given by snapped corners, drawn if its area is positive.
fn draw(view: View, a: vec3f, b: vec3f, c: vec3f, slice: Slice, masked: MaskedTriangle) {
    let box = pixel_box(a, b, c, vec2i(view.size));
    let area = wide_edge(a, b, vec2i(c.xy));
    if (area <= i64(0) || any(box.last < box.first)) {
        return;
    }
    let bias_0 = i64(tie_bias(b, c));
    let bias_1 = i64(tie_bias(c, a));
    let bias_2 = i64(tie_bias(a, b));
    // From tile to tile.
    let step_0 = i64(i32(b.y - c.y)) * i64(256 * TILE.x);
    let step_1 = i64(i32(c.y - a.y)) * i64(256 * TILE.x);
    let step_2 = i64(i32(a.y - b.y)) * i64(256 * TILE.x);
    let plane = depth_plane(a.z, b.z, c.z, f32(area));
    for (var y = box.first.y + slice.index * TILE.y; y <= box.last.y; y += slice.count * TILE.y) {
        let span = tile_span(a, b, c, y, box);
        var pixel = vec2i(span.x, y) + slice.cell;
        var e0 = wide_edge(b, c, pixel * 256 + 128);
        var e1 = wide_edge(c, a, pixel * 256 + 128);
        var e2 = wide_edge(a, b, pixel * 256 + 128);
        for (var x = span.x; x <= span.y; x += TILE.x) {
            if (e0 >= bias_0 && e1 >= bias_1 && e2 >= bias_2 && all(pixel <= box.last)) {
                let exact = vec3f(f32(e0), f32(e1), f32(e2));
                if (!masked.is_masked || !is_cut_out(view, pixel, masked, exact, vec3f(a.z, b.z, c.z))) {
                    write_sample(view, pixel, depth_at(plane, exact.y, exact.z), slice.low);
                }
            }
            pixel.x += TILE.x;
            e0 += step_0;
            e1 += step_1;
            e2 += step_2;
        }
    }
}

fn is_cut_out(view: View, pixel: vec2i, masked: MaskedTriangle, edge_values: vec3f, corner_depths: vec3f) -> bool {
    if (masked.is_clipped) {
        let place = pixel_place(view, vec2u(pixel));
        return is_sample_masked_out(masked.mask, ray_barycentrics(view, place, masked.a, masked.b, masked.c));
    }
    return is_sample_masked_out(masked.mask, corner_weights(view, edge_values, corner_depths));
}

// First and last pixel column of the box that the triangle may reach in the row of tiles at `y`.
fn tile_span(a: vec3f, b: vec3f, c: vec3f, y: i32, box: PixelBox) -> vec2i {
    let rows = 256.0 * vec2f(f32(y), f32(y + TILE.y));
    var span = 256.0 * vec2f(f32(box.first.x), f32(box.last.x));
    span = edge_span(a, b, rows, span);
    span = edge_span(b, c, rows, span);
    span = edge_span(c, a, rows, span);
    return vec2i(vec2f(floor(span.x / 256.0), ceil(span.y / 256.0)));
}

// Narrow a span of x between two heights to the inner side of the edge a -> b, with a pixel to spare for rounding.
fn edge_span(a: vec3f, b: vec3f, rows: vec2f, span: vec2f) -> vec2f {
    let u = b.xy - a.xy;
    if (u.y == 0.0) {
        return span;
    }
    let ends = a.x + (u.x / u.y) * (rows - a.y);
    let low = max(span.x, min(ends.x, ends.y) - 256.0);
    let high = min(span.y, max(ends.x, ends.y) + 256.0);
    return select(vec2f(span.x, high), vec2f(low, span.y), u.y < 0.0);
}
