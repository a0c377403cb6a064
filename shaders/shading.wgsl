// Numbers that host and GPU share about shading and what can be read back; engine/layout.py reads them as well.

// What an AOV holds.
const AOV_DEPTH: u32 = 0u;
const AOV_NORMAL: u32 = 1u;
const AOV_INSTANCE: u32 = 2u;
const AOV_CLUSTER: u32 = 3u;
const AOV_TRIANGLE: u32 = 4u;
const AOV_LEVEL: u32 = 5u;
const AOV_MATERIAL: u32 = 6u;
const AOV_VELOCITY: u32 = 7u;
const AOV_ALBEDO: u32 = 8u;
const AOV_SHADING_NORMAL: u32 = 9u;
const AOV_ROUGHNESS: u32 = 10u;
const AOV_METALLIC: u32 = 11u;
const AOV_OCCLUSION: u32 = 12u;
const AOV_EMISSIVE: u32 = 13u;

// Curves from scene light to the screen (FrameSettings.tonemap).
const TONEMAP_NEUTRAL: u32 = 0u;
const TONEMAP_ACES: u32 = 1u;
const TONEMAP_NONE: u32 = 2u;

// The material target: 0 where nothing is, else the covered bit, the material function and the material.
const TARGET_COVERED: u32 = 0x80000000u;
const TARGET_SHADER_SHIFT: u32 = 24u;
const TARGET_MATERIAL_MASK: u32 = 0xffffffu;
const MAX_SHADERS: u32 = 64u; // material functions in a scene

// Arrays that the textures of a scene are packed into (shaders/textures.wgsl), and where one texture lies.
const TEXTURE_ARRAYS: u32 = 6u;
const TEXTURE_LAYER_MASK: u32 = 0xffffu; // layer | array << 16 | log2 of the edge << 24; NONE: not there
