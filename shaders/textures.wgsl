// Group 2: the textures of a scene, packed into a few arrays of square layers with mips (engine/textures.py).
import package::layout::{NONE};
import package::shading::{TEXTURE_LAYER_MASK};

@group(2) @binding(0) var<storage, read> texture_places: array<u32>; // of each texture: as data, then as colour (sRGB)
@group(2) @binding(1) var texture_sampler: sampler; // linear, with mips, repeating
@group(2) @binding(2) var textures_0: texture_2d_array<f32>;
@group(2) @binding(3) var textures_1: texture_2d_array<f32>;
@group(2) @binding(4) var textures_2: texture_2d_array<f32>;
@group(2) @binding(5) var textures_3: texture_2d_array<f32>;
@group(2) @binding(6) var textures_4: texture_2d_array<f32>;
@group(2) @binding(7) var textures_5: texture_2d_array<f32>;

override texture_arrays: u32 = 6u; // how many of them hold anything
override data_arrays: u32 = 3u; // how many of these, the first, hold data; the others hold colour

const WRAP_REPEAT: u32 = 0u;
const WRAP_MIRROR: u32 = 2u;
const SAMPLER_NEAREST: u32 = 0x100u;

// A texture lookup: where, how wide a pixel is there, and Material.sampler.
struct TexturePoint {
    uv: vec2f,
    dx: vec2f, // change of the UV to the next pixel in x
    dy: vec2f,
    sampler_bits: u32,
}

// Colour of a texture that is coded in sRGB, linear; `missing` where there is none.
fn sample_color(texture: u32, point: TexturePoint, missing: vec4f) -> vec4f {
    return sample_texture(texture, 1u, point, missing);
}

// Values of a texture that holds data.
fn sample_data(texture: u32, point: TexturePoint, missing: vec4f) -> vec4f {
    return sample_texture(texture, 0u, point, missing);
}

fn sample_texture(texture: u32, use_as: u32, point: TexturePoint, missing: vec4f) -> vec4f {
    if (texture_arrays == 0u || texture == NONE) {
        return missing;
    }
    let place = texture_places[2u * texture + use_as];
    if (place == NONE) {
        return missing;
    }
    let edge = exp2(f32(place >> 24u));
    let width = max(dot(point.dx, point.dx), dot(point.dy, point.dy));
    var level = clamp(0.5 * log2(max(width, 1e-20)) + f32(place >> 24u), 0.0, f32(place >> 24u));
    let is_nearest = (point.sampler_bits & SAMPLER_NEAREST) != 0u;
    level = select(level, floor(level + 0.5), is_nearest);
    // Half a texel of the coarser of both levels: nothing bleeds over from the other side where it must not. A level
    // that rounding lifted above a whole number is that one.
    let border = min(0.5 * exp2(ceil(level - 0.01)) / edge, 0.5);
    var uv = vec2f(
        wrap(point.uv.x, point.sampler_bits & 15u, border),
        wrap(point.uv.y, (point.sampler_bits >> 4u) & 15u, border),
    );
    let texels = edge * exp2(-level);
    uv = select(uv, (floor(uv * texels) + 0.5) / texels, is_nearest);
    return sample_level(use_as, (place >> 16u) & 255u, place & TEXTURE_LAYER_MASK, uv, level);
}

// A coordinate for the repeating sampler that stands for one of another wrap.
fn wrap(x: f32, mode: u32, border: f32) -> f32 {
    if (mode == WRAP_REPEAT) {
        return fract(x);
    }
    let folded = select(x, 1.0 - abs(1.0 - 2.0 * fract(0.5 * x)), mode == WRAP_MIRROR);
    return clamp(folded, border, 1.0 - border);
}

// Whether an array holds textures that are used so. Known when the pipeline is made: the rest of the lookups vanishes.
fn holds(array: u32, use_as: u32) -> bool {
    return array < texture_arrays && (array < data_arrays) == (use_as == 0u);
}

fn sample_level(use_as: u32, array: u32, layer: u32, uv: vec2f, level: f32) -> vec4f {
    if (holds(0u, use_as) && array == 0u) {
        return textureSampleLevel(textures_0, texture_sampler, uv, layer, level);
    }
    if (holds(1u, use_as) && array == 1u) {
        return textureSampleLevel(textures_1, texture_sampler, uv, layer, level);
    }
    if (holds(2u, use_as) && array == 2u) {
        return textureSampleLevel(textures_2, texture_sampler, uv, layer, level);
    }
    if (holds(3u, use_as) && array == 3u) {
        return textureSampleLevel(textures_3, texture_sampler, uv, layer, level);
    }
    if (holds(4u, use_as) && array == 4u) {
        return textureSampleLevel(textures_4, texture_sampler, uv, layer, level);
    }
    if (holds(5u, use_as) && array == 5u) {
        return textureSampleLevel(textures_5, texture_sampler, uv, layer, level);
    }
    return vec4f(0.0);
}
