// The list of visible clusters and the bins of the rasterisers: how cluster_cull appends to them.
import package::layout::{PassState, VisibleCluster, BIN_COUNT, BIN_SMALL, BIN_HARDWARE, DISPATCH_FOLD};
import package::subgroup::{is_first_lane};

@group(1) @binding(0) var<storage, read_write> state: PassState;
@group(1) @binding(2) var<storage, read_write> visible_clusters: array<VisibleCluster>;
@group(1) @binding(3) var<storage, read_write> raster_arguments: array<atomic<u32>>; // RasterBin, BIN_WORDS each
@group(1) @binding(4) var<storage, read_write> raster_bins: array<u32>;

const BIN_WORDS: u32 = 8u;
const BIN_FIRST: u32 = 4u; // word of RasterBin.first
const BIN_END: u32 = 5u;
const SMALL_PER_WORKGROUP: u32 = 4u;

// Append the kept clusters of a subgroup: one atomic for the list, and one for each bin that gets some. Returns the
// end of each bin that got some, else 0.
fn append(is_kept: bool, bin: u32, view_instance: u32, address: u32) -> vec4u {
    // One byte counts for each bin: a subgroup has at most 128 lanes.
    let mine = select(0u, 1u << (8u * bin), is_kept);
    let before = unpack4xU8(subgroupExclusiveAdd(mine));
    let total = unpack4xU8(subgroupAdd(mine));
    let count = total.x + total.y + total.z + total.w;
    var place = 0u;
    var first = vec4u(0u);
    if (is_first_lane() && count > 0u) {
        place = atomicAdd(&state.visible_clusters, count);
        for (var i = 0u; i < BIN_COUNT; i++) {
            if (total[i] > 0u) {
                first[i] = atomicAdd(&raster_arguments[i * BIN_WORDS + BIN_END], total[i]);
            }
        }
    }
    place = subgroupBroadcastFirst(place) + before.x + before.y + before.z + before.w;
    first = subgroupBroadcastFirst(first);
    let capacity = arrayLength(&visible_clusters);
    if (is_kept && place < capacity) {
        visible_clusters[place] = VisibleCluster(view_instance, address);
    }
    let slot = first[bin] + before[bin];
    if (is_kept && slot < capacity) {
        raster_bins[bin * capacity + slot] = place; // beyond the capacity, too: the rasterisers leave such out
    }
    return select(vec4u(0u), first + total, total > vec4u(0u));
}

// Make the dispatches and the draw of this pass as large as the ends that `append` returned ask for; by one lane of a
// subgroup, with the largest ends.
fn size_raster_passes(ends: vec4u) {
    let stored = min(ends, vec4u(arrayLength(&visible_clusters)));
    for (var i = 0u; i < BIN_COUNT; i++) {
        if (stored[i] == 0u) {
            continue;
        }
        let count = stored[i] - min(stored[i], atomicLoad(&raster_arguments[i * BIN_WORDS + BIN_FIRST]));
        if (i == BIN_HARDWARE) {
            atomicMax(&raster_arguments[i * BIN_WORDS + 1u], count); // instances
            continue;
        }
        let per_workgroup = select(1u, SMALL_PER_WORKGROUP, i == BIN_SMALL);
        let workgroups = (count + per_workgroup - 1u) / per_workgroup;
        atomicMax(&raster_arguments[i * BIN_WORDS], min(workgroups, DISPATCH_FOLD));
        atomicMax(&raster_arguments[i * BIN_WORDS + 1u], (workgroups + DISPATCH_FOLD - 1u) / DISPATCH_FOLD);
    }
}
