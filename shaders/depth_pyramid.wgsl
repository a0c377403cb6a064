// The depth pyramid of a view from its visibility buffer, in one dispatch for any size: a cell of level k holds the
// farthest depth (smallest reverse-Z bits) of the pixels whose numbers agree but for the last k bits.
//
// A workgroup reduces a tile of 64 x 64 pixels to levels 1 to 6. Cells of the levels above span several tiles, whose
// workgroups meet in an atomicMin. Those levels are there twice: main pass and post pass each write a half that the
// other one has emptied, so no dispatch in between has to.
import package::layout_frame::{PassState, PYRAMID_SHARED_LEVEL, PHASE_MAIN, PHASE_POST};
import package::scene::{views};

struct DepthPyramid {
    view: u32,
    phase: u32, // the half that is written
}
var<immediate> dispatch: DepthPyramid;

@group(1) @binding(0) var<storage, read> visibility: array<vec2u>; // low word, depth bits
@group(1) @binding(1) var<storage, read_write> pyramid: array<atomic<u32>>;
@group(1) @binding(2) var<storage, read_write> states: array<PassState, 2>;

const FARTHEST_UNKNOWN: u32 = 0xffffffffu; // no pixel: does not limit the minimum

var<workgroup> cells: array<u32, 1024>;

fn level_size(size: vec2u, level: u32) -> vec2u {
    return (size + (1u << level) - 1u) >> vec2u(level);
}

fn store_cell(level: u32, cell: vec2u, value: u32) {
    let size = level_size(views[dispatch.view].size, level);
    if (all(cell < size)) {
        let start = views[dispatch.view].pyramid_offsets[level >> 2u][level & 3u];
        atomicStore(&pyramid[start + cell.y * size.x + cell.x], value);
    }
}

fn load_cell(level: u32, cell: vec2u) -> u32 {
    let view = views[dispatch.view];
    let size = level_size(view.size, level);
    return atomicLoad(&pyramid[view.pyramid_offsets[level >> 2u][level & 3u] + cell.y * size.x + cell.x]);
}

fn pixel_depth(pixel: vec2u) -> u32 {
    let view_size = views[dispatch.view].size;
    if (any(pixel >= view_size)) {
        return FARTHEST_UNKNOWN;
    }
    return visibility[views[dispatch.view].first_pixel + pixel.y * view_size.x + pixel.x].y;
}

@compute @workgroup_size(256)
fn depth_pyramid(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) tile: vec3u) {
    if (dispatch.phase == PHASE_POST && atomicLoad(&states[PHASE_POST].visible_clusters) == 0u) {
        // Nothing was drawn since the main pass built it.
        if (lane == 0u) {
            join_tiles(tile.xy, load_cell(6u, tile.xy));
        }
        return;
    }
    // Neighbouring lanes read neighbouring pixels: four quads each, in rows of 32.
    for (var i = 0u; i < 4u; i++) {
        let cell = vec2u(lane % 32u, lane / 32u + 8u * i);
        let quad = tile.xy * 32u + cell;
        let value = min(
            min(pixel_depth(2u * quad), pixel_depth(2u * quad + vec2u(1u, 0u))),
            min(pixel_depth(2u * quad + vec2u(0u, 1u)), pixel_depth(2u * quad + vec2u(1u, 1u))),
        );
        store_cell(1u, quad, value);
        cells[cell.y * 32u + cell.x] = value;
    }
    var side = 32u;
    for (var level = 2u; level <= 6u; level++) {
        workgroupBarrier();
        side = side / 2u;
        let is_active = lane < side * side;
        let cell = vec2u(lane % side, lane / side);
        var value = FARTHEST_UNKNOWN;
        if (is_active) {
            let corner = 4u * side * cell.y + 2u * cell.x; // in rows of 2 * side
            value = min(min(cells[corner], cells[corner + 1u]), min(cells[corner + 2u * side], cells[corner + 2u * side + 1u]));
        }
        workgroupBarrier();
        if (is_active) {
            cells[lane] = value;
            store_cell(level, tile.xy * side + cell, value);
        }
    }
    if (lane == 0u) {
        join_tiles(tile.xy, cells[0]);
    }
}

fn join_tiles(tile: vec2u, value: u32) {
    let view_size = views[dispatch.view].size;
    for (var level = PYRAMID_SHARED_LEVEL; level < views[dispatch.view].pyramid_levels; level++) {
        let size = level_size(view_size, level);
        let shift = level - (PYRAMID_SHARED_LEVEL - 1u);
        let cell = tile >> vec2u(shift);
        let start = views[dispatch.view].pyramid_offsets[level >> 2u][level & 3u];
        let place = start + cell.y * size.x + cell.x;
        let cells_of_level = size.x * size.y;
        let is_main = dispatch.phase == PHASE_MAIN;
        atomicMin(&pyramid[place + select(cells_of_level, 0u, is_main)], value);
        if (all((cell << vec2u(shift)) == tile)) {
            atomicStore(&pyramid[place + select(0u, cells_of_level, is_main)], FARTHEST_UNKNOWN);
        }
    }
}
