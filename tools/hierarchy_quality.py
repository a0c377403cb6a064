#!/usr/bin/env python3
"""Measure an asset against the mesh it was built from: how far its cuts are from the source, how true its claims are.

    python tools/hierarchy_quality.py happy.mlith happy.ply --triangles 127057,58976

A row is a cut: a level of the hierarchy, or all clusters that a uniform threshold draws (that of a renderer in whose
picture every group has the same scale). Distances are exact, from points spread evenly over one surface to the other,
both ways; `max` also looks at every vertex. Lengths are 1e-5 of the diagonal of the mesh's bounding box. Of several
meshes each is measured in its own frame and diagonal, with points in proportion to its triangles.

`within` is the share of the points that lie within the error that the group they belong to claims (plus half a lattice
cell, by which positions are rounded): points of the cut belong to the group that made their cluster, points of the
source to the group of the nearest drawn triangle. A group's true error is a percentile of its points, of the direction
in which it is larger.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine import layout
from engine.asset import Asset, open_asset
from engine.builder.meshfile import read_mesh_files
from engine.reference import Tables
from engine.settings import BuildSettings
from engine.verify import asset_tables
from engine.verify_surface import drawn_clusters
from tools.surface_samples import Surface, distances, make_surface, spread_points

UNIT = 1e5  # lengths in a diagonal
ROOT_ERROR = layout.CONSTANTS["ROOT_ERROR"]
LEAST_POINTS = 200  # of a group in each direction, to judge its percentile
COLUMNS = {
    "cut": "cut",
    "threshold": "tau",
    "triangles": "triangles",
    "mean": "mean",
    "rms": "rms",
    "rms_from_source": "rms from",
    "rms_to_source": "rms to",
    "p99": "p99",
    "max": "max",
    "claim_median": "claim",
    "claim_max": "largest",
    "within_from_source": "within from %",
    "within_to_source": "within to %",
    "groups": "groups",
    "below_p99": "below p99 %",
    "below_p99.5": "below p99.5 %",
    "claimed_to_true": "claimed/true",
    "worst": "worst",
}


@dataclass(frozen=True)
class Subject:
    """One mesh of the asset: the source and all clusters. Lengths are 1e-5 of the diagonal, from the mesh's origin."""

    source: Surface
    vertices: np.ndarray  # (v, 3) float64: of the source
    corners: np.ndarray  # (t, 3, 3) float64: triangles of all clusters
    cluster: np.ndarray  # (t,) int64: the cluster of each, asset-wide
    unit: float  # object-space length of 1e-5 of the diagonal
    share: float  # of all source triangles


def read_subjects(asset: Asset, data: Tables, paths: list[Path]) -> list[Subject]:
    """Return the meshes of the asset beside their sources; raise ValueError where the files hold other meshes."""
    chosen = asset.metadata.get("settings", {})
    settings = BuildSettings(**{name: chosen[name] for name in ("up", "scale") if name in chosen})
    sources = _matching(asset, read_mesh_files(paths, settings).meshes)
    total = sum(len(mesh.faces) for mesh in sources)
    subjects = []
    for number, mesh in enumerate(sources):
        positions = mesh.positions - asset.mesh_origins[number]
        diagonal = float(np.linalg.norm(positions.max(axis=0) - positions.min(axis=0)))
        unit = diagonal / UNIT
        clusters = np.flatnonzero(data.cluster_mesh == number)
        parts = [asset.cluster_geometry(int(cluster)) for cluster in clusters]
        corners = np.concatenate([part.positions[part.triangles] for part in parts]).astype(np.float64) / unit
        cluster = np.repeat(clusters, [len(part.triangles) for part in parts])
        share = len(mesh.faces) / total
        subjects.append(
            Subject(make_surface(positions[mesh.faces] / unit), positions / unit, corners, cluster, unit, share)
        )
        progress("read", number + 1, len(sources))
    return subjects


def _matching(asset: Asset, sources: list) -> list:
    """Return the source of each mesh of the asset; meshes that were left out when it was built have none."""
    if len(sources) == len(asset.meshes):
        return sources
    waiting = iter(sources)
    found = [next((mesh for mesh in waiting if mesh.name == name), None) for name in list(asset.mesh_names or [])]
    if any(mesh is None for mesh in found):
        raise ValueError(f"{asset.path} holds {len(asset.meshes)} meshes, the files {len(sources)} others")
    return found


def group_units(data: Tables, subjects: list[Subject]) -> tuple[np.ndarray, np.ndarray]:
    """Return the geometric error claimed by each group and half a lattice cell's diagonal, (G,) float64 each."""
    unit = np.array([subject.unit for subject in subjects])[data.groups["mesh"]]
    claim = data.groups["geometric_error"].astype(np.float64)
    claim = np.where(claim >= ROOT_ERROR, np.inf, claim / unit)
    return claim, 0.5 * math.sqrt(3.0) * data.meshes["step"].astype(np.float64)[data.groups["mesh"]] / unit


