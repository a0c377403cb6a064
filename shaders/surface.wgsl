// What a visibility sample shows: the triangle is decoded again and met by the pixel's ray (Burns and Hunt, "The
// Visibility Buffer: A Cache-Friendly Approach to Deferred Shading", 2013), with derivatives by pixel (Schied and
// Dachsbacher, "Deferred Attribute Interpolation for Memory-Efficient Deferred Shading", 2015).
import package::layout::{Mesh, Cluster, CLUSTER_HAS_NORMALS, CLUSTER_HAS_UVS, CLUSTER_HAS_COLORS};
import package::layout_frame::{View, Instance, VisibleCluster, INSTANCE_MIRRORED};
import package::scene::{views, meshes, instances, view_of, instance_of};
import package::transform::{eye_to_instance, to_eye, is_orthographic};
import package::ray::{pixel_place, pixel_step};
import package::decode::{read_cluster, read_triangle, read_position, read_normal, read_uv, read_color, read_material, triangle_stream, position_stream, normal_stream, uv_stream, color_stream, has_flag};

struct Surface {
    instance_index: u32,
    cluster: Cluster,
    triangle: u32,
    object_position: vec3f,
    position: vec3f, // relative to the eye, world axes
    depth: f32, // along the view axis
    face_normal: vec3f, // world space, unit, towards the eye
    normal: vec3f, // world space, unit, interpolated
    tangent: vec3f, // where u grows: world space, any length; 0 without UVs
    bitangent: vec3f, // where v falls (up in an image)
    uv: vec2f,
    uv_dx: vec2f, // change of the UV to the next pixel in x
    uv_dy: vec2f,
    color: vec4f, // vertex colour, 1 without
    material: u32, // of the scene
}

// Where a pixel's ray meets the plane of a triangle.
struct Hit {
    weights: vec3f, // of the three corners; in the triangle
    dx: vec2f, // change of the second and third weight to the next pixel in x
    dy: vec2f,
}

// The corner `a` is relative to the eye, `e1` and `e2` are the edges from it. The weights are quotients of products
// that are linear in the ray; products of two corners, which would cancel for small triangles, do not occur (Moeller
// and Trumbore, "Fast, Minimum Storage Ray-Triangle Intersection", 1997).
fn hit_triangle(view: View, pixel: vec2u, a: vec3f, e1: vec3f, e2: vec3f) -> Hit {
    let place = pixel_place(view, pixel);
    let step = pixel_step(view);
    let plane = cross(e1, e2);
    var numerator: vec2f; // second and third weight, times the divisor
    var numerator_x: vec2f;
    var numerator_y: vec2f;
    var divisor: f32;
    var divisor_step = vec2f(0.0);
    if (is_orthographic(view)) {
        let from_a = view.right * place.x + view.up * place.y - a;
        let second = cross(e2, view.forward);
        let third = cross(view.forward, e1);
        numerator = vec2f(dot(from_a, second), dot(from_a, third));
        numerator_x = step.x * vec2f(dot(view.right, second), dot(view.right, third));
        numerator_y = step.y * vec2f(dot(view.up, second), dot(view.up, third));
        divisor = dot(view.forward, plane);
    } else {
        let ray = view.right * place.x + view.up * place.y + view.forward;
        let second = cross(e2, a);
        let third = cross(a, e1);
        numerator = vec2f(dot(ray, second), dot(ray, third));
        numerator_x = step.x * vec2f(dot(view.right, second), dot(view.right, third));
        numerator_y = step.y * vec2f(dot(view.up, second), dot(view.up, third));
        divisor = dot(ray, plane);
        divisor_step = step * vec2f(dot(view.right, plane), dot(view.up, plane));
    }
    let inverse = 1.0 / select(divisor, 1e-30, abs(divisor) < 1e-30);
    let exact = numerator * inverse;
    var hit: Hit;
    hit.dx = (numerator_x - exact * divisor_step.x) * inverse;
    hit.dy = (numerator_y - exact * divisor_step.y) * inverse;
    // Fixed-point corners let a triangle cover pixels whose centre lies just outside.
    let inside = clamp(vec3f(1.0 - exact.x - exact.y, exact), vec3f(0.0), vec3f(1.0));
    hit.weights = inside / (inside.x + inside.y + inside.z);
    return hit;
}

