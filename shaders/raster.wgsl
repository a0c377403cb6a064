// What both software raster passes share: their bindings, the corners of a triangle on the screen, and the sample.
import package::layout::{View, VisibleCluster, PassState, PHASE_MAIN, PHASE_POST};
import package::transform::{to_screen};
import package::edges::{snap, GUARD_PIXELS};

@group(1) @binding(0) var<storage, read> visible_clusters: array<VisibleCluster>;
@group(1) @binding(1) var<storage, read_write> visibility: array<atomic<u64>>;
@group(1) @binding(2) var<storage, read_write> overdraw: array<atomic<u32>>;
@group(1) @binding(3) var<storage, read_write> states: array<PassState, 2>;
@group(1) @binding(4) var<storage, read_write> large_triangles: array<u32>; // slice << 28 | place << 7 | triangle

struct Raster {
    phase: u32,
}
var<immediate> dispatch: Raster;

override count_overdraw: bool = false;

const MUST_CLIP: f32 = -1.0; // as depth value: the corner lies before the near plane or outside the guard band
const SLICE_PIXELS: f32 = 64.0; // height of the part of a large triangle that one workgroup draws
const MAX_SLICES: u32 = 16u;

// Where in the list the clusters of this pass begin and end.
fn visible_range() -> vec2u {
    let main = atomicLoad(&states[PHASE_MAIN].visible_clusters);
    let post = atomicLoad(&states[PHASE_POST].visible_clusters);
    let range = select(vec2u(0u, main), vec2u(main, main + post), dispatch.phase == PHASE_POST);
    return min(range, vec2u(arrayLength(&visible_clusters)));
}

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
    let is_inside = all(corner.xy >= vec2f(-256.0 * GUARD_PIXELS))
        && all(corner.xy <= 256.0 * (vec2f(view.size) + GUARD_PIXELS));
    return vec3f(corner.xy, select(MUST_CLIP, corner.z, p.z >= view.near && is_inside));
}

fn needs_clipping(a: vec3f, b: vec3f, c: vec3f) -> bool {
    return min(a.z, min(b.z, c.z)) < 0.0;
}

// A mirrored instance turns its triangles over: two corners change places before any rule looks at them.
fn oriented(corners: vec3u, is_mirrored: bool) -> vec3u {
    return select(corners, corners.xzy, is_mirrored);
}

// How many workgroups share a large triangle, by its height on the screen.
fn slice_count(view: View, a: vec3f, b: vec3f, c: vec3f) -> u32 {
    if (needs_clipping(a, b, c)) {
        return MAX_SLICES;
    }
    let top = max(min(a.y, min(b.y, c.y)), 0.0);
    let bottom = min(max(a.y, max(b.y, c.y)), 256.0 * f32(view.size.y));
    return clamp(u32(max(bottom - top, 0.0) / (256.0 * SLICE_PIXELS)) + 1u, 1u, MAX_SLICES);
}
