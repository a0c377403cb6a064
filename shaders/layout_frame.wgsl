// What host and GPU share in memory alone, and the limits they agree on there. engine/layout.py reads this text as it reads
// layout.wgsl; unlike there, a change here leaves asset files readable.

// Instance.flags
const INSTANCE_MIRRORED: u32 = 1u; // the determinant of the linear part is negative

// The views of a frame: the camera, then the cascades of the shadow map.
const FIRST_SHADOW_VIEW: u32 = 1u;

// A view and an instance in one word: four bits of view above 28 bits of instance.
const INSTANCE_BITS: u32 = 28u;
const MAX_VIEWS: u32 = 15u;
// In place of an instance: the node of a work item is one of the instance tree.
const INSTANCE_TREE: u32 = 0x0fffffffu;

// Node.child_count of the instance tree: the children are entries of instance_order, not nodes.
const INSTANCE_CHILDREN: u32 = 16u;

// A work item names a node with this many bits, and its children that are to be tested with the eight above.
const NODE_BITS: u32 = 24u;
const ALL_CHILDREN: u32 = 0xffu;

// Levels of the instance tree and of the deepest hierarchy together: of eight children a dozen, of two some thirty.
const MAX_LEVELS: u32 = 64u;

// The two passes over the hierarchy: what the last frame's depth pyramid does not hide, then what of the rest this frame's does not.
const PHASE_MAIN: u32 = 0u;
const PHASE_POST: u32 = 1u;

// PassState.tally: TALLY_OUTCOMES counters for each kind of thing that is tested.
const TALLY_INSTANCE_NODES: u32 = 0u;
const TALLY_INSTANCES: u32 = 1u;
const TALLY_NODES: u32 = 2u;
const TALLY_CLUSTERS: u32 = 3u;
const TALLY_TRIANGLES: u32 = 4u; // of the clusters that were tested and culled; bin_triangles counts the others
const TALLY_OUTCOMES: u32 = 5u;
// What a test says; the first reason counts.
const OUTCOME_KEPT: u32 = 0u;
const OUTCOME_FRUSTUM: u32 = 1u; // outside the frustum
const OUTCOME_DETAIL: u32 = 2u; // finer or coarser than wanted
const OUTCOME_SIZE: u32 = 3u; // covers no pixel centre
const OUTCOME_OCCLUSION: u32 = 4u; // behind the depth pyramid; the main pass leaves it to the post pass
const OUTCOME_NONE: u32 = 5u; // nothing to test

// Levels of the depth pyramid: a cell of level k holds the farthest depth of 2^k x 2^k pixels. Level 0 is the visibility buffer.
const MAX_PYRAMID_LEVELS: u32 = 16u;
// From this level on a cell spans several tiles of the pass depth_pyramid; these levels are there twice, for main and post pass.
const PYRAMID_SHARED_LEVEL: u32 = 7u;

// Workgroups in x before a dispatch grows in y (over 65,535 in one dimension run none); y * DISPATCH_FOLD + x numbers them.
const DISPATCH_FOLD: u32 = 32768u;

// A visibility sample names a place in the list of visible clusters with this many bits.
const PLACE_BITS: u32 = 23u;

// Raster classes of visible clusters. Each has a bin: a region of raster_bins that lists them.
const BIN_SOFTWARE: u32 = 0u;
const BIN_SMALL: u32 = 1u; // software, of at most SMALL_CLUSTER_TRIANGLES: several share a workgroup
const BIN_MASKED: u32 = 2u; // software, with an alpha test
const BIN_HARDWARE: u32 = 3u;
const BIN_COUNT: u32 = 4u;
const SMALL_CLUSTER_TRIANGLES: u32 = 32u;
const SMALL_CLUSTERS: u32 = 4u; // that share a workgroup
// A cluster that reaches further beyond the image must be clipped, and that is done in software only.
const HARDWARE_GUARD_PIXELS: f32 = 1000.0;
const NO_HARDWARE_PIXELS: f32 = 1e6; // View.hardware_pixels of views that only software draws

// View.flags
const VIEW_ORTHOGRAPHIC: u32 = 1u;
const VIEW_HAS_HISTORY: u32 = 2u; // the depth pyramid holds the last frame, seen as previous_views says
const VIEW_INSTANCES_MOVED: u32 = 4u; // previous_instances differ from instances
const VIEW_MOVED: u32 = 8u; // previous_views differs from views

// What an image shows (FrameSettings.view).
const SHOW_SHADED: u32 = 0u;
const SHOW_NORMALS: u32 = 1u;
const SHOW_CLUSTERS: u32 = 2u;
const SHOW_GROUPS: u32 = 3u;
const SHOW_LEVELS: u32 = 4u;
const SHOW_TRIANGLES: u32 = 5u;
const SHOW_INSTANCES: u32 = 6u;
const SHOW_MATERIALS: u32 = 7u;
const SHOW_DEPTH: u32 = 8u;
const SHOW_OVERDRAW: u32 = 9u;
const SHOW_RASTER: u32 = 10u;
const SHOW_MATERIAL_BINS: u32 = 11u;
const SHOW_OCCLUSION: u32 = 12u;
const SHOW_PYRAMID: u32 = 13u;
const SHOW_SHADOW_CASCADES: u32 = 14u;
// The level of detail that has the last colour of the ramp.
const LEVEL_RAMP_END: f32 = 14.0;

