// Counts of what was tested and why it was culled, and of what is drawn: first in workgroup memory, then in the pass state.
import package::layout_frame::{TALLY_TRIANGLES, TALLY_OUTCOMES, OUTCOME_NONE, BIN_COUNT};
import package::queue::{states};

const TALLY_SIZE: u32 = 25u; // of PassState.tally
const COUNTERS: u32 = TALLY_SIZE + 2u * BIN_COUNT;

var<workgroup> counters: array<atomic<u32>, COUNTERS>; // tally, clusters by bin, triangles by bin

// Before a barrier, by a workgroup of at least COUNTERS lanes. Not every driver clears workgroup memory, as WGSL wants it.
fn clear_tally(lane: u32) {
    if (lane < COUNTERS) {
        atomicStore(&counters[lane], 0u);
    }
}

fn count_outcome(kind: u32, outcome: u32) {
    if (outcome != OUTCOME_NONE) {
        atomicAdd(&counters[kind * TALLY_OUTCOMES + outcome], 1u);
    }
}

// The triangles of a cluster that was tested; those of a kept one are counted by `count_drawn`.
fn count_culled_triangles(outcome: u32, triangles: u32) {
    atomicAdd(&counters[TALLY_TRIANGLES * TALLY_OUTCOMES + outcome], triangles);
}

fn count_drawn(bin: u32, triangles: u32) {
    atomicAdd(&counters[TALLY_SIZE + bin], 1u);
    atomicAdd(&counters[TALLY_SIZE + BIN_COUNT + bin], triangles);
}

// After a barrier.
fn flush_tally(lane: u32, phase: u32) {
    if (lane >= COUNTERS) {
        return;
    }
    let count = atomicLoad(&counters[lane]);
    if (count == 0u) {
        return;
    }
    if (lane < TALLY_SIZE) {
        atomicAdd(&states[phase].tally[lane], count);
    } else if (lane < TALLY_SIZE + BIN_COUNT) {
        atomicAdd(&states[phase].bin_clusters[lane - TALLY_SIZE], count);
    } else {
        atomicAdd(&states[phase].bin_triangles[lane - TALLY_SIZE - BIN_COUNT], count);
    }
}
