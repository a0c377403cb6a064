"""`microlith info`: what an asset holds, and whether it keeps the laws of a hierarchy."""

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np

from engine import layout
from engine.commands.frames import to_json
from engine.commands.logs import Progress

if TYPE_CHECKING:
    from engine.asset import Asset


def run(options: argparse.Namespace) -> int:
    """Print the asset as text or JSON; with --verify raise ValueError where law 1 is broken."""
    from engine.asset import open_asset

    asset = open_asset(options.asset)
    values = describe(asset)
    if options.verify:
        from engine.verify import verify_asset

        with Progress(options.verbosity) as progress:
            values["problems"] = verify_asset(asset, progress=progress)
    print(to_json(values, indent=2) if options.json else as_text(values))
    if problems := values.get("problems"):
        raise ValueError(f"{options.asset}: breaks law 1 ({len(problems)} kinds of problems); build it again")
    return 0


def describe(asset: "Asset") -> dict[str, Any]:
    """Return counts, bounds, levels, bytes and names, ready for JSON; decodes every page once."""
    clusters = asset.clusters()
    low, high = asset.bounds()
    stored = int(asset.page_table["stored_bytes"].sum(dtype=np.int64))
    file_bytes = asset.path.stat().st_size
    return {
        "file": str(asset.path),
        "file_bytes": file_bytes,
        "bytes_per_source_triangle": file_bytes / max(asset.source_triangles, 1),
        "source_triangles": asset.source_triangles,
        "instanced_triangles": asset.instanced_triangles,
        "meshes": len(asset.meshes),
        "instances": len(asset.instances),
        "clusters": len(clusters),
        "groups": len(asset.groups),
        "nodes": len(asset.nodes),
        "pages": asset.page_count,
        "bounds": [low.tolist(), high.tolist()],
        "levels": levels(clusters, asset.groups),
        "bytes": {
            "pages_stored": stored,
            "pages_decoded": 4 * int(asset.page_table["word_count"].sum(dtype=np.int64)),
            "nodes": asset.nodes.nbytes,
            "groups": asset.groups.nbytes,
            "images": sum(len(image) for _, image in asset.textures),
        },
        "decoded_streams": asset.stream_bytes(),
        "mesh_names": list(asset.mesh_names or []),
        "materials": [_material(name, record) for name, record in zip(asset.material_names or [], asset.materials)],
        "textures": [{"type": kind, "bytes": len(image)} for kind, image in asset.textures],
        "metadata": asset.metadata,
    }


def levels(clusters: np.ndarray, groups: np.ndarray) -> list[dict[str, Any]]:
    """Return clusters, triangles, mean fill and the errors (object space) of each level, finest first.

    The errors are those of the level's groups: what is claimed where their members are replaced by coarser ones.
    """
    level = clusters["counts"] >> 16 & 255
    triangles = clusters["counts"] >> 8 & 255
    group_level = groups["place"] >> 24
    result = []
    for number in range(int(level.max(initial=0)) + 1):
        count = int((level == number).sum())
        drawn = int(triangles[level == number].sum())
        mine = groups[group_level == number]
        made = mine["geometric_error"][mine["geometric_error"] < np.float32(layout.CONSTANTS["ROOT_ERROR"])]
        result.append(
            {
                "level": number,
                "clusters": count,
                "triangles": drawn,
                "triangles_per_cluster": drawn / max(count, 1),
                "groups": len(mine),
                "root_groups": len(mine) - len(made),
                "error_median": float(np.median(made)) if len(made) else None,
                "error_largest": float(made.max()) if len(made) else None,
            }
        )
    return result


def _material(name: str, record: np.void) -> dict[str, Any]:
    fields = record.dtype.names or ()
    return {"name": name} | {field: np.asarray(record[field]).tolist() for field in fields}


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)


_COUNTS = (
    "source_triangles",
    "instanced_triangles",
    "meshes",
    "instances",
    "clusters",
    "groups",
    "nodes",
    "pages",
    "file_bytes",
)


def as_text(values: dict[str, Any]) -> str:
    """Return what `describe` returned as lines for people; names that cannot be printed are escaped."""
    lines = [values["file"]]
    lines += [f"{name.replace('_', ' '):<20}  {values[name]:>15,}" for name in _COUNTS]
    lines.append(f"{'bytes per triangle':<20}  {values['bytes_per_source_triangle']:>15.2f}")
    low, high = ([f"{x:g}" for x in corner] for corner in values["bounds"])
    lines.append(f"{'bounds':<20}  {', '.join(low)} to {', '.join(high)}")
    lines.append("")
    lines.append("level    clusters    triangles   fill   groups  roots  median error  largest error")
    for row in values["levels"]:
        errors = [f"{row[name]:.4g}" if row[name] is not None else "-" for name in ("error_median", "error_largest")]
        lines.append(
            f"{row['level']:>5}  {row['clusters']:>10,}  {row['triangles']:>11,}  {row['triangles_per_cluster']:>5.1f}"
            f"  {row['groups']:>7,}  {row['root_groups']:>5}  {errors[0]:>12}  {errors[1]:>13}"
        )
    lines.append("")
    lines += [f"{name.replace('_', ' '):<20}  {count:>15,} bytes" for name, count in values["bytes"].items()]
    lines += [f"{'stream ' + name:<20}  {count:>15,} bytes" for name, count in values["decoded_streams"].items()]
    lines += [f"material  {_printable(material['name'])}" for material in values["materials"]]
    lines += [f"texture   {texture['type']}, {texture['bytes']:,} bytes" for texture in values["textures"]]
    if "problems" in values:
        lines += [f"broken    {problem}" for problem in values["problems"]]
        if not values["problems"]:
            lines.append("verified: law 1 holds, every cut that was tried covers the surface exactly once")
    return "\n".join(lines)
