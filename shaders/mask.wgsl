// The alpha test of masked materials: what lies below the cutoff is not drawn.
import package::layout::{Cluster, CLUSTER_HAS_UVS, CLUSTER_HAS_COLORS, MATERIAL_MASKED};
import package::layout_frame::{View};
import package::scene::{materials};
import package::textures::{TexturePoint, sample_color};
import package::transform::{is_orthographic};
import package::decode::{read_uv, read_color, uv_stream, color_stream, has_flag};

override has_masks: bool = true; // some material of the scene is masked

// Width of a pixel in UV units where the mask is looked up; a raster pass sets it once for a triangle. 0: the finest level.
var<private> mask_footprint: f32 = 0.0;

// Whether a masked material (numbered in the scene) is absent at a place of its surface: the alpha of material,
// base-colour texture and vertex lies below the cutoff.
fn is_masked_out(material_index: u32, uv: vec2f, vertex_alpha: f32) -> bool {
    if (!has_masks) {
        return false;
    }
    let material = materials[material_index];
    if ((material.flags & MATERIAL_MASKED) == 0u) {
        return false;
    }
    let point = TexturePoint(uv, vec2f(mask_footprint, 0.0), vec2f(0.0, mask_footprint), material.sampler);
    let alpha = sample_color(material.base_color_texture, point, vec4f(1.0)).a;
    return material.base_color.a * vertex_alpha * alpha < material.alpha_cutoff;
}

// What the alpha test needs of a vertex: u, v, alpha of its colour.
fn read_mask_vertex(address: u32, cluster: Cluster, uv_step: f32, vertex: u32) -> vec3f {
    var values = vec3f(0.0, 0.0, 1.0);
    if (has_flag(cluster, CLUSTER_HAS_UVS)) {
        values = vec3f(read_uv(uv_stream(address, cluster), cluster, uv_step, vertex), 1.0);
    }
    if (has_flag(cluster, CLUSTER_HAS_COLORS)) {
        values.z = read_color(color_stream(address, cluster), vertex).a;
    }
    return values;
}

// A masked triangle: its material and the values of its corners, columns in the order of its edge values.
struct Mask {
    material: u32,
    a: vec3f,
    b: vec3f,
    c: vec3f,
}

// Corner weights in the plane of the triangle from those on the screen. Reverse-Z depth is the near distance over the
// distance, so the weights times it are those of perspective, but for their sum.
fn corner_weights(view: View, screen_weights: vec3f, corner_depths: vec3f) -> vec3f {
    let weights = screen_weights * select(corner_depths, vec3f(1.0), is_orthographic(view));
    return weights / (weights.x + weights.y + weights.z);
}

fn is_sample_masked_out(mask: Mask, weights: vec3f) -> bool {
    let values = mask.a * weights.x + mask.b * weights.y + mask.c * weights.z;
    return is_masked_out(mask.material, values.xy, values.z);
}
