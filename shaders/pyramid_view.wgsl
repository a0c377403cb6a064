// The depth pyramid that a frame leaves for the next one, as a picture: one tile for each level, row by row, level 0 (the
// visibility buffer) first. Every tile is the whole image, so a cell grows from tile to tile.
import package::layout_frame::{View, PYRAMID_SHARED_LEVEL};
import package::transform::{is_orthographic};
import package::occlusion::{pyramid};

const NO_LEVEL: u32 = 0xffffffffu;

struct PyramidPixel {
    level: u32, // NO_LEVEL beside and between the tiles
    source: vec2u, // pixel of the image that it stands for
}

fn pyramid_pixel(view: View, pixel: vec2u) -> PyramidPixel {
    var columns = 1u;
    while (columns * columns < view.pyramid_levels) {
        columns += 1u;
    }
    let tile_size = max(view.size / columns, vec2u(1u));
    let tile = pixel / tile_size;
    let level = tile.y * columns + tile.x;
    let within = pixel - tile * tile_size;
    let is_border = all(tile_size >= vec2u(16u)) && any(within == tile_size - 1u);
    let is_shown = tile.x < columns && level < view.pyramid_levels && !is_border;
    return PyramidPixel(select(NO_LEVEL, level, is_shown), within * view.size / tile_size);
}

// Depth bits of a cell of level 1 or above.
fn pyramid_cell(view: View, level: u32, source: vec2u) -> u32 {
    let cells = (view.size + (1u << level) - 1u) >> vec2u(level);
    let cell = source >> vec2u(level);
    var start = view.pyramid_offsets[level >> 2u][level & 3u];
    if (level >= PYRAMID_SHARED_LEVEL) {
        start += cells.x * cells.y; // the half that the post pass leaves to the next main pass
    }
    return pyramid[start + cell.y * cells.x + cell.x];
}

// Distance along the view axis at which a sample has these depth bits; they are not 0.
fn depth_distance(view: View, bits: u32) -> f32 {
    let depth = bitcast<f32>(bits);
    return select(view.near / depth, fma(-depth, view.far - view.near, view.far), is_orthographic(view));
}
