// One arbitrary output variable for every pixel, as words for numpy: from the visibility buffer, or, from AOV_VELOCITY on,
// from the depth targets and the G-buffer of a shaded frame.
import package::layout::{NONE};
import package::layout_frame::{VisibleCluster};
import package::shading::{AOV_DEPTH, AOV_NORMAL, AOV_INSTANCE, AOV_CLUSTER, AOV_TRIANGLE, AOV_LEVEL, AOV_VELOCITY, AOV_ALBEDO, AOV_SHADING_NORMAL, AOV_ROUGHNESS, AOV_METALLIC, AOV_OCCLUSION, AOV_EMISSIVE};
import package::scene::{views, meshes, groups, instances};
import package::visible::{sample_place, sample_triangle};
import package::decode::{cluster_level};
import package::surface::{Surface, reconstruct};
import package::gbuffer::{MaterialResult, unpack_gbuffer};

struct Aov {
    view: u32,
    kind: u32,
}
var<immediate> dispatch: Aov;

@group(1) @binding(0) var<storage, read> visible_clusters: array<VisibleCluster>;
@group(1) @binding(1) var<storage, read> visibility: array<vec2u>;
@group(1) @binding(2) var<storage, read_write> output: array<u32>; // words_of(kind) a pixel
@group(1) @binding(3) var<storage, read> velocity: array<u32>;
@group(1) @binding(4) var<storage, read> surface_color: array<vec2u>;
@group(1) @binding(5) var<storage, read> surface_shape: array<vec2u>;

const INFINITY_BITS: u32 = 0x7f800000u;

// Scene-wide number of the first cluster of the asset of an instance: that of the asset's first group.
fn first_cluster(instance: u32) -> u32 {
    return groups[meshes[instances[instance].mesh].group_base].first_cluster;
}

fn single_word(surface: Surface) -> u32 {
    switch dispatch.kind {
        case AOV_DEPTH: { return bitcast<u32>(surface.depth); }
        case AOV_INSTANCE: { return surface.instance_index; }
        case AOV_CLUSTER: { return surface.cluster.index + first_cluster(surface.instance_index); }
        case AOV_TRIANGLE: { return surface.triangle; }
        case AOV_LEVEL: { return cluster_level(surface.cluster); }
        default: { return surface.material; }
    }
}

// Words a pixel.
fn words_of(kind: u32) -> u32 {
    switch kind {
        case AOV_NORMAL, AOV_SHADING_NORMAL, AOV_ALBEDO, AOV_EMISSIVE: { return 3u; }
        case AOV_VELOCITY: { return 2u; }
        default: { return 1u; }
    }
}

fn shaded_value(result: MaterialResult, index: u32) -> vec3f {
    switch dispatch.kind {
        case AOV_VELOCITY: { return vec3f(unpack2x16float(velocity[index]), 0.0); }
        case AOV_ALBEDO: { return result.base_color; }
        case AOV_SHADING_NORMAL: { return result.normal; }
        case AOV_ROUGHNESS: { return vec3f(result.roughness); }
        case AOV_METALLIC: { return vec3f(result.metallic); }
        case AOV_OCCLUSION: { return vec3f(result.occlusion); }
        default: { return result.emissive; }
    }
}

fn write_words(index: u32, words: vec3u) {
    let count = words_of(dispatch.kind);
    for (var i = 0u; i < count; i++) {
        output[count * index + i] = words[i];
    }
}

@compute @workgroup_size(8, 8)
fn aov(@builtin(global_invocation_id) id: vec3u) {
    let view = views[dispatch.view];
    if (any(id.xy >= view.size)) {
        return;
    }
    let index = id.y * view.size.x + id.x;
    let sample = visibility[view.first_pixel + index];
    let is_shaded = dispatch.kind >= AOV_VELOCITY;
    if (sample.y == 0u) {
        let is_float = is_shaded || dispatch.kind == AOV_NORMAL;
        let nothing = select(select(NONE, 0u, is_float), INFINITY_BITS, dispatch.kind == AOV_DEPTH);
        write_words(index, vec3u(nothing));
        return;
    }
    if (is_shaded) {
        let value = shaded_value(unpack_gbuffer(surface_color[index], surface_shape[index]), index);
        write_words(index, bitcast<vec3u>(value));
        return;
    }
    let surface = reconstruct(id.xy, visible_clusters[sample_place(sample.x)], sample_triangle(sample.x));
    if (dispatch.kind == AOV_NORMAL) {
        write_words(index, bitcast<vec3u>(surface.normal));
    } else {
        write_words(index, vec3u(single_word(surface)));
    }
}
