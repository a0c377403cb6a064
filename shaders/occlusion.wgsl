// Where a box lies on the screen, and whether the depth pyramid hides it (Greene, Kass and Miller, "Hierarchical Z-Buffer
// Visibility", 1993; two passes as in Karis et al., "Nanite: A Deep Dive", SIGGRAPH 2021).
//
// Everything errs to one side: the rectangle is a little too large and its depth a little too near, so what is called
// hidden, or too small, covers no sample. PIXEL_MARGIN holds what corners move when they are snapped to 1/256 pixel.
import package::layout_frame::{Instance, View, PHASE_MAIN, PYRAMID_SHARED_LEVEL};
import package::scene::{views};
import package::transform::{to_eye, to_view, is_orthographic};

@group(1) @binding(6) var<storage, read> pyramid: array<u32>; // depth bits; they order as the depths do

const PIXEL_MARGIN: f32 = 1.0 / 64.0;
const DEPTH_MARGIN: f32 = 1.0 + 1.0 / 524288.0; // 16 ulp: what interpolation between corners adds
const PROBE_SPAN: u32 = 3u; // the rectangle meets at most one cell more, in each direction, of the level that is read

struct ScreenBox {
    first: vec2i, // pixels whose centres lie in the rectangle, within the image
    last: vec2i,
    depth: f32, // nearest, reverse-Z
    is_crossing: bool, // reaches the near plane: no rectangle
}

fn covers_no_pixel(box: ScreenBox) -> bool {
    return !box.is_crossing && any(box.last < box.first);
}

fn project_box(instance: Instance, offset: vec3f, view: View, box_min: vec3f, box_max: vec3f) -> ScreenBox {
    let half_size = 0.5 * (box_max - box_min);
    let center = to_view(view, to_eye(instance, offset, 0.5 * (box_min + box_max)));
    let x = to_view(view, instance.linear_x) * half_size.x;
    let y = to_view(view, instance.linear_y) * half_size.y;
    let z = to_view(view, instance.linear_z) * half_size.z;
    let nearest = center.z - abs(x.z) - abs(y.z) - abs(z.z);
    var box: ScreenBox;
    box.is_crossing = nearest <= view.near;
    var low = vec2f(1e30);
    var high = vec2f(-1e30);
    if (is_orthographic(view)) {
        let reach = abs(x.xy) + abs(y.xy) + abs(z.xy);
        low = center.xy - reach;
        high = center.xy + reach;
        box.depth = (view.far - nearest) / (view.far - view.near);
    } else {
        for (var i = 0u; i < 8u; i++) {
            let corner = center + select(-x, x, (i & 1u) != 0u) + select(-y, y, (i & 2u) != 0u) + select(-z, z, (i & 4u) != 0u);
            let place = corner.xy / corner.z;
            low = min(low, place);
            high = max(high, place);
        }
        box.depth = view.near / nearest;
    }
    let size = vec2f(view.size);
    let scale = 0.5 * size * vec2f(view.scale_x, view.scale_y);
    // Pixels have y down.
    let begin = vec2f(fma(low.x, scale.x, 0.5 * size.x), fma(-high.y, scale.y, 0.5 * size.y)) - (0.5 + PIXEL_MARGIN);
    let end = vec2f(fma(high.x, scale.x, 0.5 * size.x), fma(-low.y, scale.y, 0.5 * size.y)) - (0.5 - PIXEL_MARGIN);
    box.first = vec2i(ceil(clamp(begin, vec2f(0.0), size)));
    box.last = vec2i(floor(clamp(end, vec2f(-1.0), size - 1.0)));
    return box;
}

// Whether all of the box lies behind what the pyramid of a view holds. The box must meet a pixel of the image.
fn is_hidden(box: ScreenBox, view_index: u32, phase: u32) -> bool {
    let span = vec2u(box.last - box.first);
    let largest = max(max(span.x, span.y), 1u);
    var level = max(i32(firstLeadingBit(largest)) - 1, 1);
    if (max((u32(box.last.x) >> u32(level)) - (u32(box.first.x) >> u32(level)),
            (u32(box.last.y) >> u32(level)) - (u32(box.first.y) >> u32(level))) > PROBE_SPAN) {
        level += 1;
    }
    level = min(level, i32(views[view_index].pyramid_levels) - 1);
    let k = u32(level);
    let cells = (views[view_index].size + (1u << k) - 1u) >> vec2u(k);
    // From the uniform itself: a copy that is indexed by a variable would lie in memory.
    var start = views[view_index].pyramid_offsets[k >> 2u][k & 3u];
    if (k >= PYRAMID_SHARED_LEVEL && phase == PHASE_MAIN) {
        start += cells.x * cells.y; // what the last frame's post pass left
    }
    let first = vec2u(box.first) >> vec2u(k);
    let last = vec2u(box.last) >> vec2u(k);
    let nearest = bitcast<u32>(max(box.depth, 0.0) * DEPTH_MARGIN);
    for (var row = first.y; row <= last.y; row++) {
        for (var column = first.x; column <= last.x; column++) {
            if (nearest >= pyramid[start + row * cells.x + column]) {
                return false;
            }
        }
    }
    return true;
}
