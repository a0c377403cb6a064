// Which points of a masked material are holes.
import package::scene::{materials};
import package::textures::{TexturePoint, sample_color};

// Width of a pixel in UV units where the mask is looked up; a raster pass sets it once for a triangle. 0: the finest level.
var<private> mask_footprint: f32 = 0.0;

// Whether the surface is not there: its alpha (of material, base-colour texture and vertex) lies below the cutoff.
fn is_masked_out(material_index: u32, uv: vec2f, vertex_alpha: f32) -> bool {
    let material = materials[material_index];
    let point = TexturePoint(uv, vec2f(mask_footprint, 0.0), vec2f(0.0, mask_footprint), material.sampler);
    let alpha = sample_color(material.base_color_texture, point, vec4f(1.0)).a;
    return material.base_color.a * vertex_alpha * alpha < material.alpha_cutoff;
}
