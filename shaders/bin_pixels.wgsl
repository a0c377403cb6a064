// Sort the covered pixels by material function, in three dispatches: count, scan, scatter. Where there is one function,
// nothing is sorted: the covered pixels are gathered into one bin, whose arguments scan writes. The order within
// a bin changes from frame to frame; no pixel depends on another.
import package::layout_frame::{DISPATCH_FOLD};
import package::shading::{MAX_SHADERS, TARGET_SHADER_SHIFT};
import package::scene::{views};
import package::bins::{BinRange, BINS, pixel_word};
import package::subgroup::{subgroup_lane, count_votes, votes_before, speaker};

struct BinPixels {
    view: u32,
    background: u32, // image word of a pixel that shows nothing
}
var<immediate> dispatch: BinPixels;

@group(1) @binding(0) var<storage, read> visibility: array<vec2u>; // low word, depth bits
@group(1) @binding(1) var<storage, read_write> bin_counts: array<atomic<u32>>; // scan leaves them 0
@group(1) @binding(2) var<storage, read_write> bin_cursors: array<atomic<u32>>; // next free place of each bin
@group(1) @binding(3) var<storage, read_write> bin_ranges: array<BinRange>;
@group(1) @binding(4) var<storage, read_write> binned_pixels: array<u32>;
@group(1) @binding(5) var<storage, read_write> bin_arguments: array<u32>; // one dispatch a bin, and one for all
@group(1) @binding(6) var<storage, read> material_target: array<u32>;
@group(1) @binding(7) var<storage, read_write> image: array<u32>;

const COUNT: u32 = 0u;
const SCAN: u32 = 1u;
const SCATTER: u32 = 2u;
const GATHER: u32 = 3u;
override stage: u32 = COUNT;

const NO_BIN: u32 = MAX_SHADERS;
const PIXELS_PER_GROUP: u32 = 64u; // of a workgroup of base_pass and lighting

var<workgroup> local_counts: array<atomic<u32>, MAX_SHADERS>;
var<workgroup> local_starts: array<u32, MAX_SHADERS>;

// Lanes walk a tile of 16 x 16 in four squares of 8 x 8, so that neighbours in the list are neighbours on the screen.
fn pixel_of(workgroup: vec2u, lane: u32) -> vec2u {
    let x = (lane & 7u) | ((lane >> 3u) & 8u);
    let y = ((lane >> 3u) & 7u) | ((lane >> 4u) & 8u);
    return 16u * workgroup + vec2u(x, y);
}

fn bin_of(index: u32) -> u32 {
    let word = material_target[index];
    return select(NO_BIN, (word >> TARGET_SHADER_SHIFT) & (MAX_SHADERS - 1u), word != 0u);
}

// Append the covered pixels to bin 0, with one atomic for a subgroup.
fn gather(pixel: vec2u, view_pixel: u32, index: u32, is_inside: bool) {
    let is_covered = is_inside && visibility[view_pixel].y != 0u;
    if (is_inside && !is_covered) {
        image[index] = dispatch.background;
    }
    let votes = subgroupBallot(is_covered);
    if (all(votes == vec4u(0u))) {
        return;
    }
    let leader = speaker(votes);
    var first = 0u;
    if (subgroup_lane == leader) {
        first = atomicAdd(&bin_counts[0], count_votes(votes));
    }
    first = subgroupShuffle(first, leader);
    if (is_covered) {
        binned_pixels[first + votes_before(votes)] = pixel_word(pixel);
    }
}

fn write_range(bin: u32, start: u32, count: u32) {
    bin_ranges[bin] = BinRange(start, count);
    let workgroups = (count + PIXELS_PER_GROUP - 1u) / PIXELS_PER_GROUP;
    bin_arguments[3u * bin] = min(workgroups, DISPATCH_FOLD);
    bin_arguments[3u * bin + 1u] = (workgroups + DISPATCH_FOLD - 1u) / DISPATCH_FOLD;
    bin_arguments[3u * bin + 2u] = 1u;
}

// One workgroup; every lane adds up what lies before its bin.
fn scan(lane: u32) {
    if (lane < BINS) {
        var start = 0u;
        for (var i = 0u; i < lane; i++) {
            start += atomicLoad(&bin_counts[i]);
        }
        if (lane < MAX_SHADERS) {
            write_range(lane, start, atomicLoad(&bin_counts[lane]));
            atomicStore(&bin_cursors[lane], start);
        } else {
            write_range(lane, 0u, start);
        }
    }
    storageBarrier();
    if (lane < MAX_SHADERS) {
        atomicStore(&bin_counts[lane], 0u);
    }
}

@compute @workgroup_size(256)
fn bin_pixels(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_invocation_id) subgroup_invocation: u32,
) {
    subgroup_lane = subgroup_invocation;
    if (stage == SCAN) {
        scan(lane);
        return;
    }
    let view = views[dispatch.view];
    let pixel = pixel_of(workgroup.xy, lane);
    let index = pixel.y * view.size.x + pixel.x;
    let is_inside = all(pixel < view.size);
    if (stage == GATHER) {
        gather(pixel, view.first_pixel + index, index, is_inside);
        return;
    }
    var bin = NO_BIN;
    if (is_inside) {
        bin = bin_of(index);
        if (stage == COUNT && bin == NO_BIN) {
            image[index] = dispatch.background;
        }
    }
    if (lane < MAX_SHADERS) {
        atomicStore(&local_counts[lane], 0u);
    }
    workgroupBarrier();
    var rank = 0u;
    if (bin != NO_BIN) {
        rank = atomicAdd(&local_counts[bin], 1u);
    }
    workgroupBarrier();
    if (lane < MAX_SHADERS) {
        let count = atomicLoad(&local_counts[lane]);
        if (count > 0u) {
            if (stage == COUNT) {
                atomicAdd(&bin_counts[lane], count);
            } else {
                local_starts[lane] = atomicAdd(&bin_cursors[lane], count);
            }
        }
    }
    workgroupBarrier();
    if (stage == SCATTER && bin != NO_BIN) {
        binned_pixels[local_starts[bin] + rank] = pixel_word(pixel);
    }
}
