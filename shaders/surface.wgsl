// What a visibility sample shows: the triangle is decoded again and met by the pixel's ray (Burns and Hunt, "The
// Visibility Buffer: A Cache-Friendly Approach to Deferred Shading", 2013).
import package::layout::{View, Instance, Cluster, VisibleCluster, CLUSTER_HAS_NORMALS, CLUSTER_HAS_UVS, CLUSTER_HAS_COLORS, INSTANCE_MIRRORED};
import package::scene::{views, meshes, instances, view_of, instance_of};
import package::transform::{eye_to_instance, to_eye, to_view, is_orthographic};
import package::decode::{read_cluster, read_triangle, read_position, read_normal, read_uv, read_color, read_material, triangle_stream, position_stream, normal_stream, uv_stream, color_stream, has_flag};

struct Surface {
    instance_index: u32,
    cluster: Cluster,
    triangle: u32,
    barycentrics: vec3f,
    depth: f32, // along the view axis
    face_normal: vec3f, // world space, unit, towards the eye
    normal: vec3f, // world space, unit, interpolated
    uv: vec2f,
    color: vec4f, // vertex colour, 1 without
    material: u32, // of the scene
}

// Ray of a pixel centre in view space, with depth 1 (perspective), or its place on the eye plane (orthographic).
fn pixel_ray(view: View, pixel: vec2u) -> vec2f {
    let ndc = (vec2f(pixel) + 0.5) / vec2f(view.size) * 2.0 - 1.0;
    return vec2f(ndc.x / view.scale_x, -ndc.y / view.scale_y);
}

// Barycentrics of the ray's point in the plane of a triangle in view space. Exact for corners behind the eye too.
fn ray_barycentrics(view: View, ray: vec2f, a: vec3f, b: vec3f, c: vec3f) -> vec3f {
    var weights: vec3f;
    if (is_orthographic(view)) {
        let pa = a.xy - ray;
        let pb = b.xy - ray;
        let pc = c.xy - ray;
        weights = vec3f(pb.x * pc.y - pb.y * pc.x, pc.x * pa.y - pc.y * pa.x, pa.x * pb.y - pa.y * pb.x);
    } else {
        let direction = vec3f(ray, 1.0);
        weights = vec3f(dot(direction, cross(b, c)), dot(direction, cross(c, a)), dot(direction, cross(a, b)));
    }
    return weights / (weights.x + weights.y + weights.z);
}

// Normals go with the cofactors of the linear part (Goldman, "More Matrices and Transformations", 1991).
fn transform_normal(instance: Instance, n: vec3f) -> vec3f {
    let turned = cross(instance.linear_y, instance.linear_z) * n.x
        + cross(instance.linear_z, instance.linear_x) * n.y
        + cross(instance.linear_x, instance.linear_y) * n.z;
    return normalize(select(turned, -turned, (instance.flags & INSTANCE_MIRRORED) != 0u));
}

fn reconstruct(pixel: vec2u, entry: VisibleCluster, triangle: u32) -> Surface {
    var surface: Surface;
    let view = views[view_of(entry.view_instance)];
    surface.instance_index = instance_of(entry.view_instance);
    let instance = instances[surface.instance_index];
    let mesh = meshes[instance.mesh];
    let cluster = read_cluster(entry.address);
    surface.cluster = cluster;
    surface.triangle = triangle;
    let corners = read_triangle(triangle_stream(entry.address, cluster), triangle);
    let positions = position_stream(entry.address, cluster);
    let offset = eye_to_instance(instance, view);
    let a = to_eye(instance, offset, read_position(positions, cluster, mesh.step, corners.x));
    let b = to_eye(instance, offset, read_position(positions, cluster, mesh.step, corners.y));
    let c = to_eye(instance, offset, read_position(positions, cluster, mesh.step, corners.z));
    let view_a = to_view(view, a);
    let view_b = to_view(view, b);
    let view_c = to_view(view, c);
    let weights = ray_barycentrics(view, pixel_ray(view, pixel), view_a, view_b, view_c);
    surface.barycentrics = weights;
    surface.depth = dot(weights, vec3f(view_a.z, view_b.z, view_c.z));

    let plane = cross(b - a, c - a);
    let is_mirrored = (instance.flags & INSTANCE_MIRRORED) != 0u;
    let outward = select(plane, -plane, is_mirrored);
    let to_surface = select(a, view.forward, is_orthographic(view));
    let is_back = dot(outward, to_surface) > 0.0;
    surface.face_normal = normalize(select(outward, -outward, is_back));
    surface.normal = surface.face_normal;
    if (has_flag(cluster, CLUSTER_HAS_NORMALS)) {
        let normals = normal_stream(entry.address, cluster);
        let na = read_normal(normals, corners.x);
        let nb = read_normal(normals, corners.y);
        let nc = read_normal(normals, corners.z);
        let n = na * weights.x + nb * weights.y + nc * weights.z;
        if (dot(n, n) > 1e-6) {
            // The normals decide which side is the outside, once for a triangle: its winding may disagree with them,
            // in the file, or where parts of a coarse level are folded over.
            let is_against = dot(transform_normal(instance, na + nb + nc), surface.face_normal) < 0.0;
            let world = transform_normal(instance, n);
            surface.normal = select(world, -world, is_against);
        }
    }
    if (has_flag(cluster, CLUSTER_HAS_UVS)) {
        let uvs = uv_stream(entry.address, cluster);
        surface.uv = read_uv(uvs, cluster, mesh.uv_step, corners.x) * weights.x
            + read_uv(uvs, cluster, mesh.uv_step, corners.y) * weights.y
            + read_uv(uvs, cluster, mesh.uv_step, corners.z) * weights.z;
    }
    surface.color = vec4f(1.0);
    if (has_flag(cluster, CLUSTER_HAS_COLORS)) {
        let colors = color_stream(entry.address, cluster);
        surface.color = read_color(colors, corners.x) * weights.x + read_color(colors, corners.y) * weights.y
            + read_color(colors, corners.z) * weights.z;
    }
    surface.material = mesh.material_base + read_material(entry.address, cluster, triangle);
    return surface;
}
