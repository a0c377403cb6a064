// Every structure that file, host and GPU share, and every limit they agree on: a change here makes older asset files
// unreadable. What is only in memory is in layout_frame.wgsl. engine/layout.py reads both texts into numpy dtypes;
// nothing here is written down a second time.
//
// Indices in an asset file count from the start of that file. Scene upload moves them to the scene's
// tables (nodes, groups, pages); only references inside a page stay relative, to Mesh.group_base.

const NONE: u32 = 0xffffffffu;

// Limits of the cluster hierarchy.
const MAX_CLUSTER_TRIANGLES: u32 = 128u;
const MAX_CLUSTER_VERTICES: u32 = 255u;
const MAX_GROUP_CLUSTERS: u32 = 32u;
const BVH_WIDTH: u32 = 8u;
// The error of a root group: larger than any length, and finite when scaled and projected.
const ROOT_ERROR: f32 = 1e30;

// Pages. A page travels, is decoded and becomes resident as a whole.
const PAGE_WORDS: u32 = 32768u; // 128 KiB
const ROOT_PAGE_WORDS: u32 = 8192u; // 32 KiB
const PAGE_HEADER_WORDS: u32 = 8u;
const CLUSTER_WORDS: u32 = 12u;

// Cluster.counts: flags in the top byte.
const CLUSTER_MASKED: u32 = 1u;
const CLUSTER_TWO_SIDED: u32 = 2u;
const CLUSTER_HAS_NORMALS: u32 = 4u;
const CLUSTER_HAS_UVS: u32 = 8u;
const CLUSTER_HAS_COLORS: u32 = 16u;

// Node.child_count of a leaf, whose Node.child is a group.
const NODE_LEAF: u32 = 0u;

// PageHeader.flags
const PAGE_ROOT: u32 = 1u;

// Material.flags
const MATERIAL_MASKED: u32 = 1u;
const MATERIAL_TWO_SIDED: u32 = 2u;
const MATERIAL_BLENDED: u32 = 4u; // drawn as opaque; kept so that a report can name it

// One entry of the BVH. Inner node: everything below it. Leaf: one group, with that group's own
// sphere and error, bit for bit, so that a group is judged alike wherever it is met.
struct Node {
    center: vec3f, // level-of-detail sphere; contains the spheres of the groups below
    radius: f32,
    box_min: vec3f, // geometry of the members below: for frustum and occlusion only
    geometric_error: f32, // largest below; object-space length
    box_max: vec3f,
    attribute_error: f32, // largest below
    child: u32, // first child node, or the group of a leaf
    child_count: u32, // NODE_LEAF or 1..BVH_WIDTH
    made_by_geometric_error: f32, // smallest of the groups that made members below; 0 if one is a source cluster
    made_by_attribute_error: f32,
}

// Clusters that were simplified together. Its members are drawn where its error is too large to accept.
struct Group {
    center: vec3f, // level-of-detail sphere; contains the spheres of the groups that made its members
    radius: f32,
    box_min: vec3f, // geometry of its members
    geometric_error: f32, // claimed distance of its products to the source; ROOT_ERROR where nothing was made
    box_max: vec3f,
    attribute_error: f32,
    page: u32,
    first_cluster: u32, // asset-wide number of its first member
    place: u32, // first member within the page | member count << 16 | level << 24
    mesh: u32,
}

// A cluster record in a page; the records follow the page header. `data` counts words from the record's own
// first word to its streams, which follow one another, each from a word of its own: material ranges (1 word each:
// end triangle | material << 8), triangles (3 bytes each), positions (bit stream of x y z), normals (2 bytes each:
// octahedral, snorm), UVs (2 signed origin words, bit stream of u v), colours (1 word each: r g b a from the low byte).
// Bit i of a stream is bit i % 32 of word i / 32. uv = f32(origin + offset) * Mesh.uv_step.
struct Cluster {
    origin: vec3i, // lattice; position = f32(origin + offset) * Mesh.step
    made_by: u32, // group relative to Mesh.group_base; NONE for a source cluster
    extent: vec3u, // largest offset per axis: origin and extent are the exact box
    group: u32, // the group it is a member of, relative to Mesh.group_base
    counts: u32, // vertices | triangles << 8 | level << 16 | flags << 24
    bits: u32, // widths of one offset: x | y << 5 | z << 10 | u << 15 | v << 20, and range count << 25
    data: u32,
    index: u32, // asset-wide number
}

struct PageHeader {
    cluster_count: u32,
    first_cluster: u32, // asset-wide number of its first cluster
    first_group: u32,
    group_count: u32,
    dependency_count: u32, // pages that hold products made by groups here; they must be resident before this one
    dependency_word: u32, // word of the list in the page
    word_count: u32,
    flags: u32, // PAGE_ROOT
}

struct Mesh {
    center: vec3f, // bounding sphere of the geometry
    radius: f32,
    box_min: vec3f,
    step: f32, // edge of the position lattice: a power of two
    box_max: vec3f,
    uv_step: f32, // a power of two
    origin_high: vec3f, // asset position of local (0, 0, 0): high + low float32
    root_node: u32,
    origin_low: vec3f,
    group_base: u32, // first group of its asset
    node_count: u32,
    group_count: u32,
    cluster_count: u32,
    material_base: u32, // first material of its asset
}

struct Material {
    base_color: vec4f, // linear
    emissive: vec3f,
    metallic: f32,
    roughness: f32,
    normal_scale: f32,
    occlusion_strength: f32,
    alpha_cutoff: f32,
    base_color_texture: u32, // texture of the asset, or NONE
    metallic_roughness_texture: u32,
    normal_texture: u32,
    occlusion_texture: u32,
    emissive_texture: u32,
    shader: u32, // material function; 0 is glTF metallic-roughness
    flags: u32,
    sampler: u32, // wrap u | wrap v << 4 | nearest << 8; 0 is repeat, linear
}
