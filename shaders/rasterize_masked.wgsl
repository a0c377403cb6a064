// Software rasteriser of clusters with an alpha test: what the test needs of a vertex lies in workgroup memory as well.
import package::layout::{NONE, MAX_CLUSTER_TRIANGLES, MAX_CLUSTER_VERTICES};
import package::layout_frame::{View, BIN_MASKED};
import package::scene::{meshes};
import package::decode::{triangle_count, vertex_count, read_material};
import package::edges::{PixelBox, Edges, row_span, depth_at};
import package::raster::{bin_entry, write_sample};
import package::raster_cluster::{Drawn, corners, open_cluster, decode_corners, corner_indices, set_up};
import package::mask::{Mask, read_mask_vertex, corner_weights, is_sample_masked_out};

var<workgroup> mask_values: array<vec3f, MAX_CLUSTER_VERTICES>; // u, v, vertex alpha

fn draw_masked(view: View, box: PixelBox, edges: Edges, corner_depths: vec3f, mask: Mask, low: u32) {
    for (var y = box.first.y; y <= box.last.y; y++) {
        let row = edges.start + (y - box.first.y) * edges.step_y;
        let span = row_span(row, edges.step_x, box.last.x - box.first.x);
        for (var i = span.x; i <= span.y; i++) {
            let value = row + i * edges.step_x;
            if (min(value.x, min(value.y, value.z)) >= 0) {
                let exact = vec3f(value + edges.bias);
                if (!is_sample_masked_out(mask, corner_weights(view, exact, corner_depths))) {
                    write_sample(view, vec2i(box.first.x + i, y), depth_at(edges.plane, exact.y, exact.z), low);
                }
            }
        }
    }
}

fn draw_triangle(drawn: Drawn, triangle: u32) {
    let given = corner_indices(drawn, triangle);
    let setup = set_up(drawn, triangle, corners[given.x], corners[given.y], corners[given.z]);
    if (!setup.is_drawn) {
        return;
    }
    let indices = select(given, given.xzy, setup.edges.is_front); // as the edges have them
    let corner_depths = vec3f(corners[indices.x].z, corners[indices.y].z, corners[indices.z].z);
    let material = meshes[drawn.instance.mesh].material_base + read_material(drawn.address, drawn.cluster, triangle);
    let mask = Mask(material, mask_values[indices.x], mask_values[indices.y], mask_values[indices.z]);
    draw_masked(drawn.view, setup.box, setup.edges, corner_depths, mask, drawn.low | triangle);
}

@compute @workgroup_size(MAX_CLUSTER_TRIANGLES)
fn rasterize_masked(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
) {
    let entry = bin_entry(BIN_MASKED, workgroup.y * workgroups.x + workgroup.x);
    if (entry.place == NONE) {
        return; // a folded dispatch may have workgroups too many
    }
    let drawn = open_cluster(entry);
    decode_corners(drawn, 0u, lane, MAX_CLUSTER_TRIANGLES);
    let uv_step = meshes[drawn.instance.mesh].uv_step;
    for (var i = lane; i < vertex_count(drawn.cluster); i += MAX_CLUSTER_TRIANGLES) {
        mask_values[i] = read_mask_vertex(drawn.address, drawn.cluster, uv_step, i);
    }
    workgroupBarrier();
    if (lane < triangle_count(drawn.cluster)) {
        draw_triangle(drawn, lane);
    }
}
