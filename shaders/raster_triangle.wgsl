// The loop of one lane over the pixels of its triangle.
import package::layout_frame::{View};
import package::edges::{PixelBox, Edges, row_span, depth_at};
import package::raster::{write_sample};

fn draw_small(view: View, box: PixelBox, edges: Edges, low: u32) {
    for (var y = box.first.y; y <= box.last.y; y++) {
        let row = edges.start + (y - box.first.y) * edges.step_y;
        let span = row_span(row, edges.step_x, box.last.x - box.first.x);
        for (var i = span.x; i <= span.y; i++) {
            let value = row + i * edges.step_x;
            if (min(value.x, min(value.y, value.z)) >= 0) {
                let exact = vec2f(value.yz + edges.bias.yz);
                write_sample(view, vec2i(box.first.x + i, y), depth_at(edges.plane, exact.x, exact.y), low);
            }
        }
    }
}
