// Lists of the pixels that one material function shades.
import package::shading::{MAX_SHADERS};

// A bin's part of `binned_pixels`.
struct BinRange {
    start: u32,
    count: u32,
}

const BINS: u32 = MAX_SHADERS + 1u; // the last range is that of all bins together

fn pixel_word(pixel: vec2u) -> u32 {
    return pixel.x | (pixel.y << 16u);
}

fn listed_pixel(word: u32) -> vec2u {
    return vec2u(word & 0xffffu, word >> 16u);
}
