// Read cluster records and their streams from the page pool. layout.wgsl describes the streams.
import package::layout::{Cluster, CLUSTER_HAS_UVS, CLUSTER_HAS_NORMALS};
import package::scene::{pool_word};

fn read_cluster(address: u32) -> Cluster {
    var cluster: Cluster;
    cluster.origin = bitcast<vec3i>(vec3u(pool_word(address), pool_word(address + 1u), pool_word(address + 2u)));
    cluster.made_by = pool_word(address + 3u);
    cluster.extent = vec3u(pool_word(address + 4u), pool_word(address + 5u), pool_word(address + 6u));
    cluster.group = pool_word(address + 7u);
    cluster.counts = pool_word(address + 8u);
    cluster.bits = pool_word(address + 9u);
    cluster.data = pool_word(address + 10u);
    cluster.index = pool_word(address + 11u);
    return cluster;
}

fn vertex_count(cluster: Cluster) -> u32 {
    return cluster.counts & 255u;
}

fn triangle_count(cluster: Cluster) -> u32 {
    return (cluster.counts >> 8u) & 255u;
}

fn cluster_level(cluster: Cluster) -> u32 {
    return (cluster.counts >> 16u) & 255u;
}

fn has_flag(cluster: Cluster, flag: u32) -> bool {
    return ((cluster.counts >> 24u) & flag) != 0u;
}

fn range_count(cluster: Cluster) -> u32 {
    return cluster.bits >> 25u;
}

fn position_bits(cluster: Cluster) -> vec3u {
    return (vec3u(cluster.bits) >> vec3u(0u, 5u, 10u)) & vec3u(31u);
}

fn uv_bits(cluster: Cluster) -> vec2u {
    return (vec2u(cluster.bits) >> vec2u(15u, 20u)) & vec2u(31u);
}

// First word of each stream.
fn triangle_stream(address: u32, cluster: Cluster) -> u32 {
    return address + cluster.data + range_count(cluster);
}

fn position_stream(address: u32, cluster: Cluster) -> u32 {
    return triangle_stream(address, cluster) + (3u * triangle_count(cluster) + 3u) / 4u;
}

fn normal_stream(address: u32, cluster: Cluster) -> u32 {
    let bits = position_bits(cluster);
    return position_stream(address, cluster) + (vertex_count(cluster) * (bits.x + bits.y + bits.z) + 31u) / 32u;
}

fn uv_stream(address: u32, cluster: Cluster) -> u32 {
    let words = select(0u, (vertex_count(cluster) + 1u) / 2u, has_flag(cluster, CLUSTER_HAS_NORMALS));
    return normal_stream(address, cluster) + words;
}

fn color_stream(address: u32, cluster: Cluster) -> u32 {
    let bits = uv_bits(cluster);
    let words = 2u + (vertex_count(cluster) * (bits.x + bits.y) + 31u) / 32u;
    return uv_stream(address, cluster) + select(0u, words, has_flag(cluster, CLUSTER_HAS_UVS));
}

// `count` bits (0 to 31) at bit `place` of the stream that begins at word `stream`.
fn read_bits(stream: u32, place: u32, count: u32) -> u32 {
    let word = stream + (place >> 5u);
    let shift = place & 31u;
    var value = pool_word(word) >> shift;
    if (shift + count > 32u) {
        value |= pool_word(word + 1u) << (32u - shift);
    }
    return value & ((1u << count) - 1u);
}

// Local indices of the corners of a triangle.
fn read_triangle(stream: u32, triangle: u32) -> vec3u {
    let place = 24u * triangle;
    let word = stream + (place >> 5u);
    let shift = place & 31u;
    var value = pool_word(word) >> shift;
    if (shift > 8u) {
        value |= pool_word(word + 1u) << (32u - shift);
    }
    return (vec3u(value) >> vec3u(0u, 8u, 16u)) & vec3u(255u);
}

// `count` bits (0 to 31) that begin at bit `place` (0 to 95) of three words.
fn extract(words: vec3u, place: u32, count: u32) -> u32 {
    let first = place >> 5u;
    let shift = place & 31u;
    let low = select(select(words.x, words.y, first == 1u), words.z, first == 2u);
    let high = select(words.y, words.z, first == 1u);
    // Two shifts: one by 32 - 0 would be undefined.
    return ((low >> shift) | ((high << 1u) << (31u - shift))) & ((1u << count) - 1u);
}

// Object-space position of a vertex: integers below 2^24 times a power of two, so exact. Its three offsets lie in
// three consecutive words.
fn read_position(stream: u32, cluster: Cluster, step: f32, vertex: u32) -> vec3f {
    let bits = position_bits(cluster);
    let place = vertex * (bits.x + bits.y + bits.z);
    let word = stream + (place >> 5u);
    let words = vec3u(pool_word(word), pool_word(word + 1u), pool_word(word + 2u));
    let start = place & 31u;
    let offset = vec3i(vec3u(
        extract(words, start, bits.x),
        extract(words, start + bits.x, bits.y),
        extract(words, start + bits.x + bits.y, bits.z),
    ));
    return vec3f(cluster.origin + offset) * step;
}

// Octahedral normal, two signed bytes (Cigolle et al., "A Survey of Efficient Representations for Independent Unit Vectors", 2014).
fn read_normal(stream: u32, vertex: u32) -> vec3f {
    let p = unpack4x8snorm(pool_word(stream + (vertex >> 1u)) >> (16u * (vertex & 1u))).xy;
    var n = vec3f(p, 1.0 - abs(p.x) - abs(p.y));
    let fold = max(-n.z, 0.0);
    n.x -= select(-fold, fold, n.x >= 0.0);
    n.y -= select(-fold, fold, n.y >= 0.0);
    return normalize(n);
}

fn read_uv(stream: u32, cluster: Cluster, uv_step: f32, vertex: u32) -> vec2f {
    let bits = uv_bits(cluster);
    let origin = bitcast<vec2i>(vec2u(pool_word(stream), pool_word(stream + 1u)));
    let place = vertex * (bits.x + bits.y);
    let offset = vec2u(read_bits(stream + 2u, place, bits.x), read_bits(stream + 2u, place + bits.x, bits.y));
    return vec2f(origin + vec2i(offset)) * uv_step;
}

fn read_color(stream: u32, vertex: u32) -> vec4f {
    return unpack4x8unorm(pool_word(stream + vertex));
}

// Material of a triangle, as numbered in the asset: the first range that ends behind it.
fn read_material(address: u32, cluster: Cluster, triangle: u32) -> u32 {
    var range = 0u;
    for (var i = 0u; i < range_count(cluster); i++) {
        range = pool_word(address + cluster.data + i);
        if (triangle < (range & 255u)) {
            break;
        }
    }
    return range >> 8u;
}
