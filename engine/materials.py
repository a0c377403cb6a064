"""Material records: the default, and those made from glTF and MTL descriptions; files of material functions.

Colours and factors are linear. Textures are numbers into the texture list of an asset, or layout.NONE.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine import layout

_WRAPS = {10497: 0, 33071: 1, 33648: 2}  # glTF: repeat, clamp to edge, mirrored repeat
_NEAREST_FILTERS = (9728, 9984, 9986)
_TEXTURE_FIELDS = (
    "base_color_texture",
    "metallic_roughness_texture",
    "normal_texture",
    "occlusion_texture",
    "emissive_texture",
)
DIELECTRIC_SPECULAR = 0.04


def material(**fields: Any) -> np.ndarray:
    """Return one layout.MATERIAL record (0-d): glTF's defaults, no textures, with `fields` set."""
    record = np.zeros((), layout.MATERIAL)
    record["base_color"] = 1.0
    record["metallic"] = record["roughness"] = record["normal_scale"] = record["occlusion_strength"] = 1.0
    record["alpha_cutoff"] = 0.5
    for name in _TEXTURE_FIELDS:
        record[name] = layout.NONE
    for name, value in fields.items():
        record[name] = value
    return record


def default_material(colored: bool = False) -> np.ndarray:
    """Return the record for files without materials: two-sided, rough, grey (white under vertex colours)."""
    grey = 1.0 if colored else 0.8
    return material(
        base_color=(grey, grey, grey, 1.0),
        metallic=0.0,
        roughness=0.8,
        flags=layout.CONSTANTS["MATERIAL_TWO_SIDED"],
    )


def sampler_bits(sampler: Mapping[str, Any]) -> int:
    """Return Material.sampler of a glTF sampler: wrap 0 repeat, 1 clamp, 2 mirror; bit 8 nearest."""
    nearest = sampler.get("magFilter") in _NEAREST_FILTERS
    return _WRAPS.get(sampler.get("wrapS", 10497), 0) | _WRAPS.get(sampler.get("wrapT", 10497), 0) << 4 | nearest << 8


def material_from_gltf(source: Mapping[str, Any], texture: Callable[[Mapping | None], tuple[int, int]]) -> np.ndarray:
    """Return the record of a glTF 2.0 material (metallic-roughness, or KHR_materials_pbrSpecularGlossiness).

    `texture(info)` maps a textureInfo (or None) to (texture number or NONE, sampler bits).
    """
    extensions = source.get("extensions", {})
    base = source.get("pbrMetallicRoughness", {})
    fields: dict[str, Any] = {
        "base_color": base.get("baseColorFactor", (1.0, 1.0, 1.0, 1.0)),
        "metallic": base.get("metallicFactor", 1.0),
        "roughness": base.get("roughnessFactor", 1.0),
    }
    color_info = base.get("baseColorTexture")
    glossy = extensions.get("KHR_materials_pbrSpecularGlossiness")
    if glossy is not None:
        fields |= _from_specular_glossiness(glossy)
        color_info = glossy.get("diffuseTexture")
    normal_info, occlusion_info = source.get("normalTexture"), source.get("occlusionTexture")
    strength = extensions.get("KHR_materials_emissive_strength", {}).get("emissiveStrength", 1.0)
    fields |= {
        "emissive": np.multiply(source.get("emissiveFactor", (0.0, 0.0, 0.0)), strength),
        "normal_scale": (normal_info or {}).get("scale", 1.0),
        "occlusion_strength": (occlusion_info or {}).get("strength", 1.0),
        "alpha_cutoff": source.get("alphaCutoff", 0.5),
        "flags": _flags(source.get("alphaMode", "OPAQUE"), source.get("doubleSided", False)),
    }
    infos = (
        color_info,
        base.get("metallicRoughnessTexture"),
        normal_info,
        occlusion_info,
        source.get("emissiveTexture"),
    )
    found = [texture(info) for info in infos]
    fields["sampler"] = next((sampler for number, sampler in found if number != layout.NONE), 0)
    fields |= {name: number for name, (number, _) in zip(_TEXTURE_FIELDS, found, strict=True)}
    return material(**fields)


