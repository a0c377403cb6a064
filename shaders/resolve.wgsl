// The image of the visibility buffer: shaded, or one of the debug views. 8-bit sRGB, one word a pixel.
import package::layout::{MAX_CLUSTER_TRIANGLES, VisibleCluster, SHOW_NORMALS, SHOW_CLUSTERS, SHOW_GROUPS, SHOW_LEVELS, SHOW_TRIANGLES, SHOW_INSTANCES, SHOW_MATERIALS, SHOW_DEPTH, SHOW_OVERDRAW, SHOW_RASTER, BIN_SMALL, BIN_MASKED, BIN_HARDWARE};
import package::scene::{views, meshes, materials, instances};
import package::visible::{sample_place, sample_triangle, tie_hash};
import package::decode::{cluster_level};
import package::surface::{Surface, reconstruct};
import package::raster_bin::{raster_bin};
import package::color::{hash_color, ramp_color, srgb_encode};

struct Resolve {
    background: vec3f,
    view: u32,
    light_direction: vec3f, // unit, towards the light
    exposure: f32,
    depth_scale: f32, // for the depth view: the distance that is shown half bright
}
@group(1) @binding(0) var<storage, read> resolve_parameters: array<Resolve>;
@group(1) @binding(1) var<storage, read> visible_clusters: array<VisibleCluster>;
@group(1) @binding(2) var<storage, read> visibility: array<vec2u>; // low word, depth bits
@group(1) @binding(3) var<storage, read> overdraw: array<u32>;
@group(1) @binding(4) var<storage, read_write> image: array<u32>;

override show: u32 = 0u;

fn lit(surface: Surface) -> vec3f {
    let material = materials[surface.material];
    let albedo = material.base_color.rgb * surface.color.rgb;
    let diffuse = max(dot(surface.normal, resolve_parameters[0].light_direction), 0.0);
    // Sky above, ground below.
    let ambient = mix(vec3f(0.10, 0.095, 0.09), vec3f(0.26, 0.29, 0.34), 0.5 + 0.5 * surface.normal.y);
    return albedo * (ambient + 0.68 * diffuse) * resolve_parameters[0].exposure + material.emissive;
}

fn shown(surface: Surface, pixel_index: u32) -> vec3f {
    let cluster = surface.cluster;
    let instance = surface.instance_index;
    let group_base = meshes[instances[instance].mesh].group_base;
    // A little light keeps the shape readable under flat colours.
    let shape = 0.45 + 0.55 * max(dot(surface.normal, resolve_parameters[0].light_direction), 0.0);
    switch show {
        case SHOW_NORMALS: { return pow(max(0.5 + 0.5 * surface.normal, vec3f(0.0)), vec3f(2.2)); }
        case SHOW_CLUSTERS: { return shape * hash_color(tie_hash(instance, cluster.index)); }
        case SHOW_GROUPS: { return shape * hash_color(tie_hash(instance, 0x40000000u + group_base + cluster.group)); }
        case SHOW_LEVELS: { return shape * ramp_color(f32(cluster_level(cluster)) / 14.0); }
        case SHOW_TRIANGLES: { return shape * hash_color(tie_hash(cluster.index * MAX_CLUSTER_TRIANGLES + surface.triangle, instance)); }
        case SHOW_INSTANCES: { return shape * hash_color(tie_hash(instance, 7u)); }
        case SHOW_MATERIALS: { return shape * hash_color(tie_hash(surface.material, 11u)); }
        case SHOW_DEPTH: { return vec3f(1.0 / (1.0 + pow(surface.depth / resolve_parameters[0].depth_scale, 5.0))); }
        case SHOW_OVERDRAW: { return ramp_color(log2(f32(max(overdraw[pixel_index], 1u))) / 6.0); }
        case SHOW_RASTER: { return shape * bin_color(surface); }
        default: { return lit(surface); }
    }
}

// Software blue, small clusters cyan, masked green, hardware orange.
fn bin_color(surface: Surface) -> vec3f {
    let instance = instances[surface.instance_index];
    let view = views[resolve_parameters[0].view];
    switch raster_bin(view, instance, meshes[instance.mesh].step, surface.cluster) {
        case BIN_SMALL: { return vec3f(0.15, 0.75, 0.8); }
        case BIN_MASKED: { return vec3f(0.25, 0.7, 0.2); }
        case BIN_HARDWARE: { return vec3f(0.95, 0.45, 0.1); }
        default: { return vec3f(0.2, 0.4, 0.9); }
    }
}

@compute @workgroup_size(8, 8)
fn resolve(@builtin(global_invocation_id) id: vec3u) {
    let view = views[resolve_parameters[0].view];
    if (any(id.xy >= view.size)) {
        return;
    }
    let index = id.y * view.size.x + id.x;
    let sample = visibility[view.first_pixel + index];
    var color = resolve_parameters[0].background;
    if (sample.y != 0u) {
        let surface = reconstruct(id.xy, visible_clusters[sample_place(sample.x)], sample_triangle(sample.x));
        color = shown(surface, view.first_pixel + index);
    }
    image[index] = pack4x8unorm(vec4f(srgb_encode(color), 1.0));
}
