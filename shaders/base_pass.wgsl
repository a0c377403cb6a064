// The G-buffer: what the material function in `package::material` (a file in shaders/materials or in a folder of the user's)
// says about each pixel.
import package::layout_frame::{VisibleCluster, DISPATCH_FOLD};
import package::scene::{views};
import package::visible::{sample_place, sample_triangle};
import package::surface::{reconstruct};
import package::targets::{write_targets, write_nothing};
import package::gbuffer::{pack_color, pack_shape};
import package::bins::{BinRange, listed_pixel};
import package::material::{material};

struct BasePass {
    view: u32,
    shader: u32, // number of the material function: its bin
}
var<immediate> dispatch: BasePass;

@group(1) @binding(0) var<storage, read> visible_clusters: array<VisibleCluster>;
@group(1) @binding(1) var<storage, read> visibility: array<vec2u>; // low word, depth bits
@group(1) @binding(2) var<storage, read> bin_ranges: array<BinRange>;
@group(1) @binding(3) var<storage, read> binned_pixels: array<u32>;
@group(1) @binding(4) var<storage, read_write> surface_color: array<vec2u>;
@group(1) @binding(5) var<storage, read_write> surface_shape: array<vec2u>;

override from_bins: bool = false; // the pixels of one bin; else all, in tiles of 8 x 8
override writes_targets: bool = true; // in place of emit_depth_targets

@compute @workgroup_size(64)
fn base_pass(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let view = views[dispatch.view];
    var pixel = 8u * workgroup.xy + vec2u(lane & 7u, lane >> 3u);
    if (from_bins) {
        let range = bin_ranges[dispatch.shader];
        let place = (workgroup.y * DISPATCH_FOLD + workgroup.x) * 64u + lane;
        if (place >= range.count) {
            return;
        }
        pixel = listed_pixel(binned_pixels[range.start + place]);
    } else if (any(pixel >= view.size)) {
        return;
    }
    let index = pixel.y * view.size.x + pixel.x;
    let sample = visibility[view.first_pixel + index];
    if (sample.y == 0u) {
        if (writes_targets) {
            write_nothing(index);
        }
        return;
    }
    let surface = reconstruct(pixel, visible_clusters[sample_place(sample.x)], sample_triangle(sample.x));
    if (writes_targets) {
        write_targets(view, dispatch.view, index, surface);
    }
    let result = material(surface);
    surface_color[index] = pack_color(result);
    surface_shape[index] = pack_shape(result);
}
