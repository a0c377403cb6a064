// What the software rasterisers that take whole clusters share. Vertices are decoded once into workgroup memory, then
// one lane takes one triangle in 1/256-pixel fixed point with the top-left rule. Triangles of more than SMALL_PIXELS, and
// those that must be clipped, are left to rasterize_large.
import package::layout::{Cluster};
import package::layout_frame::{View, Instance, BinEntry, LargeTriangle, INSTANCE_MIRRORED, DISPATCH_FOLD};
import package::scene::{views, meshes, instances, view_of, instance_of};
import package::transform::{eye_to_instance, to_eye, to_view};
import package::decode::{read_cluster, read_triangle, read_position, triangle_stream, position_stream, vertex_count};
import package::visible::{tie_hash, sample_low_word, TRIANGLE_BITS};
import package::edges::{PixelBox, Edges, pixel_box, is_small_span, doubled_area, make_edges};
import package::raster::{states, dispatch, large_triangles, project, needs_clipping, oriented, draws_both_sides};
import package::slices::{slice_count};

@group(1) @binding(7) var<storage, read_write> large_arguments: array<atomic<u32>>; // dispatch of rasterize_large

const SMALL_PIXELS: i32 = 32; // largest width and height of what a lane draws alone
const MAX_CORNERS_SHARED: u32 = 384u; // three for each lane

var<workgroup> corners: array<vec3f, MAX_CORNERS_SHARED>; // snapped x, y in 1/256 pixel (exact in f32), depth value

// A cluster that is drawn.
struct Drawn {
    place: u32,
    address: u32,
    view: View,
    instance: Instance,
    cluster: Cluster,
    low: u32, // of its samples, without the triangle
}

fn open_cluster(entry: BinEntry) -> Drawn {
    var drawn: Drawn;
    drawn.place = entry.place;
    drawn.address = entry.address;
    drawn.view = views[view_of(entry.view_instance)];
    drawn.instance = instances[instance_of(entry.view_instance)];
    drawn.cluster = read_cluster(entry.address);
    drawn.low = sample_low_word(tie_hash(instance_of(entry.view_instance), drawn.cluster.index), entry.place);
    return drawn;
}

// Decode the vertices lane, lane + lanes, ... into `corners` from `base` on. A barrier must follow.
fn decode_corners(drawn: Drawn, base: u32, lane: u32, lanes: u32) {
    let step = meshes[drawn.instance.mesh].step;
    let offset = eye_to_instance(drawn.instance, drawn.view);
    let positions = position_stream(drawn.address, drawn.cluster);
    for (var i = lane; i < vertex_count(drawn.cluster); i += lanes) {
        let p = to_eye(drawn.instance, offset, read_position(positions, drawn.cluster, step, i));
        corners[base + i] = project(drawn.view, to_view(drawn.view, p));
    }
}

fn corner_indices(drawn: Drawn, triangle: u32) -> vec3u {
    let is_mirrored = (drawn.instance.flags & INSTANCE_MIRRORED) != 0u;
    return oriented(read_triangle(triangle_stream(drawn.address, drawn.cluster), triangle), is_mirrored);
}

// A triangle as a lane draws it: its pixels and its edges, if it is one for a lane and is seen.
struct Setup {
    is_drawn: bool,
    box: PixelBox,
    edges: Edges,
}

fn set_up(drawn: Drawn, triangle: u32, a: vec3f, b: vec3f, c: vec3f) -> Setup {
    var setup: Setup;
    let name = (drawn.place << TRIANGLE_BITS) | triangle;
    if (needs_clipping(a, b, c)) {
        leave(name, slice_count(drawn.view, a, b, c));
        return setup;
    }
    setup.box = pixel_box(a, b, c, vec2i(drawn.view.size));
    if (any(setup.box.last < setup.box.first)) {
        return setup;
    }
    if (!is_small_span(a, b, c) || any(setup.box.last - setup.box.first >= vec2i(SMALL_PIXELS))) {
        leave(name, slice_count(drawn.view, a, b, c));
        return setup;
    }
    let area = doubled_area(a, b, c);
    setup.is_drawn = area < 0 || (area > 0 && draws_both_sides(drawn.cluster));
    if (setup.is_drawn) {
        setup.edges = make_edges(a, b, c, area, setup.box.first);
    }
    return setup;
}

// Leave a triangle to rasterize_large, in as many pieces as it asks for.
fn leave(name: u32, slices: u32) {
    if (slices == 0u) {
        return;
    }
    let first = atomicAdd(&states[dispatch.phase].large_triangles, slices);
    let stored = min(first + slices, arrayLength(&large_triangles));
    for (var i = first; i < stored; i++) {
        large_triangles[i] = LargeTriangle(name, i - first);
    }
    atomicMax(&large_arguments[0], min(stored, DISPATCH_FOLD));
    atomicMax(&large_arguments[1], (stored + DISPATCH_FOLD - 1u) / DISPATCH_FOLD);
}
