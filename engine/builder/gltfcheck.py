"""The types of everything that is read from the JSON of a glTF file: checked once, so that no reader has to.

Khronos, "glTF 2.0 Specification", sections 3 and 5. What is not listed here is not used, and may be anything.
"""

import json
from typing import Any, NoReturn

LARGEST_NUMBER = 1e15  # as LARGEST_COORDINATE: products of two stay finite in float32
_LARGEST_INTEGER = 1 << 53  # JSON numbers are exact up to here

# Kinds: a name of _EXPECTED; (kind, n): n of it; [kind]: any number of it; {"": kind}: an object of any keys;
# {key: kind}: an object, where "key!" must be present.
_EXPECTED = {
    "integer": "a whole number from 0",
    "number": f"a finite number up to {LARGEST_NUMBER:.0e}",
    "text": "a text",
    "flag": "true or false",
}
_TEXTURE = {
    "index!": "integer",
    "scale": "number",
    "strength": "number",
    "texCoord": "integer",
}
_PACKED_VIEW = {
    "buffer!": "integer",
    "byteOffset": "integer",
    "byteLength!": "integer",
    "byteStride!": "integer",
    "count!": "integer",
    "mode!": "text",
    "filter": "text",
}
_ACCESSOR = {
    "bufferView": "integer",
    "byteOffset": "integer",
    "componentType!": "integer",
    "normalized": "flag",
    "count!": "integer",
    "type!": "text",
    "sparse": {
        "count!": "integer",
        "indices!": {"bufferView!": "integer", "byteOffset": "integer", "componentType!": "integer"},
        "values!": {"bufferView!": "integer", "byteOffset": "integer"},
    },
}
_MATERIAL = {
    "pbrMetallicRoughness": {
        "baseColorFactor": ("number", 4),
        "baseColorTexture": _TEXTURE,
        "metallicFactor": "number",
        "roughnessFactor": "number",
        "metallicRoughnessTexture": _TEXTURE,
    },
    "normalTexture": _TEXTURE,
    "occlusionTexture": _TEXTURE,
    "emissiveTexture": _TEXTURE,
    "emissiveFactor": ("number", 3),
    "alphaMode": "text",
    "alphaCutoff": "number",
    "doubleSided": "flag",
    "extensions": {
        "KHR_materials_pbrSpecularGlossiness": {
            "diffuseFactor": ("number", 4),
            "diffuseTexture": _TEXTURE,
            "specularFactor": ("number", 3),
            "glossinessFactor": "number",
        },
        "KHR_materials_emissive_strength": {"emissiveStrength": "number"},
    },
}
_PRIMITIVE = {
    "attributes!": {"": "integer"},
    "indices": "integer",
    "material": "integer",
    "mode": "integer",
    "extensions": {"KHR_draco_mesh_compression": {"bufferView!": "integer", "attributes!": {"": "integer"}}},
}
_NODE = {
    "children": ["integer"],
    "mesh": "integer",
    "matrix": ("number", 16),
    "translation": ("number", 3),
    "rotation": ("number", 4),
    "scale": ("number", 3),
    "extensions": {"EXT_mesh_gpu_instancing": {"attributes!": {"": "integer"}}},
}
_DOCUMENT = {
    "asset!": {},
    "extensionsRequired": ["text"],
    "scene": "integer",
    "scenes": [{"nodes": ["integer"]}],
    "nodes": [_NODE],
    "meshes": [{"primitives!": [_PRIMITIVE]}],
    "accessors": [_ACCESSOR],
    "bufferViews": [
        {
            "buffer!": "integer",
            "byteOffset": "integer",
            "byteLength!": "integer",
            "byteStride": "integer",
            "extensions": {"EXT_meshopt_compression": _PACKED_VIEW, "KHR_meshopt_compression": _PACKED_VIEW},
        }
    ],
    "buffers": [{"uri": "text", "byteLength!": "integer"}],
    "materials": [_MATERIAL],
    "textures": [
        {"source": "integer", "sampler": "integer", "extensions": {"EXT_texture_webp": {"source": "integer"}}}
    ],
    "samplers": [{"magFilter": "integer", "wrapS": "integer", "wrapT": "integer"}],
    "images": [{"uri": "text", "bufferView": "integer"}],
}


def parse_document(text: str) -> dict[str, Any]:
    """Return the JSON of a glTF file, all used parts of the right type; whole numbers written as 1.0 become int.

    Raises ValueError that names the place and what belongs there.
    """
    try:
        document = json.loads(text)
    except RecursionError:
        raise ValueError("the glTF JSON is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"the glTF JSON cannot be parsed ({error})") from None
    if not isinstance(document, dict) or not isinstance(document.get("asset"), dict):
        raise ValueError("is not a glTF file (no asset object)")
    return _checked(document, _DOCUMENT, "")


def _checked(value: Any, kind: Any, where: str) -> Any:
    """Return the value, converted to the kind; ValueError where it is of another."""
    if isinstance(kind, str):
        return _scalar(value, kind, where)
    if isinstance(kind, tuple):
        if not isinstance(value, list) or len(value) != kind[1]:
            _fail(value, f"an array of {kind[1]} numbers", where)
        return [_scalar(item, kind[0], where) for item in value]
    if isinstance(kind, list):
        if not isinstance(value, list):
            _fail(value, "an array", where)
        return [_checked(item, kind[0], f"{where}[{number}]") for number, item in enumerate(value)]
    if not isinstance(value, dict):
        _fail(value, "an object", where)
    result = dict(value)
    for key, item in value.items():
        expected = kind.get(key, kind.get(f"{key}!", kind.get("")))
        if expected is not None:
            result[key] = _checked(item, expected, f"{where}.{key[:40]}")
    for key in kind:
        if key.endswith("!") and key[:-1] not in value:
            raise ValueError(f"the glTF {where.lstrip('.')} has no {key[:-1]}")
    return result


def _scalar(value: Any, kind: str, where: str) -> Any:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind == "number" and number and abs(value) <= LARGEST_NUMBER:
        return float(value)
    if kind == "integer" and number and 0 <= value <= _LARGEST_INTEGER and int(value) == value:
        return int(value)
    if (kind == "text" and isinstance(value, str)) or (kind == "flag" and isinstance(value, bool)):
        return value
    return _fail(value, _EXPECTED[kind], where)


def _fail(value: Any, expected: str, where: str) -> NoReturn:
    text = "an object" if isinstance(value, dict) else "an array" if isinstance(value, list) else json.dumps(value)
    text = text if len(text) <= 40 else f"{text[:37]}..."
    raise ValueError(f"the glTF {where.lstrip('.')} is {text}, not {expected}")
