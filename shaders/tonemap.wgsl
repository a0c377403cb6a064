// From scene light to what a screen can show, both linear in sRGB primaries.
import package::shading::{TONEMAP_NEUTRAL, TONEMAP_ACES};

fn tonemap(curve: u32, color: vec3f) -> vec3f {
    switch curve {
        case TONEMAP_NEUTRAL: { return neutral(color); }
        case TONEMAP_ACES: { return aces(color); }
        default: { return color; }
    }
}

// Keeps base colours as they are and compresses only highlights (Khronos, "PBR Neutral Tone Mapper", 2024).
fn neutral(light: vec3f) -> vec3f {
    let start = 0.8 - 0.04;
    let desaturation = 0.15;
    let least = min(light.x, min(light.y, light.z));
    let offset = select(0.04, least - 6.25 * least * least, least < 0.08);
    let color = light - offset;
    let peak = max(color.x, max(color.y, color.z));
    if (peak < start) {
        return color;
    }
    let range = 1.0 - start;
    let new_peak = 1.0 - range * range / (peak + range - start);
    let whiteness = 1.0 - 1.0 / (desaturation * (peak - new_peak) + 1.0);
    return mix(color * (new_peak / peak), vec3f(new_peak), whiteness);
}

// Film-like (Narkowicz, "ACES Filmic Tone Mapping Curve", 2015).
fn aces(light: vec3f) -> vec3f {
    let x = 0.6 * light;
    return clamp(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), vec3f(0.0), vec3f(1.0));
}