def level_cuts(data: Tables) -> Iterator[tuple[str, float, np.ndarray]]:
    """Yield (name, NaN, drawn (C,) bool) of each level: all simplified that often, or as often as could be."""
    level = (data.groups["place"] >> np.uint32(24)).astype(np.int64)
    is_root = data.groups["geometric_error"] >= ROOT_ERROR
    for number in range(int(level.max()) + 1):
        yield f"level {number}", math.nan, drawn_clusters(data, is_root | (level >= number))


def threshold_cuts(
    data: Tables, claim: np.ndarray, triangles: list[int], thresholds: list[float]
) -> Iterator[tuple[str, float, np.ndarray]]:
    """Yield the cuts of thresholds, and of those that draw the most triangles but no more than each of `triangles`."""
    cluster_triangles = ((data.clusters["counts"] >> np.uint32(8)) & np.uint32(0xFF)).astype(np.int64)
    steps = np.unique(claim[np.isfinite(claim)])
    for wanted in triangles:
        low, high = 0, len(steps) - 1
        while low < high:  # the finest of the cuts that are small enough
            middle = (low + high) // 2
            if cluster_triangles[drawn_clusters(data, claim > steps[middle])].sum() <= wanted:
                high = middle
            else:
                low = middle + 1
        yield f"{wanted} triangles", float(steps[high]), drawn_clusters(data, claim > steps[high])
    for threshold in thresholds:
        yield "threshold", threshold, drawn_clusters(data, claim > threshold)


def median_thresholds(data: Tables, claim: np.ndarray) -> list[float]:
    """Return the median claim of the groups of each level that is not all roots."""
    level, finite = data.groups["place"] >> np.uint32(24), np.isfinite(claim)
    return [float(np.median(claim[finite & (level == number)])) for number in np.unique(level[finite])]


def measure_cut(
    data: Tables, subjects: list[Subject], drawn: np.ndarray, allowed: np.ndarray, samples: int, seed: int
) -> dict[str, Any]:
    """Return the measures of one cut. allowed (G,) float64: how far from the other surface each group may be."""
    generator = np.random.default_rng(seed)
    parts, farthest, triangles = [], 0.0, 0
    for subject in subjects:
        corners = np.flatnonzero(drawn[subject.cluster])
        triangles += len(corners)
        cut = make_surface(subject.corners[corners])
        maker = data.cluster_made_by[subject.cluster[corners[cut.order]]]
        count = max(round(samples * subject.share), 64)
        points, _ = spread_points(subject.source, count, generator)
        from_source, nearest = distances(cut, points)
        points, place = spread_points(cut, count, generator)
        to_source, _ = distances(subject.source, points)
        at_source, _ = distances(cut, subject.vertices)
        at_cut, _ = distances(subject.source, np.unique(cut.corners.reshape(-1, 3), axis=0))
        farthest = max(farthest, *(float(d.max()) for d in (from_source, to_source, at_source, at_cut)))
        parts.append((from_source, maker[nearest], to_source, maker[place]))
    from_source, from_group, to_source, to_group = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    rms = [math.sqrt(float(np.mean(d**2))) for d in (from_source, to_source)]
    return {
        "triangles": triangles,
        "mean": float(from_source.mean() + to_source.mean()) / 2.0,
        "rms": math.hypot(*rms) / math.sqrt(2.0),
        "rms_from_source": rms[0],
        "rms_to_source": rms[1],
        "p99": float(max(np.percentile(from_source, 99), np.percentile(to_source, 99))),
        "max": farthest,
        **claim_measures((from_source, to_source), (from_group, to_group), allowed),
    }


def claim_measures(
    away: tuple[np.ndarray, ...], group: tuple[np.ndarray, ...], allowed: np.ndarray
) -> dict[str, float | int | None]:
    """Compare claimed errors with the distances (n,) of points and their groups (n,), of both directions.

    Points of group -1 (source clusters) are left out, and groups with few points where groups are judged.
    """
    result: dict[str, float | int | None] = {}
    true = {}
    for quantile in (0.99, 0.995):
        of_directions = []
        for distance, number in zip(away, group, strict=True):
            rank, count = group_quantile(distance, number, quantile, len(allowed))
            of_directions.append(np.where(count >= LEAST_POINTS, rank, np.nan))
        true[quantile] = np.maximum(*of_directions)
    for name, distance, number in zip(("from", "to"), away, group, strict=True):
        inner = number >= 0
        within = distance[inner] <= allowed[number[inner]]
        result[f"within_{name}_source"] = 100.0 * float(within.mean()) if inner.any() else None
    made = np.unique(np.concatenate(group))
    claims = allowed[made[made >= 0]]
    judged = np.isfinite(true[0.995]) & np.isfinite(allowed)
    ratio = allowed[judged] / np.maximum(true[0.995][judged], 1e-12)
    result |= {
        "claim_median": float(np.median(claims)) if len(claims) else None,
        "claim_max": float(claims.max()) if len(claims) else None,
        "groups": int(judged.sum()),
        "below_p99": 100.0 * float((allowed[judged] < true[0.99][judged]).mean()) if judged.any() else None,
        "below_p99.5": 100.0 * float((ratio < 1.0).mean()) if judged.any() else None,
        "claimed_to_true": float(np.median(ratio)) if judged.any() else None,
        "worst": float(ratio.min()) if judged.any() else None,
    }
    return result