// Normals go with the cofactors of the linear part (Goldman, "More Matrices and Transformations", 1991). Of any length.
fn transform_normal(instance: Instance, n: vec3f) -> vec3f {
    let turned = cross(instance.linear_y, instance.linear_z) * n.x
        + cross(instance.linear_z, instance.linear_x) * n.y
        + cross(instance.linear_x, instance.linear_y) * n.z;
    return select(turned, -turned, (instance.flags & INSTANCE_MIRRORED) != 0u);
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
    let first = read_position(positions, cluster, mesh.step, corners.x);
    let to_second = read_position(positions, cluster, mesh.step, corners.y) - first;
    let to_third = read_position(positions, cluster, mesh.step, corners.z) - first;
    let a = to_eye(instance, eye_to_instance(instance, view), first);
    let e1 = to_eye(instance, vec3f(0.0), to_second);
    let e2 = to_eye(instance, vec3f(0.0), to_third);
    let hit = hit_triangle(view, pixel, a, e1, e2);
    surface.object_position = first + (to_second * hit.weights.y + to_third * hit.weights.z);
    surface.position = a + (e1 * hit.weights.y + e2 * hit.weights.z);
    surface.depth = dot(surface.position, view.forward);

    let plane = cross(e1, e2);
    let is_mirrored = (instance.flags & INSTANCE_MIRRORED) != 0u;
    let outward = select(plane, -plane, is_mirrored);
    let to_surface = select(a, view.forward, is_orthographic(view));
    let is_back = dot(outward, to_surface) > 0.0;
    surface.face_normal = normalize(select(outward, -outward, is_back));
    surface.normal = surface.face_normal;
    if (has_flag(cluster, CLUSTER_HAS_NORMALS)) {
        surface.normal = interpolated_normal(entry, cluster, instance, corners, hit.weights, surface.face_normal);
    }
    if (has_flag(cluster, CLUSTER_HAS_UVS)) {
        add_uv(&surface, entry, mesh, corners, hit, e1, e2);
    }
    surface.color = vec4f(1.0);
    if (has_flag(cluster, CLUSTER_HAS_COLORS)) {
        let colors = color_stream(entry.address, cluster);
        surface.color = read_color(colors, corners.x) * hit.weights.x + read_color(colors, corners.y) * hit.weights.y
            + read_color(colors, corners.z) * hit.weights.z;
    }
    surface.material = mesh.material_base + read_material(entry.address, cluster, triangle);
    return surface;
}

fn interpolated_normal(
    entry: VisibleCluster, cluster: Cluster, instance: Instance, corners: vec3u, weights: vec3f, face_normal: vec3f,
) -> vec3f {
    let normals = normal_stream(entry.address, cluster);
    let na = read_normal(normals, corners.x);
    let nb = read_normal(normals, corners.y);
    let nc = read_normal(normals, corners.z);
    let n = na * weights.x + nb * weights.y + nc * weights.z;
    if (dot(n, n) <= 1e-6) {
        return face_normal;
    }
    // The normals decide which side is the outside, once for a triangle: its winding may disagree with them,
    // in the file, or where parts of a coarse level are folded over.
    let is_against = dot(transform_normal(instance, na + nb + nc), face_normal) < 0.0;
    let world = normalize(transform_normal(instance, n));
    return select(world, -world, is_against);
}

fn add_uv(
    surface: ptr<function, Surface>, entry: VisibleCluster, mesh: Mesh, corners: vec3u, hit: Hit, e1: vec3f, e2: vec3f,
) {
    let uvs = uv_stream(entry.address, (*surface).cluster);
    let first = read_uv(uvs, (*surface).cluster, mesh.uv_step, corners.x);
    let to_second = read_uv(uvs, (*surface).cluster, mesh.uv_step, corners.y) - first;
    let to_third = read_uv(uvs, (*surface).cluster, mesh.uv_step, corners.z) - first;
    (*surface).uv = first + (to_second * hit.weights.y + to_third * hit.weights.z);
    (*surface).uv_dx = to_second * hit.dx.x + to_third * hit.dx.y;
    (*surface).uv_dy = to_second * hit.dy.x + to_third * hit.dy.y;
    let side = sign(to_second.x * to_third.y - to_second.y * to_third.x);
    (*surface).tangent = side * (e1 * to_third.y - e2 * to_second.y);
    (*surface).bitangent = side * (e1 * to_third.x - e2 * to_second.x);
}
