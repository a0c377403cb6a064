// The image of a debug view, in place of base_pass and lighting. 8-bit sRGB, one word a pixel.
import package::layout::{MAX_CLUSTER_TRIANGLES};
import package::layout_frame::{View, PassState, VisibleCluster, PHASE_MAIN, SHOW_NORMALS, SHOW_CLUSTERS, SHOW_GROUPS, SHOW_LEVELS, SHOW_TRIANGLES, SHOW_INSTANCES, SHOW_MATERIALS, SHOW_DEPTH, SHOW_OVERDRAW, SHOW_MATERIAL_BINS, SHOW_OCCLUSION, SHOW_PYRAMID, SHOW_SHADOW_CASCADES, LEVEL_RAMP_END, BIN_SMALL, BIN_MASKED, BIN_HARDWARE};
import package::scene::{views, meshes, materials, instances};
import package::visible::{sample_place, sample_triangle, tie_hash};
import package::decode::{cluster_level};
import package::surface::{Surface, reconstruct};
import package::raster_bin::{raster_bin};
import package::pyramid_view::{NO_LEVEL, pyramid_pixel, pyramid_cell, depth_distance};
import package::shadow::{shadow, find_cascade, NO_CASCADE};
import package::color::{hash_color, ramp_color, srgb_encode};

struct DebugView {
    light_direction: vec3f, // unit, towards the light
    depth_scale: f32, // for the views of depth: the distance that is shown half bright
    view: u32,
    background: u32, // image word of a pixel that shows nothing
}
@group(1) @binding(0) var<storage, read> debug_parameters: array<DebugView>;
@group(1) @binding(1) var<storage, read> visible_clusters: array<VisibleCluster>;
@group(1) @binding(2) var<storage, read> visibility: array<vec2u>; // low word, depth bits
@group(1) @binding(3) var<storage, read> overdraw: array<u32>;
@group(1) @binding(4) var<storage, read_write> image: array<u32>;
@group(1) @binding(5) var<storage, read_write> states: array<PassState, 2>;

override show: u32 = SHOW_NORMALS;

fn shown(surface: Surface, place: u32, pixel_index: u32) -> vec3f {
    let cluster = surface.cluster;
    let instance = surface.instance_index;
    let group_base = meshes[instances[instance].mesh].group_base;
    // A little light keeps the shape readable under flat colours.
    let shape = 0.45 + 0.55 * max(dot(surface.normal, debug_parameters[0].light_direction), 0.0);
    switch show {
        case SHOW_NORMALS: { return pow(max(0.5 + 0.5 * surface.normal, vec3f(0.0)), vec3f(2.2)); }
        case SHOW_CLUSTERS: { return shape * hash_color(tie_hash(instance, cluster.index)); }
        case SHOW_GROUPS: { return shape * hash_color(tie_hash(instance, 0x40000000u + group_base + cluster.group)); }
        case SHOW_LEVELS: { return shape * ramp_color(f32(cluster_level(cluster)) / LEVEL_RAMP_END); }
        case SHOW_TRIANGLES: { return shape * hash_color(tie_hash(cluster.index * MAX_CLUSTER_TRIANGLES + surface.triangle, instance)); }
        case SHOW_INSTANCES: { return shape * hash_color(tie_hash(instance, 7u)); }
        case SHOW_MATERIALS: { return shape * hash_color(tie_hash(surface.material, 11u)); }
        case SHOW_MATERIAL_BINS: { return shape * hash_color(tie_hash(materials[surface.material].shader, 13u)); }
        case SHOW_DEPTH: { return depth_grey(surface.depth); }
        case SHOW_OCCLUSION: { return shape * pass_color(place); }
        case SHOW_OVERDRAW: { return ramp_color(log2(f32(max(overdraw[pixel_index], 1u))) / 6.0); }
        case SHOW_SHADOW_CASCADES: { return cascade_color(surface, shape); }
        default: { return shape * bin_color(surface); } // SHOW_RASTER
    }
}

fn depth_grey(distance: f32) -> vec3f {
    return vec3f(1.0 / (1.0 + pow(distance / debug_parameters[0].depth_scale, 5.0)));
}

// Main pass blue, post pass orange: its clusters lie behind those of the main pass in the list.
fn pass_color(place: u32) -> vec3f {
    let is_main = place < atomicLoad(&states[PHASE_MAIN].visible_clusters);
    return select(vec3f(0.95, 0.45, 0.1), vec3f(0.2, 0.4, 0.9), is_main);
}

// Grey where there is no cascade; what is in shadow is darker.
fn cascade_color(surface: Surface, shape: f32) -> vec3f {
    let camera = views[debug_parameters[0].view];
    let index = find_cascade(camera, surface.position, 0u).index;
    let tint = select(ramp_color(0.15 + 0.25 * f32(index)), vec3f(0.5), index == NO_CASCADE);
    return shape * tint * (0.3 + 0.7 * shadow(camera, surface.position, surface.normal));
}

// Software blue, small clusters cyan, masked green, hardware orange.
fn bin_color(surface: Surface) -> vec3f {
    let instance = instances[surface.instance_index];
    let view = views[debug_parameters[0].view];
    switch raster_bin(view, instance, meshes[instance.mesh].step, surface.cluster) {
        case BIN_SMALL: { return vec3f(0.15, 0.75, 0.8); }
        case BIN_MASKED: { return vec3f(0.25, 0.7, 0.2); }
        case BIN_HARDWARE: { return vec3f(0.95, 0.45, 0.1); }
        default: { return vec3f(0.2, 0.4, 0.9); }
    }
}

fn image_word(color: vec3f) -> u32 {
    return pack4x8unorm(vec4f(srgb_encode(color), 1.0));
}

fn pyramid_word(view: View, pixel: vec2u) -> u32 {
    let shown_pixel = pyramid_pixel(view, pixel);
    if (shown_pixel.level == NO_LEVEL) {
        return image_word(vec3f(0.0));
    }
    var bits = visibility[view.first_pixel + shown_pixel.source.y * view.size.x + shown_pixel.source.x].y;
    if (shown_pixel.level > 0u) {
        bits = pyramid_cell(view, shown_pixel.level, shown_pixel.source);
    }
    if (bits == 0u) {
        return debug_parameters[0].background;
    }
    return image_word(depth_grey(depth_distance(view, bits)));
}

@compute @workgroup_size(8, 8)
fn debug_view(@builtin(global_invocation_id) id: vec3u) {
    let view = views[debug_parameters[0].view];
    if (any(id.xy >= view.size)) {
        return;
    }
    let index = id.y * view.size.x + id.x;
    if (show == SHOW_PYRAMID) {
        image[index] = pyramid_word(view, id.xy);
        return;
    }
    let sample = visibility[view.first_pixel + index];
    if (sample.y == 0u) {
        image[index] = debug_parameters[0].background;
        return;
    }
    let place = sample_place(sample.x);
    let surface = reconstruct(id.xy, visible_clusters[place], sample_triangle(sample.x));
    image[index] = image_word(shown(surface, place, view.first_pixel + index));
}
