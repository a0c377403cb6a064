// One arbitrary output variable of the visibility buffer for every pixel, as words for numpy.
import package::layout::{VisibleCluster, NONE, AOV_DEPTH, AOV_NORMAL, AOV_INSTANCE, AOV_CLUSTER, AOV_TRIANGLE, AOV_LEVEL};
import package::scene::{views, meshes, groups, instances};
import package::visible::{sample_place, sample_triangle};
import package::decode::{cluster_level};
import package::surface::{Surface, reconstruct};

struct Aov {
    view: u32,
    kind: u32,
}
var<immediate> dispatch: Aov;

@group(1) @binding(0) var<storage, read> visible_clusters: array<VisibleCluster>;
@group(1) @binding(1) var<storage, read> visibility: array<vec2u>;
@group(1) @binding(2) var<storage, read_write> output: array<u32>; // three words a pixel for normals, else one

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

@compute @workgroup_size(8, 8)
fn aov(@builtin(global_invocation_id) id: vec3u) {
    let view = views[dispatch.view];
    if (any(id.xy >= view.size)) {
        return;
    }
    let index = id.y * view.size.x + id.x;
    let sample = visibility[view.first_pixel + index];
    let is_hit = sample.y != 0u;
    var surface: Surface;
    if (is_hit) {
        surface = reconstruct(id.xy, visible_clusters[sample_place(sample.x)], sample_triangle(sample.x));
    }
    if (dispatch.kind == AOV_NORMAL) {
        let normal = select(vec3f(0.0), surface.normal, is_hit);
        output[3u * index] = bitcast<u32>(normal.x);
        output[3u * index + 1u] = bitcast<u32>(normal.y);
        output[3u * index + 2u] = bitcast<u32>(normal.z);
    } else {
        let nothing = select(NONE, INFINITY_BITS, dispatch.kind == AOV_DEPTH);
        output[index] = select(nothing, single_word(surface), is_hit);
    }
}
