// How much of the directional light arrives, from cascaded shadow maps: the first cascade that holds a point decides, and
// goes over into the next near its border.
//
// Caster and receiver were drawn at levels of detail of their own, so a surface may shadow itself by as much as both cuts
// claim to be wrong. The point is therefore lifted along its normal by exactly that: the error accepted in the map's
// texels and in the camera's pixels, and what the surface descends within the reach of the filter, which on a slope
// needs sin(angle) texels of lift for each texel (Holbert, "Normal Offset Shadows", 2011).
import package::layout_frame::{View, FIRST_SHADOW_VIEW};
import package::scene::{views};
import package::transform::{to_view, to_screen, is_orthographic};

struct ShadowParameters {
    count: u32, // cascades of this frame
    blend_share: f32, // of half the width of a map
    last_blend_share: f32, // of the last one: into the light
}
@group(1) @binding(20) var<storage, read> shadow_parameters: array<ShadowParameters>;
@group(1) @binding(21) var<storage, read> shadow_maps: array<u32>; // reverse-Z bits, larger is nearer to the light

override use_shadows: bool = false;

const FILTER_REACH: f32 = 2.0; // texels along each axis
const NO_CASCADE: u32 = 0xffu;
const PIXEL_ERROR: f32 = 0.1; // pixels by which a surface is misplaced whatever the error accepted: snapping, rounding
const ROUNDING: f32 = 2e-6; // of a distance

struct Cascade {
    index: u32, // NO_CASCADE behind the last one
    weight: f32, // 1 inside, falling to 0 at the border
}

// Place of a point (relative to the camera's eye, world axes) in a map: texels, reverse-Z depth.
fn shadow_place(camera: View, cascade: View, position: vec3f) -> vec3f {
    let eye = (camera.eye_high - cascade.eye_high) + (camera.eye_low - cascade.eye_low);
    return to_screen(cascade, to_view(cascade, position + eye));
}

fn find_cascade(camera: View, position: vec3f, first: u32) -> Cascade {
    let parameters = shadow_parameters[0];
    for (var i = first; i < parameters.count; i++) {
        let cascade = views[FIRST_SHADOW_VIEW + i];
        let half_size = 0.5 * vec2f(cascade.size);
        let place = shadow_place(camera, cascade, position);
        let from_center = abs(place.xy - half_size);
        let border = half_size.x - FILTER_REACH - 1.0; // what lies inside has all its texels
        let inside = 1.0 - max(from_center.x, from_center.y) / border;
        if (inside > 0.0 && place.z >= 0.0 && place.z <= 1.0) {
            let share = select(parameters.blend_share, parameters.last_blend_share, i + 1u == parameters.count);
            return Cascade(i, select(1.0, min(inside / share, 1.0), share > 0.0));
        }
    }
    return Cascade(NO_CASCADE, 1.0);
}

// Metres by which a point must be lifted off its surface.
fn shadow_lift(camera: View, cascade: View, position: vec3f, sine: f32) -> f32 {
    let texel = 1.0 / cascade.lod_scale;
    let distance = select(max(dot(camera.forward, position), camera.near), 1.0, is_orthographic(camera));
    let camera_error = (camera.error_pixels + PIXEL_ERROR) * distance / camera.lod_scale;
    return (cascade.error_pixels + 1.5 * FILTER_REACH * sine) * texel + camera_error
        + ROUNDING * (length(position) + cascade.far - cascade.near);
}

// Light that passes, 0 to 1: a box of 3 x 3 texels about the point, by as much of each as it covers.
fn filtered_light(cascade: View, place: vec3f) -> f32 {
    let corner = floor(place.xy - 1.5);
    let part = place.xy - 0.5 - floor(place.xy - 0.5);
    let nearest = bitcast<u32>(max(place.z, 0.0));
    var light = 0.0;
    for (var y = 0u; y < 4u; y++) {
        let row = u32(corner.y) + y;
        let weight_y = select(select(1.0, part.y, y == 3u), 1.0 - part.y, y == 0u);
        for (var x = 0u; x < 4u; x++) {
            let weight_x = select(select(1.0, part.x, x == 3u), 1.0 - part.x, x == 0u);
            let stored = shadow_maps[cascade.first_pixel + row * cascade.size.x + u32(corner.x) + x];
            light += select(0.0, weight_x * weight_y, nearest >= stored);
        }
    }
    return light / 9.0;
}

fn cascade_light(camera: View, index: u32, position: vec3f, normal: vec3f) -> f32 {
    if (index == NO_CASCADE) {
        return 1.0;
    }
    let cascade = views[FIRST_SHADOW_VIEW + index];
    let cosine = dot(normal, cascade.forward);
    let lift = shadow_lift(camera, cascade, position, sqrt(max(1.0 - cosine * cosine, 0.0)));
    let lifted = position + lift * normal;
    return filtered_light(cascade, shadow_place(camera, cascade, lifted));
}

// `position` is relative to the eye of `camera`, `normal` the surface's; both in world axes. Beyond the last cascade all
// is lit.
fn shadow(camera: View, position: vec3f, normal: vec3f) -> f32 {
    if (!use_shadows) {
        return 1.0;
    }
    let cascade = find_cascade(camera, position, 0u);
    let light = cascade_light(camera, cascade.index, position, normal);
    if (cascade.weight >= 1.0) {
        return light;
    }
    let next = find_cascade(camera, position, cascade.index + 1u);
    return mix(cascade_light(camera, next.index, position, normal), light, cascade.weight);
}
