// What all rasterisers share: their bindings, the corners of a triangle on the screen, and the sample.
import package::layout::{Cluster, NONE, CLUSTER_TWO_SIDED};
import package::layout_frame::{View, VisibleCluster, PassState, RasterBin, BinEntry, LargeTriangle, BIN_COUNT, PHASE_POST};
import package::decode::{has_flag};
import package::transform::{to_screen};
import package::edges::{snap, GUARD_PIXELS};

@group(1) @binding(0) var<storage, read> visible_clusters: array<VisibleCluster>;
@group(1) @binding(1) var<storage, read_write> visibility: array<atomic<u64>>;
@group(1) @binding(2) var<storage, read_write> overdraw: array<atomic<u32>>;
@group(1) @binding(3) var<storage, read_write> states: array<PassState, 2>;
@group(1) @binding(4) var<storage, read_write> large_triangles: array<LargeTriangle>;
@group(1) @binding(5) var<storage, read> raster_arguments: array<RasterBin>; // of both passes
@group(1) @binding(6) var<storage, read> raster_bins: array<BinEntry>;
@group(1) @binding(8) var<storage, read_write> shadow_depth: array<atomic<u32>>; // reverse-Z bits; 0: nothing

struct Raster {
    phase: u32,
}
var<immediate> dispatch: Raster;

override count_overdraw: bool = false;
override depth_only: bool = false; // shadow maps: no visibility, and both sides of all triangles

// As depth values of corners that fixed point would not hold: before the near plane, or outside the guard band.
const BEFORE_NEAR: f32 = -2.0;
const OUTSIDE_GUARD: f32 = -1.0;

// Entry `index` of this pass in a bin. The counts are not waited for before the entry is read.
fn bin_entry(bin: u32, index: u32) -> BinEntry {
    let capacity = arrayLength(&visible_clusters);
    var slot = index;
    if (dispatch.phase == PHASE_POST) {
        slot += raster_arguments[bin].count;
    }
    var entry = raster_bins[bin * capacity + min(slot, capacity - 1u)];
    if (index >= raster_arguments[dispatch.phase * BIN_COUNT + bin].count || slot >= capacity || entry.place >= capacity) {
        entry.place = NONE;
    }
    return entry;
}

// Whether back faces are drawn. Shadow maps have them all: an open surface then keeps the light out from both sides.
fn draws_both_sides(cluster: Cluster) -> bool {
    return depth_only || has_flag(cluster, CLUSTER_TWO_SIDED);
}

fn write_sample(view: View, pixel: vec2i, depth: f32, low: u32) {
    let index = view.first_pixel + u32(pixel.y) * view.size.x + u32(pixel.x);
    if (depth_only) {
        atomicMax(&shadow_depth[index], bitcast<u32>(depth));
        return;
    }
    atomicMax(&visibility[index], (u64(bitcast<u32>(depth)) << 32u) | u64(low));
    if (count_overdraw) {
        atomicAdd(&overdraw[index], 1u);
    }
}

// Snapped position of a corner in view space; its depth says where fixed point would not hold it.
fn project(view: View, p: vec3f) -> vec3f {
    if (p.z < view.near) {
        return vec3f(0.0, 0.0, BEFORE_NEAR);
    }
    let corner = snap(to_screen(view, p));
    let is_inside = all(corner.xy >= vec2f(-256.0 * GUARD_PIXELS))
        && all(corner.xy <= 256.0 * (vec2f(view.size) + GUARD_PIXELS));
    return vec3f(corner.xy, select(OUTSIDE_GUARD, corner.z, is_inside));
}

fn needs_clipping(a: vec3f, b: vec3f, c: vec3f) -> bool {
    return min(a.z, min(b.z, c.z)) < 0.0;
}

// A mirrored instance turns its triangles over: two corners change places before any rule looks at them.
fn oriented(corners: vec3u, is_mirrored: bool) -> vec3u {
    return select(corners, corners.xzy, is_mirrored);
}