// Object to world: linear * p + translation. The translation is a pair so that the eye can be
// subtracted without loss.
struct Instance {
    linear_x: vec3f, // image of the x axis
    mesh: u32,
    linear_y: vec3f,
    flags: u32,
    linear_z: vec3f,
    max_scale: f32, // largest singular value of the linear part, rounded up
    translation_high: vec3f,
    generation: u32, // changes when the slot gets another instance
    translation_low: vec3f,
    user_index: u32, // number of the instance in the scene description
}

// Camera of one image. Everything is relative to the eye.
struct View {
    eye_high: vec3f,
    near: f32,
    eye_low: vec3f,
    far: f32, // orthographic views only
    right: vec3f, // unit axes of the view in world space
    scale_x: f32, // clip x = scale_x * x / depth (perspective) or scale_x * x (orthographic)
    up: vec3f,
    scale_y: f32,
    forward: vec3f,
    lod_scale: f32, // pixels per unit of length at distance 1 (perspective), or anywhere (orthographic)
    size: vec2u, // pixels
    error_pixels: f32, // tau
    attribute_weight: f32,
    planes: array<vec4f, 5>, // left, right, bottom, top, near; inside where dot(n, p) + w >= 0
    flags: u32,
    frame: u32,
    first_pixel: u32, // of the view's own visibility buffer
    hardware_pixels: f32, // clusters of this size on the screen go to the hardware raster; 0: all that can
    pyramid_levels: u32, // 1 + the level whose single cell covers the image; 0 without a depth pyramid
    pyramid_offsets: array<vec4u, 4>, // first word of each level; level 0 is not stored
}

// What a mesh is drawn as where its coarsest clusters are fine enough: a shortcut past its nodes.
struct MeshRoot {
    center: vec3f, // level-of-detail sphere that contains those of all groups but the root group
    radius: f32,
    geometric_error: f32, // largest of those groups
    attribute_error: f32,
    group: u32, // the root group; NONE where there are several
    root_node: u32,
}

// An entry of CandidateNodesAndClusters: a node whose children wait to be tested.
struct WorkItem {
    view_instance: u32,
    node: u32, // in the scene's nodes, or the instance tree's | mask of children << NODE_BITS
}

// A group whose members wait to be tested.
struct CandidateGroup {
    view_instance: u32,
    group: u32,
}

// Clusters of a mesh that a baseline draws or tests as a whole: entries of `listed_clusters`, in pieces of
// PIECE_CLUSTERS, of which the last is filled up with NONE.
const PIECE_CLUSTERS: u32 = 64u;
struct ClusterList {
    first: u32,
    pieces: u32,
    geometric_error: f32, // largest of the groups that made its clusters; 0 of source clusters
    attribute_error: f32,
}

// An instance of a mesh in the draws of the baseline triangles_hardware, which draws it once for each kind of faces.
struct DrawnInstance {
    slot: u32,
    first_place: u32, // in visible_clusters, of its mesh's first source cluster
    first_triangle: u32, // of the draw, in triangle_names
    unused: u32,
}

// A cluster that is drawn, or that waits for the post pass.
struct VisibleCluster {
    view_instance: u32,
    address: u32, // word of its record in the page pool
}

// A bin of one pass over the hierarchy: the words of its indirect dispatch or draw, and its entries. The post pass's
// entries follow those of the main pass in the region.
struct RasterBin {
    x: u32, // workgroups; of a draw: vertices
    y: u32, // workgroups; of a draw: instances
    z: u32, // workgroups; of a draw: 0, the first vertex
    first_instance: u32, // of a draw; always 0
    count: u32, // entries requested by this pass; stored up to the capacity of visible_clusters
    unused_0: u32,
    unused_1: u32,
    unused_2: u32,
}

// An entry of a bin: a visible cluster and its place in the list, so that a rasteriser finds both with one load.
struct BinEntry {
    view_instance: u32,
    address: u32,
    place: u32, // of visible_clusters; NONE: there is no such entry
}

// A piece of a triangle that is large, or must be clipped, for one workgroup of rasterize_large.
struct LargeTriangle {
    name: u32, // place << 7 | triangle
    slice: u32, // every slice_count-th row of tiles from this one on
}

// What one pass over the hierarchy (main or post) leaves behind: queue ends and statistics.
// The published name of the pair is MainAndPostPassPersistentStates.
struct PassState {
    node_progress: atomic<u64>, // items pushed << 32 | items finished; equal halves: nothing is left to do
    nodes_taken: atomic<u32>,
    candidate_groups: atomic<u32>, // requested; stored up to the capacity
    visible_clusters: atomic<u32>, // requested by this pass; stored up to the capacity, the post pass behind the main pass
    hidden_clusters: atomic<u32>, // requested by the main pass for the post pass
    large_triangles: atomic<u32>, // pieces requested for rasterize_large; stored up to the capacity
    aborted: atomic<u32>, // the queue stood still for too long: the frame is not complete
    bin_clusters: array<atomic<u32>, 4>, // drawn, by BIN_*
    bin_triangles: array<atomic<u32>, 4>,
    tally: array<atomic<u32>, 25>, // TALLY_* kind * TALLY_OUTCOMES + OUTCOME_*
}
