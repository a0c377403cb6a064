// Counts of what was tested and why it was culled: first in workgroup memory, then in the pass state.
import package::layout::{TALLY_OUTCOMES, OUTCOME_NONE};
import package::queue::{states};

const TALLY_SIZE: u32 = 20u; // of PassState.tally

var<workgroup> tally: array<atomic<u32>, TALLY_SIZE>;

// Before a barrier, by a workgroup of at least TALLY_SIZE lanes. Not every driver clears workgroup memory, whatever WGSL says.
fn clear_tally(lane: u32) {
    if (lane < TALLY_SIZE) {
        atomicStore(&tally[lane], 0u);
    }
}

fn count_outcome(kind: u32, outcome: u32) {
    if (outcome != OUTCOME_NONE) {
        atomicAdd(&tally[kind * TALLY_OUTCOMES + outcome], 1u);
    }
}

// After a barrier.
fn flush_tally(lane: u32, phase: u32) {
    if (lane < TALLY_SIZE) {
        let count = atomicLoad(&tally[lane]);
        if (count > 0u) {
            atomicAdd(&states[phase].tally[lane], count);
        }
    }
}
