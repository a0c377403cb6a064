// The image of a frame on a window, or any other colour target, of its own size.
//
// Where sizes agree, pixels are copied. Else a pixel blends the four that are nearest to its place in the image.
import package::color::{srgb_decode};

struct Present {
    image_size: vec2u,
    target_size: vec2u,
}
var<immediate> dispatch: Present;

@group(0) @binding(0) var<storage, read> image: array<u32>; // 8-bit sRGB

override target_is_srgb: bool = false; // the target encodes what is written

// One triangle that holds the whole target.
@vertex
fn present_vertex(@builtin(vertex_index) corner: u32) -> @builtin(position) vec4f {
    return vec4f(f32(corner & 1u) * 4.0 - 1.0, f32(corner >> 1u) * 4.0 - 1.0, 0.0, 1.0);
}

fn image_pixel(pixel: vec2u) -> vec3f {
    let held = min(pixel, dispatch.image_size - 1u);
    return unpack4x8unorm(image[held.y * dispatch.image_size.x + held.x]).rgb;
}

fn image_at(place: vec2f) -> vec3f {
    let inside = max(place - 0.5, vec2f(0.0));
    let first = vec2u(inside);
    let share = fract(inside);
    let above = mix(image_pixel(first), image_pixel(first + vec2u(1u, 0u)), share.x);
    let below = mix(image_pixel(first + vec2u(0u, 1u)), image_pixel(first + vec2u(1u, 1u)), share.x);
    return mix(above, below, share.y);
}

@fragment
fn present_fragment(@builtin(position) position: vec4f) -> @location(0) vec4f {
    var color: vec3f;
    if (all(dispatch.image_size == dispatch.target_size)) {
        color = image_pixel(vec2u(position.xy));
    } else {
        color = image_at(position.xy * vec2f(dispatch.image_size) / vec2f(dispatch.target_size));
    }
    return vec4f(select(color, srgb_decode(color), target_is_srgb), 1.0);
}
