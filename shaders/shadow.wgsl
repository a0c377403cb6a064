// How much of the directional light arrives. There are no shadow maps yet: all of it.

// `position` is relative to the eye, `normal` the surface's; both in world axes.
fn shadow(position: vec3f, normal: vec3f) -> f32 {
    return 1.0;
}
