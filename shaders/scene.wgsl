// Group 0: the scene, read-only, one bind group for every pass.
import package::layout::{Mesh, Node, Group, Material};
import package::layout_frame::{View, MeshRoot, Instance, INSTANCE_BITS, MAX_VIEWS};

@group(0) @binding(0) var<uniform> views: array<View, MAX_VIEWS>;
@group(0) @binding(1) var<storage, read> meshes: array<Mesh>;
@group(0) @binding(2) var<storage, read> nodes: array<Node>;
@group(0) @binding(3) var<storage, read> groups: array<Group>;
@group(0) @binding(4) var<storage, read> instances: array<Instance>;
@group(0) @binding(5) var<storage, read> materials: array<Material>;
@group(0) @binding(6) var<storage, read> page_addresses: array<u32>; // word of each page in the pool
@group(0) @binding(7) var<storage, read> pool_0: array<u32>;
@group(0) @binding(8) var<storage, read> pool_1: array<u32>;
@group(0) @binding(9) var<storage, read> pool_2: array<u32>;
@group(0) @binding(10) var<storage, read> pool_3: array<u32>;
@group(0) @binding(11) var<storage, read> instance_nodes: array<Node>; // the instance tree, root first
@group(0) @binding(12) var<storage, read> instance_order: array<u32>; // slots as the tree's last nodes list them
@group(0) @binding(13) var<storage, read> previous_instances: array<Instance>; // VIEW_INSTANCES_MOVED: of the last frame
@group(0) @binding(14) var<uniform> previous_views: array<View, MAX_VIEWS>; // VIEW_HAS_HISTORY: of the last frame
@group(0) @binding(15) var<storage, read> mesh_roots: array<MeshRoot>;

// The page pool is one address space of words over four bindings of 2^pool_shift words each.
override pool_shift: u32 = 25u;
override pool_bindings: u32 = 4u; // how many of them hold anything

fn pool_word(address: u32) -> u32 {
    if (pool_bindings == 1u) {
        return pool_0[address];
    }
    let place = address & ((1u << pool_shift) - 1u);
    switch address >> pool_shift {
        case 0u: { return pool_0[place]; }
        case 1u: { return pool_1[place]; }
        case 2u: { return pool_2[place]; }
        default: { return pool_3[place]; }
    }
}

fn view_of(view_instance: u32) -> u32 {
    return view_instance >> INSTANCE_BITS;
}

fn instance_of(view_instance: u32) -> u32 {
    return view_instance & ((1u << INSTANCE_BITS) - 1u);
}