def group_quantile(values: np.ndarray, group: np.ndarray, quantile: float, groups: int) -> tuple[np.ndarray, ...]:
    """Return for each group the smallest of its values not below that share of them (NaN without), and their count."""
    order = np.lexsort((values, group))
    order = order[np.searchsorted(group[order], 0) :]
    count = np.bincount(group[order], minlength=groups)
    place = np.cumsum(count) - count + np.maximum(np.ceil(quantile * count - 1e-9).astype(np.int64) - 1, 0)
    result = np.full(groups, np.nan)
    result[count > 0] = values[order][place[count > 0]]
    return result, count


def progress(stage: str, done: int, total: int) -> None:
    """Show how far the work is, on a terminal."""
    if sys.stderr.isatty():
        print(f"\r{stage} {done}/{total}\x1b[K", end="" if done < total else "\r\x1b[K", file=sys.stderr, flush=True)


def table(rows: list[dict[str, Any]], markdown: bool) -> str:
    """Return the rows under their headings, aligned, or as a table in Markdown."""
    cells = [list(COLUMNS.values())] + [[_shown(name, row.get(name)) for name in COLUMNS] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(COLUMNS))]
    lines = [[cell.rjust(width) for cell, width in zip(row, widths, strict=True)] for row in cells]
    if not markdown:
        return "\n".join("  ".join(line) for line in lines)
    lines.insert(1, ["-" * (width - 1) + ":" for width in widths])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(name: str, value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, str):
        return value
    if name.startswith(("within", "below")):
        return f"{value:.2f}"
    return f"{value:.2f}" if value < 10.0 else f"{value:.1f}" if value < 100.0 else f"{value:.0f}"


def measure(
    asset: Asset, paths: list[Path], kinds: tuple[str, ...], triangles: list[int], thresholds: list[float] | None,
    samples: int, seed: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return a row for each cut; thresholds None: the median claim of each level."""
    data = asset_tables(asset)
    subjects = read_subjects(asset, data, paths)
    claim, quantum = group_units(data, subjects)
    cuts = list(level_cuts(data)) if "levels" in kinds else []
    if "thresholds" in kinds:
        values = median_thresholds(data, claim) if thresholds is None else thresholds
        cuts += threshold_cuts(data, claim, triangles, values)
    rows = []
    for number, (name, threshold, drawn) in enumerate(cuts):
        progress("measure", number, len(cuts))
        values = measure_cut(data, subjects, drawn, claim + quantum, samples, seed)
        rows.append({"cut": name, "threshold": None if math.isnan(threshold) else threshold, **values})
    progress("measure", len(cuts), len(cuts))
    return rows


def _numbers(kind: type) -> Any:
    def parse(text: str) -> list:
        values = [kind(part) for part in text.split(",") if part]
        if any(value < 0 for value in values):
            raise ValueError
        return values

    parse.__name__ = "list of numbers"
    return parse


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, measure, print; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("asset", type=Path, help="a .mlith file")
    parser.add_argument("mesh", type=Path, nargs="+", help="the mesh files that it was built from")
    parser.add_argument("--triangles", type=_numbers(int), default=[], help="thresholds that draw at most so many")
    parser.add_argument("--threshold", type=_numbers(float), help="in 1e-5 of the diagonal; default: every level's")
    parser.add_argument("--samples", type=int, default=200_000, help="points on each surface (default 200000)")
    parser.add_argument("--seed", type=int, default=0)
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--levels", action="store_true", help="only levels")
    only.add_argument("--thresholds", action="store_true", help="only uniform thresholds")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object")
    form.add_argument("--markdown", action="store_true", help="print a table in Markdown")
    options = parser.parse_args(arguments)
    if options.samples < 1:
        parser.error("--samples must be at least 1")
    kinds = ("levels",) if options.levels else ("thresholds",) if options.thresholds else ("levels", "thresholds")
    if options.threshold is None and options.triangles:
        options.threshold = []
    try:
        rows = measure(
            open_asset(options.asset), options.mesh, kinds, options.triangles, options.threshold, options.samples,
            options.seed,
        )  # fmt: skip
    except (ValueError, OSError) as error:
        print(f"hierarchy_quality: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("hierarchy_quality: interrupted", file=sys.stderr)
        return 130
    print(json.dumps({"asset": options.asset.name, "rows": rows}) if options.json else table(rows, options.markdown))
    return 0


if __name__ == "__main__":
    sys.exit(main())
