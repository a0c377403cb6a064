// The G-buffer: four words a pixel in two buffers.
//   surface_color: albedo (11, 11, 10 bits, square roots), emissive (9 bits each with a shared exponent of 5)
//   surface_shape: shading normal in world space (octahedral, two 16-bit snorms), roughness, metallic, occlusion (8 bits each)

// What a material function returns.
struct MaterialResult {
    base_color: vec3f, // linear, 0 to 1
    metallic: f32,
    roughness: f32, // perceptual: its square is the alpha of GGX
    occlusion: f32, // 1: open to the sky
    normal: vec3f, // world space, unit
    emissive: vec3f, // linear, in units of scene light
}

fn pack_color(result: MaterialResult) -> vec2u {
    let root = sqrt(clamp(result.base_color, vec3f(0.0), vec3f(1.0)));
    let bits = vec3u(root * vec3f(2047.0, 2047.0, 1023.0) + 0.5);
    return vec2u(bits.x | (bits.y << 11u) | (bits.z << 22u), pack_shared_exponent(result.emissive));
}

fn pack_shape(result: MaterialResult) -> vec2u {
    let numbers = vec4f(result.roughness, result.metallic, result.occlusion, 0.0);
    return vec2u(pack2x16snorm(octahedral(result.normal)), pack4x8unorm(numbers));
}

fn unpack_gbuffer(color: vec2u, shape: vec2u) -> MaterialResult {
    var result: MaterialResult;
    let root = vec3f((vec3u(color.x) >> vec3u(0u, 11u, 22u)) & vec3u(2047u, 2047u, 1023u)) / vec3f(2047.0, 2047.0, 1023.0);
    result.base_color = root * root;
    result.emissive = unpack_shared_exponent(color.y);
    result.normal = from_octahedral(unpack2x16snorm(shape.x));
    let numbers = unpack4x8unorm(shape.y);
    result.roughness = numbers.x;
    result.metallic = numbers.y;
    result.occlusion = numbers.z;
    return result;
}

// Cigolle et al., "A Survey of Efficient Representations for Independent Unit Vectors", 2014.
fn octahedral(n: vec3f) -> vec2f {
    let p = n.xy / max(abs(n.x) + abs(n.y) + abs(n.z), 1e-20);
    let folded = (1.0 - abs(p.yx)) * select(vec2f(-1.0), vec2f(1.0), p >= vec2f(0.0));
    return select(p, folded, n.z < 0.0);
}

fn from_octahedral(p: vec2f) -> vec3f {
    let z = 1.0 - abs(p.x) - abs(p.y);
    let fold = max(-z, 0.0);
    return normalize(vec3f(p - select(vec2f(-fold), vec2f(fold), p >= vec2f(0.0)), z));
}

// 9 bits of each colour and 5 of exponent, as in the texture format rgb9e5.
fn pack_shared_exponent(color: vec3f) -> u32 {
    let bounded = clamp(color, vec3f(0.0), vec3f(65408.0));
    let largest = max(bounded.x, max(bounded.y, bounded.z));
    if (largest < 1e-6) {
        return 0u;
    }
    var exponent = clamp(i32(floor(log2(largest))) + 16, 0, 31);
    // The largest may round up to the next power of two.
    exponent = select(exponent, exponent + 1, u32(largest * exp2(f32(24 - exponent)) + 0.5) > 511u);
    let bits = vec3u(bounded * exp2(f32(24 - exponent)) + 0.5);
    return bits.x | (bits.y << 9u) | (bits.z << 18u) | (u32(exponent) << 27u);
}

fn unpack_shared_exponent(word: u32) -> vec3f {
    let bits = (vec3u(word) >> vec3u(0u, 9u, 18u)) & vec3u(511u);
    return vec3f(bits) * exp2(f32(word >> 27u) - 24.0);
}
