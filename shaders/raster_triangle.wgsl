// The loop of one lane over the pixels of its triangle.
import package::layout::{View};
import package::edges::{PixelBox, Edges, depth_at};
import package::raster::{write_sample};

fn draw_small(view: View, box: PixelBox, edges: Edges, low: u32) {
    for (var y = box.first.y; y <= box.last.y; y++) {
        for (var x = box.first.x; x <= box.last.x; x++) {
            let step = vec2i(x, y) - box.first;
            let value = edges.start + step.x * edges.step_x + step.y * edges.step_y;
            if (min(value.x, min(value.y, value.z)) >= 0) {
                let exact = vec2f(value.yz + edges.bias.yz);
                write_sample(view, vec2i(x, y), depth_at(edges.plane, exact.x, exact.y), low);
            }
        }
    }
}
