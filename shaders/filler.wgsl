// Arithmetic that nobody needs: it keeps a GPU busy between the frames of a measurement.

struct Filler {
    turns: u32,
}
var<immediate> dispatch: Filler;

@group(0) @binding(0) var<storage, read_write> results: array<f32>;

@compute @workgroup_size(256)
fn filler(@builtin(global_invocation_id) id: vec3u) {
    var x = f32(id.x) * 1e-6;
    for (var i = 0u; i < dispatch.turns; i++) {
        x = fma(x, 0.999, 1e-4);
    }
    if (x < 0.0) { // never, but the compiler cannot know
        results[0] = x;
    }
}
