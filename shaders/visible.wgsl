// The list of clusters that are drawn, and the visibility buffer's 64-bit samples.
//
// A sample: reverse-Z depth bits above a low word of tie bits, place in the list (23), triangle (7). The tie bits
// are a hash of instance and cluster, so that equal depths are nearly always decided alike from frame to
// frame; places in the list change with the order in which threads ran.
import package::layout::{MAX_CLUSTER_TRIANGLES};
import package::layout_frame::{PLACE_BITS};

override tie_bits: u32 = 2u; // what places and triangles leave of 32
const TRIANGLE_BITS: u32 = 7u;

fn tie_hash(instance: u32, cluster: u32) -> u32 {
    var h = instance * 0x9e3779b1u ^ cluster * 0x85ebca77u;
    h ^= h >> 15u;
    h *= 0x2c1b3c6du;
    h ^= h >> 13u;
    return h;
}

fn sample_low_word(tie: u32, place: u32) -> u32 {
    let tie_part = select(0u, tie << (32u - tie_bits), tie_bits > 0u);
    return tie_part | (place << TRIANGLE_BITS);
}

fn sample_place(low: u32) -> u32 {
    return (low >> TRIANGLE_BITS) & ((1u << PLACE_BITS) - 1u);
}

fn sample_triangle(low: u32) -> u32 {
    return low & (MAX_CLUSTER_TRIANGLES - 1u);
}
