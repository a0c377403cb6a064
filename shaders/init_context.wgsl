// Start of a frame: empty counters, empty indirect arguments, an empty visibility buffer.
import package::layout::{RasterBin, BIN_HARDWARE, MAX_CLUSTER_TRIANGLES};

@group(0) @binding(0) var<storage, read_write> state: array<u32>; // PassState
@group(0) @binding(1) var<storage, read_write> cluster_arguments: array<u32>;
@group(0) @binding(2) var<storage, read_write> raster_arguments: array<RasterBin>;
@group(0) @binding(3) var<storage, read_write> level_counts: array<u32>;
@group(0) @binding(4) var<storage, read_write> level_arguments_even: array<u32>;
@group(0) @binding(5) var<storage, read_write> level_arguments_odd: array<u32>;
@group(0) @binding(6) var<storage, read_write> visibility: array<vec2u>;
@group(0) @binding(7) var<storage, read_write> overdraw: array<u32>;
@group(0) @binding(8) var<storage, read_write> large_arguments: array<u32>;

// No workgroups yet in x and y, one in z.
fn empty_dispatch_word(i: u32) -> u32 {
    return select(0u, 1u, i % 3u == 2u);
}

// No entries yet: no workgroups, or no instances of as many vertices as a cluster may have corners.
fn empty_bin(bin: u32) -> RasterBin {
    if (bin == BIN_HARDWARE) {
        return RasterBin(3u * MAX_CLUSTER_TRIANGLES, 0u, 0u, 0u, 0u, 0u, vec2u(0u));
    }
    return RasterBin(0u, 0u, 1u, 0u, 0u, 0u, vec2u(0u));
}

@compute @workgroup_size(256)
fn init_context(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
    let lanes = workgroups.x * 256u;
    for (var i = id.x; i < arrayLength(&visibility); i += lanes) {
        visibility[i] = vec2u(0u);
    }
    for (var i = id.x; i < arrayLength(&overdraw); i += lanes) {
        overdraw[i] = 0u;
    }
    if (id.x < arrayLength(&state)) {
        state[id.x] = 0u;
    }
    if (id.x < arrayLength(&cluster_arguments)) {
        cluster_arguments[id.x] = empty_dispatch_word(id.x);
        large_arguments[id.x] = empty_dispatch_word(id.x);
    }
    if (id.x < arrayLength(&raster_arguments)) {
        raster_arguments[id.x] = empty_bin(id.x);
    }
    if (id.x < arrayLength(&level_counts)) {
        level_counts[id.x] = 0u;
    }
    if (id.x < arrayLength(&level_arguments_even)) {
        level_arguments_even[id.x] = empty_dispatch_word(id.x);
        level_arguments_odd[id.x] = empty_dispatch_word(id.x);
    }
}
