// The image: a directional light with shadows, the sky, emission; exposed, tone-mapped, 8-bit sRGB, one word a pixel.
import package::layout_frame::{DISPATCH_FOLD};
import package::shading::{MAX_SHADERS};
import package::scene::{views};
import package::ray::{point_at_depth, towards_eye};
import package::bins::{BinRange, listed_pixel};
import package::gbuffer::{MaterialResult, unpack_gbuffer};
import package::brdf::{direct_light, diffuse_color, specular_color, surrounding_share};
import package::shadow::{shadow};
import package::tonemap::{tonemap};
import package::color::{srgb_encode};

struct Lighting {
    light_direction: vec3f, // unit, towards the light
    light_intensity: f32, // what a white plane across the light sends back
    exposure: f32,
    sky_intensity: f32,
    view: u32,
    background: u32, // image word of a pixel that shows nothing
    curve: u32, // TONEMAP_*
}
@group(1) @binding(0) var<storage, read> lighting_parameters: array<Lighting>;
@group(1) @binding(1) var<storage, read> scene_depth: array<f32>;
@group(1) @binding(2) var<storage, read> surface_color: array<vec2u>;
@group(1) @binding(3) var<storage, read> surface_shape: array<vec2u>;
@group(1) @binding(4) var<storage, read> bin_ranges: array<BinRange>;
@group(1) @binding(5) var<storage, read> binned_pixels: array<u32>;
@group(1) @binding(6) var<storage, read_write> image: array<u32>;

override from_bins: bool = false; // the covered pixels; else all, in tiles of 8 x 8

const SKY: vec3f = vec3f(0.30, 0.34, 0.40);
const GROUND: vec3f = vec3f(0.12, 0.11, 0.10);

// Light that arrives from the hemisphere about `direction`: the horizon blurred by `width`.
fn sky(direction: vec3f, width: f32) -> vec3f {
    return mix(GROUND, SKY, smoothstep(-width, width, direction.y));
}

fn lit(parameters: Lighting, surface: MaterialResult, position: vec3f, eye: vec3f) -> vec3f {
    let n_v = clamp(dot(surface.normal, eye), 0.0, 1.0);
    let light = parameters.light_intensity * shadow(views[parameters.view], position, surface.normal);
    let direct = light * direct_light(surface, parameters.light_direction, eye);
    let mirrored = 2.0 * dot(surface.normal, eye) * surface.normal - eye;
    let from_sky = diffuse_color(surface) * sky(surface.normal, 1.5)
        + surrounding_share(specular_color(surface), surface.roughness, n_v) * sky(mirrored, 0.05 + 1.2 * surface.roughness);
    return direct + parameters.sky_intensity * surface.occlusion * from_sky + surface.emissive;
}

@compute @workgroup_size(64)
fn lighting(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let parameters = lighting_parameters[0];
    let view = views[parameters.view];
    var pixel = 8u * workgroup.xy + vec2u(lane & 7u, lane >> 3u);
    if (from_bins) {
        let place = (workgroup.y * DISPATCH_FOLD + workgroup.x) * 64u + lane;
        if (place >= bin_ranges[MAX_SHADERS].count) {
            return;
        }
        pixel = listed_pixel(binned_pixels[place]);
    } else if (any(pixel >= view.size)) {
        return;
    }
    let index = pixel.y * view.size.x + pixel.x;
    let depth = scene_depth[index];
    if (!from_bins && depth == 0.0) {
        image[index] = parameters.background;
        return;
    }
    let surface = unpack_gbuffer(surface_color[index], surface_shape[index]);
    let position = point_at_depth(view, pixel, depth);
    let color = lit(parameters, surface, position, towards_eye(view, position));
    image[index] = pack4x8unorm(vec4f(srgb_encode(tonemap(parameters.curve, color * parameters.exposure)), 1.0));
}
