// Start of a frame: empty counters and indirect arguments, an empty visibility buffer or shadow map, and the first
// items of each view: nodes of the instance tree.
import package::layout::{MAX_CLUSTER_TRIANGLES};
import package::layout_frame::{RasterBin, BIN_HARDWARE, BIN_COUNT, INSTANCE_BITS, INSTANCE_TREE, NODE_BITS, ALL_CHILDREN};

struct InitContext {
    first_view: u32,
    view_count: u32,
    first_seed: u32, // node of the instance tree
    seed_count: u32, // of each view
    keeps_set: u32, // 1: the lists of visible clusters stay, and are drawn again
}
var<immediate> dispatch: InitContext;

@group(0) @binding(0) var<storage, read_write> states: array<u32>; // PassState of main and post pass
@group(0) @binding(1) var<storage, read_write> node_queue: array<u32>;
@group(0) @binding(2) var<storage, read_write> cluster_arguments_main: array<u32>;
@group(0) @binding(3) var<storage, read_write> cluster_arguments_post: array<u32>;
@group(0) @binding(4) var<storage, read_write> raster_arguments: array<RasterBin>; // of both passes
@group(0) @binding(6) var<storage, read_write> large_arguments_main: array<u32>;
@group(0) @binding(7) var<storage, read_write> large_arguments_post: array<u32>;
@group(0) @binding(8) var<storage, read_write> post_arguments: array<u32>;
@group(0) @binding(9) var<storage, read_write> level_counts: array<u32>;
@group(0) @binding(10) var<storage, read_write> level_arguments_even: array<u32>;
@group(0) @binding(11) var<storage, read_write> level_arguments_odd: array<u32>;
@group(0) @binding(12) var<storage, read_write> samples: array<vec2u>; // of the visibility buffer or the shadow maps
@group(0) @binding(13) var<storage, read_write> overdraw: array<u32>;

const PHASES: u32 = 2u;

override clears_pixels: bool = true; // visibility and overdraw; else the host has done it

// Words of PassState.
const ITEMS_PUSHED: u32 = 1u; // the high half of node_progress
const LARGE_TRIANGLES: u32 = 6u;

// No workgroups yet in x and y, one in z.
fn empty_dispatch_word(i: u32) -> u32 {
    return select(0u, 1u, i % 3u == 2u);
}

// No entries yet: no workgroups, or no instances of as many vertices as a cluster may have corners.
fn empty_bin(bin: u32) -> RasterBin {
    var empty = RasterBin();
    empty.x = select(0u, 3u * MAX_CLUSTER_TRIANGLES, bin == BIN_HARDWARE);
    empty.z = select(1u, 0u, bin == BIN_HARDWARE);
    return empty;
}

@compute @workgroup_size(256)
fn init_context(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
    let lanes = workgroups.x * 256u;
    let i = id.x;
    if (clears_pixels) {
        for (var k = i; k < arrayLength(&samples); k += lanes) {
            samples[k] = vec2u(0u);
        }
        for (var k = i; k < arrayLength(&overdraw); k += lanes) {
            overdraw[k] = 0u;
        }
    }
    if (i < arrayLength(&large_arguments_main)) {
        large_arguments_main[i] = empty_dispatch_word(i);
        large_arguments_post[i] = empty_dispatch_word(i);
    }
    if (dispatch.keeps_set == 1u) {
        if (i < PHASES) {
            states[i * (arrayLength(&states) / PHASES) + LARGE_TRIANGLES] = 0u;
        }
        return;
    }
    let items = dispatch.view_count * dispatch.seed_count;
    if (i < arrayLength(&states)) {
        states[i] = select(0u, items, i == ITEMS_PUSHED);
    }
    if (i < items) {
        node_queue[2u * i] = ((dispatch.first_view + i / dispatch.seed_count) << INSTANCE_BITS) | INSTANCE_TREE;
        node_queue[2u * i + 1u] = (ALL_CHILDREN << NODE_BITS) | (dispatch.first_seed + i % dispatch.seed_count);
    }
    if (i < arrayLength(&cluster_arguments_main)) {
        cluster_arguments_main[i] = empty_dispatch_word(i);
        cluster_arguments_post[i] = empty_dispatch_word(i);
    }
    if (i < arrayLength(&raster_arguments)) {
        raster_arguments[i] = empty_bin(i % BIN_COUNT);
    }
    if (i < arrayLength(&post_arguments)) {
        post_arguments[i] = empty_dispatch_word(i);
    }
    if (i < arrayLength(&level_counts)) {
        level_counts[i] = select(0u, items, i == 0u);
    }
    if (i < arrayLength(&level_arguments_even)) {
        let seed = select(1u, (items + 7u) / 8u, i == 0u); // eight items a workgroup
        level_arguments_even[i] = select(empty_dispatch_word(i), seed, i < 2u);
        level_arguments_odd[i] = empty_dispatch_word(i);
    }
}
