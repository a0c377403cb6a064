// Physically based metallic-roughness shading (Khronos, "glTF 2.0 Specification", 3.9).
import package::layout::{Material, NONE};
import package::scene::{materials};
import package::surface::{Surface};
import package::gbuffer::{MaterialResult};
import package::textures::{TexturePoint, sample_color, sample_data, texture_arrays};

fn material(surface: Surface) -> MaterialResult {
    let source = materials[surface.material];
    let point = TexturePoint(surface.uv, surface.uv_dx, surface.uv_dy, source.sampler);
    let one = vec4f(1.0);
    var result: MaterialResult;
    result.base_color = source.base_color.rgb * surface.color.rgb * sample_color(source.base_color_texture, point, one).rgb;
    let surface_values = sample_data(source.metallic_roughness_texture, point, one);
    result.metallic = source.metallic * surface_values.b;
    result.roughness = source.roughness * surface_values.g;
    result.occlusion = 1.0 + source.occlusion_strength * (sample_data(source.occlusion_texture, point, one).r - 1.0);
    result.emissive = source.emissive * sample_color(source.emissive_texture, point, one).rgb;
    result.normal = surface.normal;
    if (texture_arrays > 0u && source.normal_texture != NONE) {
        let flat = vec4f(0.5, 0.5, 1.0, 1.0);
        result.normal = bumped_normal(surface, source, sample_data(source.normal_texture, point, flat).xyz);
    }
    return result;
}

// Shading normal of a tangent-space one (coded 0 to 1). The frame is the triangle's own: x where u grows, y where v falls.
fn bumped_normal(surface: Surface, source: Material, coded: vec3f) -> vec3f {
    let n = surface.normal;
    let along = surface.tangent - n * dot(n, surface.tangent);
    let length_squared = dot(along, along);
    if (length_squared < 1e-30) {
        return n;
    }
    let tangent = along * inverseSqrt(length_squared);
    let side = cross(n, tangent);
    let bitangent = select(side, -side, dot(side, surface.bitangent) < 0.0);
    let bump = (coded * 2.0 - 1.0) * vec3f(source.normal_scale, source.normal_scale, 1.0);
    return normalize(tangent * bump.x + bitangent * bump.y + n * max(bump.z, 1e-3));
}
