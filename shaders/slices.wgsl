// How a large triangle is divided among workgroups.
import package::layout_frame::{View};
import package::raster::{BEFORE_NEAR, needs_clipping};

const TILE: vec2i = vec2i(16, 8); // pixels: one for each lane of rasterize_large
override slice_tiles: i32 = 64; // what one workgroup draws, about; a CPU, which runs few at a time, takes more
const MAX_SLICES: u32 = 256u;
const MAX_CLIPPED_SLICES: u32 = 64u; // each of them clips the triangle anew

// How many workgroups share a triangle, by the tiles of its box in the image; 0 where it is not seen.
fn slice_count(view: View, a: vec3f, b: vec3f, c: vec3f) -> u32 {
    let corner_depths = vec3f(a.z, b.z, c.z);
    if (all(corner_depths == vec3f(BEFORE_NEAR))) {
        return 0u;
    }
    let size = vec2f(view.size);
    var first = vec2f(0.0);
    var last = size;
    if (!any(corner_depths == vec3f(BEFORE_NEAR))) {
        first = max(min(a.xy, min(b.xy, c.xy)) / 256.0, vec2f(0.0));
        last = min(max(a.xy, max(b.xy, c.xy)) / 256.0, size);
        if (any(first > last)) {
            return 0u;
        }
    }
    let tiles = vec2i(last - first) / TILE + 1;
    let limit = min(select(MAX_SLICES, MAX_CLIPPED_SLICES, needs_clipping(a, b, c)), u32(tiles.y));
    return clamp(u32(tiles.x * tiles.y / slice_tiles), 1u, limit);
}