def _flags(alpha_mode: str, two_sided: bool) -> int:
    masked = layout.CONSTANTS["MATERIAL_MASKED"] if alpha_mode == "MASK" else 0
    blended = layout.CONSTANTS["MATERIAL_BLENDED"] if alpha_mode == "BLEND" else 0
    return masked | blended | (layout.CONSTANTS["MATERIAL_TWO_SIDED"] if two_sided else 0)


def _from_specular_glossiness(source: Mapping[str, Any]) -> dict[str, Any]:
    """Solve for the metallic-roughness factors that reflect alike.

    With m the metallic factor, b the base colour: diffuse = b (1 - m) (1 - 0.04) / (1 - max specular), and
    specular = 0.04 (1 - m) + b m. Eliminating b leaves a quadratic in m.
    """
    diffuse = np.array(source.get("diffuseFactor", (1.0, 1.0, 1.0, 1.0)), float)
    specular = np.array(source.get("specularFactor", (1.0, 1.0, 1.0)), float)
    dark = DIELECTRIC_SPECULAR
    remaining = 1.0 - specular.max()
    diffuse_light, specular_light = _brightness(diffuse[:3]), _brightness(specular)
    metallic = 0.0
    if specular_light > dark:
        linear = diffuse_light * remaining / (1.0 - dark) + specular_light - 2.0 * dark
        root = math.sqrt(max(linear * linear - 4.0 * dark * (dark - specular_light), 0.0))
        metallic = min(max((root - linear) / (2.0 * dark), 0.0), 1.0)
    from_diffuse = diffuse[:3] * (remaining / (1.0 - dark) / max(1.0 - metallic, 1e-4))
    from_specular = (specular - dark * (1.0 - metallic)) / max(metallic, 1e-4)
    mix = metallic * metallic
    color = np.clip(from_diffuse * (1.0 - mix) + from_specular * mix, 0.0, 1.0)
    return {
        "base_color": (*color, diffuse[3]),
        "metallic": metallic,
        "roughness": 1.0 - source.get("glossinessFactor", 1.0),
    }


def _brightness(color: np.ndarray) -> float:
    return math.sqrt(float(np.dot((0.299, 0.587, 0.114), color * color)))


def material_from_mtl(values: Mapping[str, list[float]], base_color_texture: int) -> np.ndarray:
    """Return the two-sided record of an MTL material: Kd, Ke, Ns, d or Tr; a texture replaces Kd's black."""
    color = (values.get("Kd") or [0.8, 0.8, 0.8])[:3]
    color = [*color, *[color[-1]] * (3 - len(color))]
    if base_color_texture != layout.NONE and not any(color):
        color = [1.0, 1.0, 1.0]
    emissive = (values.get("Ke") or [0.0] * 3)[:3]
    opacity = values["d"][0] if values.get("d") else 1.0 - (values.get("Tr") or [0.0])[0]
    shininess = max((values.get("Ns") or [0.0])[0], 0.0)
    # A Blinn-Phong exponent n looks like a microfacet lobe of alpha = sqrt(2 / (n + 2)); roughness is its root.
    roughness = min(max((2.0 / (shininess + 2.0)) ** 0.25, 0.05), 0.9)
    return material(
        base_color=np.clip([*color, opacity], 0.0, 1.0),
        emissive=emissive if len(emissive) == 3 else [emissive[0]] * 3,
        metallic=0.0,
        roughness=roughness,
        base_color_texture=base_color_texture,
        flags=_flags("BLEND" if opacity < 1.0 else "OPAQUE", True),
    )


def srgb_to_linear(values: np.ndarray) -> np.ndarray:
    """Return linear intensities of sRGB values in 0..1 (IEC 61966-2-1)."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def material_file(name: str, folders: Sequence[Path] = ()) -> Path:
    """Return the WGSL file of a material function: in the first of `folders` that has it, or the package's own.

    Raises ValueError that says where it was looked for.
    """
    places = [*folders, layout.shader_folder() / "materials"]
    for folder in places:
        if (folder / f"{name}.wgsl").is_file():
            return folder / f"{name}.wgsl"
    raise ValueError(f"there is no material function {name}.wgsl in {' or '.join(map(str, places))}")
