// The list of visible clusters and the bins of the rasterisers: how cluster_cull appends to them.
import package::layout::{VisibleCluster, BIN_COUNT, BIN_SMALL, BIN_HARDWARE, DISPATCH_FOLD, PHASE_MAIN, PHASE_POST};
import package::subgroup::{is_first_lane};
import package::queue::{states};

@group(1) @binding(8) var<storage, read_write> visible_clusters: array<VisibleCluster>;
@group(1) @binding(9) var<storage, read_write> raster_arguments: array<atomic<u32>>; // RasterBin of both passes
@group(1) @binding(10) var<storage, read_write> raster_bins: array<u32>;

const BIN_WORDS: u32 = 8u; // of RasterBin
const BIN_COUNT_WORD: u32 = 4u;
const SMALL_PER_WORKGROUP: u32 = 4u;

fn bin_word(phase: u32, bin: u32) -> u32 {
    return (phase * BIN_COUNT + bin) * BIN_WORDS;
}

// Entries of a bin that the main pass has requested before the post pass begins.
fn entries_before(phase: u32, bin: u32) -> u32 {
    return select(0u, atomicLoad(&raster_arguments[bin_word(PHASE_MAIN, bin) + BIN_COUNT_WORD]), phase == PHASE_POST);
}

// Append the kept clusters of a subgroup: one atomic for the list, and one for each bin that gets some. Returns the
// end of each bin that got some, counted in this pass, else 0.
fn append(phase: u32, is_kept: bool, bin: u32, view_instance: u32, address: u32) -> vec4u {
    subgroupBarrier();
    // One byte counts for each bin: a subgroup has at most 128 lanes.
    let mine = select(0u, 1u << (8u * bin), is_kept);
    let before = unpack4xU8(subgroupExclusiveAdd(mine));
    let total = unpack4xU8(subgroupAdd(mine));
    let count = total.x + total.y + total.z + total.w;
    var place = 0u;
    var first = vec4u(0u);
    if (is_first_lane() && count > 0u) {
        place = atomicAdd(&states[phase].visible_clusters, count);
        for (var i = 0u; i < BIN_COUNT; i++) {
            if (total[i] > 0u) {
                first[i] = atomicAdd(&raster_arguments[bin_word(phase, i) + BIN_COUNT_WORD], total[i]);
            }
        }
    }
    // The post pass stores behind the main pass.
    let start = select(0u, atomicLoad(&states[PHASE_MAIN].visible_clusters), phase == PHASE_POST);
    place = start + subgroupBroadcastFirst(place) + before.x + before.y + before.z + before.w;
    first = subgroupBroadcastFirst(first);
    let capacity = arrayLength(&visible_clusters);
    if (is_kept && place < capacity) {
        visible_clusters[place] = VisibleCluster(view_instance, address);
    }
    let slot = entries_before(phase, bin) + first[bin] + before[bin];
    if (is_kept && slot < capacity) {
        raster_bins[bin * capacity + slot] = place; // beyond the capacity, too: the rasterisers leave such out
    }
    return select(vec4u(0u), first + total, total > vec4u(0u));
}

// Make the dispatches and the draw of this pass as large as the ends that `append` returned ask for; by one lane of a
// subgroup, with the largest ends.
fn size_raster_passes(phase: u32, ends: vec4u) {
    for (var i = 0u; i < BIN_COUNT; i++) {
        if (ends[i] == 0u) {
            continue;
        }
        let before = min(entries_before(phase, i), arrayLength(&visible_clusters));
        let count = min(ends[i], arrayLength(&visible_clusters) - before);
        let word = bin_word(phase, i);
        if (i == BIN_HARDWARE) {
            atomicMax(&raster_arguments[word + 1u], count); // instances
            continue;
        }
        let per_workgroup = select(1u, SMALL_PER_WORKGROUP, i == BIN_SMALL);
        let workgroups = (count + per_workgroup - 1u) / per_workgroup;
        atomicMax(&raster_arguments[word], min(workgroups, DISPATCH_FOLD));
        atomicMax(&raster_arguments[word + 1u], (workgroups + DISPATCH_FOLD - 1u) / DISPATCH_FOLD);
    }
}
