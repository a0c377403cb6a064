// Hardware rasteriser: an instance a cluster, vertices pulled from the page pool, one atomicMax a fragment into the same
// visibility buffer. Corners are those of the software rasterisers, snapped to 1/256 pixel, and fragments compute
// depth by their formula, so that both draw the same samples to the last bit, and no seam is seen between them.
// Back faces, and the vertices behind the last triangle, are given no area.
import package::layout::{NONE, CLUSTER_MASKED, CLUSTER_TWO_SIDED};
import package::layout_frame::{View, BIN_HARDWARE, HARDWARE_GUARD_PIXELS, INSTANCE_MIRRORED};
import package::scene::{views, meshes, instances, view_of, instance_of};
import package::transform::{eye_to_instance, to_eye, to_view};
import package::decode::{read_cluster, read_triangle, read_position, read_material, triangle_stream, position_stream, triangle_count, has_flag};
import package::visible::{tie_hash, sample_low_word, sample_place, sample_triangle};
import package::edges::{wide_edge, depth_plane, depth_at};
import package::raster::{visible_clusters, bin_entry, project, oriented, write_sample};
import package::mask::{Mask, read_mask_vertex, corner_weights, is_sample_masked_out};

// A quarter of 1/256 pixel: adapters that cut coordinates off instead of rounding them find the same ones.
const SNAP_MARGIN: f32 = 0.25;

// Corners as the edge values have them: snapped x, y in 1/256 pixel and depth.
struct Corner {
    @builtin(position) position: vec4f,
    @location(0) @interpolate(flat) a: vec3f,
    @location(1) @interpolate(flat) b: vec3f,
    @location(2) @interpolate(flat) c: vec3f,
    @location(3) @interpolate(flat) low: u32,
    @location(4) @interpolate(flat) view: u32,
    @location(5) @interpolate(flat) is_masked: u32,
    @location(6) @interpolate(flat) is_turned: u32, // b and c have changed places since the page
}

@vertex
fn rasterize_hardware_vertex(@builtin(vertex_index) vertex: u32, @builtin(instance_index) index: u32) -> Corner {
    var corner: Corner;
    corner.position = vec4f(0.0, 0.0, 0.0, 1.0);
    let triangle = vertex / 3u;
    let entry = bin_entry(BIN_HARDWARE, index);
    if (entry.place == NONE) {
        return corner;
    }
    let cluster = read_cluster(entry.address);
    if (triangle >= triangle_count(cluster)) {
        return corner;
    }
    let view = views[view_of(entry.view_instance)];
    let instance = instances[instance_of(entry.view_instance)];
    let step = meshes[instance.mesh].step;
    let offset = eye_to_instance(instance, view);
    let stream = position_stream(entry.address, cluster);
    let is_mirrored = (instance.flags & INSTANCE_MIRRORED) != 0u;
    let indices = oriented(read_triangle(triangle_stream(entry.address, cluster), triangle), is_mirrored);
    let a = project(view, to_view(view, to_eye(instance, offset, read_position(stream, cluster, step, indices.x))));
    let b = project(view, to_view(view, to_eye(instance, offset, read_position(stream, cluster, step, indices.y))));
    let c = project(view, to_view(view, to_eye(instance, offset, read_position(stream, cluster, step, indices.z))));
    let area = wide_edge(a, b, vec2i(c.xy));
    // y points down: what faces the eye has a negative area.
    if (area == i64(0) || (area > i64(0) && !has_flag(cluster, CLUSTER_TWO_SIDED))) {
        return corner;
    }
    corner.a = a;
    corner.b = select(b, c, area < i64(0));
    corner.c = select(c, b, area < i64(0));
    let tie = tie_hash(instance_of(entry.view_instance), cluster.index);
    corner.low = sample_low_word(tie, entry.place) | triangle;
    corner.view = view_of(entry.view_instance);
    corner.is_masked = select(0u, 1u, has_flag(cluster, CLUSTER_MASKED));
    corner.is_turned = select(0u, 1u, is_mirrored != (area < i64(0)));
    let number = vertex % 3u;
    let own = select(select(corner.c, corner.b, number == 1u), corner.a, number == 0u);
    // The viewport reaches as far beyond the image as clusters may: nothing is clipped, which would move edges.
    let from_corner = own.xy + SNAP_MARGIN + 256.0 * HARDWARE_GUARD_PIXELS;
    let ndc = from_corner / (128.0 * (vec2f(view.size) + 2.0 * HARDWARE_GUARD_PIXELS)) - 1.0;
    corner.position = vec4f(ndc.x, -ndc.y, 0.0, 1.0);
    return corner;
}

// The alpha test of a fragment, whose corner values are read from the page pool.
fn is_cut_out(view: View, corner: Corner, edge_values: vec3f) -> bool {
    let entry = visible_clusters[sample_place(corner.low)];
    let cluster = read_cluster(entry.address);
    let mesh = meshes[instances[instance_of(entry.view_instance)].mesh];
    let triangle = sample_triangle(corner.low);
    let indices = oriented(read_triangle(triangle_stream(entry.address, cluster), triangle), corner.is_turned != 0u);
    let mask = Mask(
        mesh.material_base + read_material(entry.address, cluster, triangle),
        read_mask_vertex(entry.address, cluster, mesh.uv_step, indices.x),
        read_mask_vertex(entry.address, cluster, mesh.uv_step, indices.y),
        read_mask_vertex(entry.address, cluster, mesh.uv_step, indices.z),
    );
    return is_sample_masked_out(mask, corner_weights(view, edge_values, vec3f(corner.a.z, corner.b.z, corner.c.z)));
}

@fragment
fn rasterize_hardware_fragment(corner: Corner) {
    let view = views[corner.view];
    let pixel = vec2i(corner.position.xy);
    if (any(pixel >= vec2i(view.size))) {
        return;
    }
    let center = pixel * 256 + 128;
    let edge_1 = f32(wide_edge(corner.c, corner.a, center));
    let edge_2 = f32(wide_edge(corner.a, corner.b, center));
    if (corner.is_masked != 0u) {
        let edge_0 = f32(wide_edge(corner.b, corner.c, center));
        if (is_cut_out(view, corner, vec3f(edge_0, edge_1, edge_2))) {
            return;
        }
    }
    let plane = depth_plane(corner.a.z, corner.b.z, corner.c.z, f32(wide_edge(corner.a, corner.b, vec2i(corner.c.xy))));
    write_sample(view, pixel, depth_at(plane, edge_1, edge_2), corner.low);
}
