// Reflection of a metallic-roughness surface: Lambert and GGX.
import package::gbuffer::{MaterialResult};

const PI: f32 = 3.14159265;
const DIELECTRIC: f32 = 0.04; // reflectance at normal incidence of what is not metal
const LEAST_ALPHA: f32 = 0.002; // a mirror's highlight of a point-like light would be smaller than a pixel

fn specular_color(surface: MaterialResult) -> vec3f {
    return mix(vec3f(DIELECTRIC), surface.base_color, surface.metallic);
}

fn diffuse_color(surface: MaterialResult) -> vec3f {
    return surface.base_color * (1.0 - surface.metallic);
}

// Light that leaves towards `eye` for each unit that arrives from `light` on a plane across it, times PI (Walter et
// al., "Microfacet Models for Refraction through Rough Surfaces", 2007; Schlick, "An Inexpensive BRDF Model", 1994;
// Heitz, "Understanding the Masking-Shadowing Function", 2014).
fn direct_light(surface: MaterialResult, light: vec3f, eye: vec3f) -> vec3f {
    let n_l = dot(surface.normal, light);
    if (n_l <= 0.0) {
        return vec3f(0.0);
    }
    let n_v = max(dot(surface.normal, eye), 1e-3);
    let half_way = normalize(light + eye);
    let n_h = clamp(dot(surface.normal, half_way), 0.0, 1.0);
    let l_h = clamp(dot(light, half_way), 0.0, 1.0);
    let alpha = max(surface.roughness * surface.roughness, LEAST_ALPHA);
    let alpha_squared = alpha * alpha;
    let spread = n_h * n_h * (alpha_squared - 1.0) + 1.0;
    let distribution = alpha_squared / (spread * spread); // times PI
    let masking = n_l * sqrt(n_v * n_v * (1.0 - alpha_squared) + alpha_squared)
        + n_v * sqrt(n_l * n_l * (1.0 - alpha_squared) + alpha_squared);
    let f0 = specular_color(surface);
    let fresnel = f0 + (1.0 - f0) * pow(1.0 - l_h, 5.0);
    let specular = fresnel * (0.5 * distribution / max(masking, 1e-6));
    return ((1.0 - fresnel) * diffuse_color(surface) + specular) * n_l;
}

// Share of a constant surrounding that a surface mirrors (Karis, "Physically Based Shading on Mobile", 2014).
fn surrounding_share(f0: vec3f, roughness: f32, n_v: f32) -> vec3f {
    let r = roughness * vec4f(-1.0, -0.0275, -0.572, 0.022) + vec4f(1.0, 0.0425, 1.04, -0.04);
    let a = min(r.x * r.x, exp2(-9.28 * n_v)) * r.x + r.y;
    let scale = vec2f(-1.04, 1.04) * a + r.zw;
    return f0 * scale.x + scale.y;
}
