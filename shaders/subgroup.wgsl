// What the lanes of a subgroup do together: one of them speaks for all that vote yes.
//
// Everything follows from one ballot. Sums of 0 and 1 over the lanes were seen to be -1 where all are 0 (NVIDIA driver
// 580, shaders without runtime checks), and after branches that lanes took differently a compiler may let them go on apart:
// with a ballot each part then has its own votes, speaker and count, and they fit together.

var<private> subgroup_lane: u32; // subgroup_invocation_id: every entry point that appends sets it first

fn count_votes(votes: vec4u) -> u32 {
    let counts = countOneBits(votes);
    return counts.x + counts.y + counts.z + counts.w;
}

// Yes votes of the lanes before this one.
fn votes_before(votes: vec4u) -> u32 {
    let bits = vec4u(clamp(vec4i(i32(subgroup_lane)) - vec4i(0, 32, 64, 96), vec4i(0), vec4i(32)));
    return countOneBits(extractBits(votes.x, 0u, bits.x)) + countOneBits(extractBits(votes.y, 0u, bits.y))
        + countOneBits(extractBits(votes.z, 0u, bits.z)) + countOneBits(extractBits(votes.w, 0u, bits.w));
}

// First lane that votes yes; there must be one.
fn speaker(votes: vec4u) -> u32 {
    if (votes.x != 0u) {
        return firstTrailingBit(votes.x);
    }
    if (votes.y != 0u) {
        return 32u + firstTrailingBit(votes.y);
    }
    if (votes.z != 0u) {
        return 64u + firstTrailingBit(votes.z);
    }
    return 96u + firstTrailingBit(votes.w);
}
