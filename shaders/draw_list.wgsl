// The list of visible clusters and the bins of the rasterisers: how cluster_cull appends to them.
import package::layout_frame::{VisibleCluster, BinEntry, BIN_COUNT, BIN_SMALL, SMALL_CLUSTERS, BIN_HARDWARE, DISPATCH_FOLD, PHASE_MAIN, PHASE_POST};
import package::subgroup::{subgroup_lane, count_votes, votes_before, speaker};
import package::queue::{states};

@group(1) @binding(8) var<storage, read_write> visible_clusters: array<VisibleCluster>;
@group(1) @binding(9) var<storage, read_write> raster_arguments: array<atomic<u32>>; // RasterBin of both passes
@group(1) @binding(10) var<storage, read_write> raster_bins: array<BinEntry>;

const BIN_WORDS: u32 = 8u; // of RasterBin
const BIN_COUNT_WORD: u32 = 4u;

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
    let votes = subgroupBallot(is_kept);
    if (all(votes == vec4u(0u))) {
        return vec4u(0u);
    }
    let leader = speaker(votes);
    var first = 0u;
    if (subgroup_lane == leader) {
        first = atomicAdd(&states[phase].visible_clusters, count_votes(votes));
    }
    // The post pass stores behind the main pass.
    let start = select(0u, atomicLoad(&states[PHASE_MAIN].visible_clusters), phase == PHASE_POST);
    let place = start + subgroupShuffle(first, leader) + votes_before(votes);
    if (is_kept && place < arrayLength(&visible_clusters)) {
        visible_clusters[place] = VisibleCluster(view_instance, address);
    }
    var ends = vec4u(0u);
    for (var i = 0u; i < BIN_COUNT; i++) {
        ends[i] = append_to_bin(phase, i, is_kept && bin == i, BinEntry(view_instance, address, place));
    }
    return ends;
}

fn append_to_bin(phase: u32, bin: u32, is_appended: bool, entry: BinEntry) -> u32 {
    let votes = subgroupBallot(is_appended);
    if (all(votes == vec4u(0u))) {
        return 0u;
    }
    let leader = speaker(votes);
    var first = 0u;
    if (subgroup_lane == leader) {
        first = atomicAdd(&raster_arguments[bin_word(phase, bin) + BIN_COUNT_WORD], count_votes(votes));
    }
    first = subgroupShuffle(first, leader);
    let capacity = arrayLength(&visible_clusters);
    let slot = entries_before(phase, bin) + first + votes_before(votes);
    if (is_appended && slot < capacity) {
        raster_bins[bin * capacity + slot] = entry; // beyond the capacity, too: the rasterisers leave such out
    }
    return first + count_votes(votes);
}

// Make the dispatches and the draw of this pass as large as the ends that `append` returned ask for; by any
// lane.
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
        let per_workgroup = select(1u, SMALL_CLUSTERS, i == BIN_SMALL);
        let workgroups = (count + per_workgroup - 1u) / per_workgroup;
        atomicMax(&raster_arguments[word], min(workgroups, DISPATCH_FOLD));
        atomicMax(&raster_arguments[word + 1u], (workgroups + DISPATCH_FOLD - 1u) / DISPATCH_FOLD);
    }
}
