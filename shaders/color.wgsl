// Colours of the debug views, and sRGB.

// A bright colour for a number.
fn hash_color(hash: u32) -> vec3f {
    let hue = f32(hash & 0xffffu) / 65536.0 * 6.0;
    let value = 0.55 + 0.45 * f32((hash >> 16u) & 255u) / 255.0;
    let saturation = 0.45 + 0.4 * f32(hash >> 24u) / 255.0;
    let pure = clamp(abs(vec3f(hue - 3.0, hue - 2.0, hue - 4.0)) * vec3f(1.0, -1.0, -1.0) + vec3f(-1.0, 2.0, 2.0), vec3f(0.0), vec3f(1.0));
    return value * mix(vec3f(1.0), pure, saturation);
}

// 0 to 1: blue, cyan, green, yellow, red; readable without telling red from green by its steady brightness.
fn ramp_color(t: f32) -> vec3f {
    let x = clamp(t, 0.0, 1.0);
    let low = mix(vec3f(0.05, 0.03, 0.35), vec3f(0.1, 0.45, 0.55), smoothstep(0.0, 0.4, x));
    let middle = mix(low, vec3f(0.35, 0.75, 0.3), smoothstep(0.3, 0.65, x));
    return mix(middle, vec3f(1.0, 0.85, 0.15), smoothstep(0.6, 1.0, x));
}

fn srgb_encode(linear: vec3f) -> vec3f {
    let c = clamp(linear, vec3f(0.0), vec3f(1.0));
    return select(1.055 * pow(c, vec3f(1.0 / 2.4)) - 0.055, 12.92 * c, c <= vec3f(0.0031308));
}

fn srgb_decode(coded: vec3f) -> vec3f {
    return select(pow((coded + 0.055) / 1.055, vec3f(2.4)), coded / 12.92, coded <= vec3f(0.04045));
}
