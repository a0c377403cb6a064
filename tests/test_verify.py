"""Every problem that `info --verify` can name is found where it is, and named in one line, with exit code 1."""

import ast
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine import layout, verify, verify_surface
from engine.__main__ import run
from engine.asset import open_asset
from engine.asset_pages import page_dependencies
from engine.reference import Tables
from tests.asset_mutations import put_together, take_apart

ROOT = Path(__file__).resolve().parent.parent
ROOT_ERROR = np.float32(layout.CONSTANTS["ROOT_ERROR"])


@dataclasses.dataclass
class Case:
    """All that the checks look at, to be changed in place."""

    data: Tables
    triangles: np.ndarray
    dependencies: list[np.ndarray]
    surface: verify_surface.Surface
    decisions: list[np.ndarray]

    def problems(self) -> str:
        """Run every check, also where an earlier one found something."""
        data, found = self.data, verify.check_members(self.data)
        if not found:
            for check in (verify.check_errors, verify.check_spheres, verify.check_boxes, verify.check_nodes):
                found += check(data)
            found += verify.check_triangles(data, self.triangles)
            found += verify.check_pages(data, self.dependencies) + verify.check_decisions(data, 2, 0)
            found += verify_surface.check_boxes(data, self.surface)
            found += verify_surface.check_groups(data, self.surface, verify.first_twins(data))
            found += verify_surface.check_cuts(data, self.surface, self.decisions)
        assert not any("\n" in line for line in found)
        return "\n".join(found)


@pytest.fixture(scope="module")
def asset_path(sample_asset: Callable[..., Path]) -> Path:
    return sample_asset("sphere", 20000)


@pytest.fixture
def case(asset_path: Path) -> Case:
    asset = open_asset(asset_path)
    data = verify.asset_tables(asset)
    data = dataclasses.replace(
        data, **{field.name: getattr(data, field.name).copy() for field in dataclasses.fields(data)}
    )
    dependencies = [page_dependencies(asset.page_words(page)).astype(np.int64) for page in range(asset.page_count)]
    decisions = verify.sample_decisions(data, dependencies, 2, 0)
    surface = verify_surface.read_surface(asset, data)
    return Case(data, asset.mesh_triangles.copy(), dependencies, surface, decisions)


def made(case: Case) -> int:
    """Return a cluster that was made by a group."""
    return int(np.flatnonzero(case.data.cluster_made_by >= 0)[-1])


def inner(case: Case) -> int:
    """Return a group with a finer and a coarser one."""
    finer, coarser = verify.edges(case.data)
    return int(np.intersect1d(finer, coarser)[0])


def lose(case: Case, keep: np.ndarray) -> None:
    """Keep only some triangles of the surface."""
    surface = case.surface
    case.surface = dataclasses.replace(
        surface, edge=surface.edge[keep], cluster=surface.cluster[keep], area=surface.area[keep]
    )


def wrong_group(case: Case) -> None:
    case.data.clusters["group"][0] += 1


def unknown_maker(case: Case) -> None:
    case.data.cluster_made_by[made(case)] = len(case.data.groups)


def maker_not_below(case: Case) -> None:
    case.data.cluster_made_by[made(case)] = case.data.cluster_group[made(case)]


def maker_elsewhere(case: Case) -> None:
    case.data.groups["mesh"][case.data.cluster_made_by[made(case)]] = 1


def source_of_a_level(case: Case) -> None:
    case.data.cluster_made_by[made(case)] = -1


def wrong_count(case: Case) -> None:
    case.data.meshes["cluster_count"] += 1


def fewer_source(case: Case) -> None:
    case.triangles["source"] -= 1


def fewer_stored(case: Case) -> None:
    case.triangles["stored"] -= 1


def no_error(case: Case) -> None:
    case.data.groups["geometric_error"][inner(case)] = 0.0


def negative_attribute_error(case: Case) -> None:
    case.data.groups["attribute_error"][inner(case)] = -1.0


def error_shrinks(case: Case) -> None:
    case.data.groups["geometric_error"][inner(case)] *= np.float32(1e-3)


def attribute_error_shrinks(case: Case) -> None:
    case.data.groups["attribute_error"][inner(case)] *= np.float32(1e-3)


def no_root(case: Case) -> None:
    errors = case.data.groups["geometric_error"]
    errors[errors == ROOT_ERROR] *= np.float32(0.5)


def sphere_shrinks(case: Case) -> None:
    case.data.groups["radius"][inner(case)] *= np.float32(0.9)


def group_box(case: Case) -> None:
    case.data.groups["box_max"][inner(case)] -= np.float32(0.01)


def mesh_box(case: Case) -> None:
    case.data.meshes["box_min"] += np.float32(0.01)


def leaf_lost(case: Case) -> None:
    leaves = np.flatnonzero(case.data.nodes["child_count"] == 0)
    case.data.nodes["child"][leaves[0]] = case.data.nodes["child"][leaves[1]]


def leaf_differs(case: Case) -> None:
    case.data.nodes["radius"][case.data.nodes["child_count"] == 0] *= np.float32(1.01)


def node_too_small(case: Case) -> None:
    case.data.nodes["box_max"][case.data.nodes["child_count"] > 0] -= np.float32(0.01)


def other_root(case: Case) -> None:
    case.data.meshes["root_node"] += 1


def page_forgets(case: Case) -> None:
    case.dependencies = [pages[:0] for pages in case.dependencies]


def both_errors_shrink(case: Case) -> None:
    for name in ("geometric_error", "attribute_error"):
        case.data.groups[name][inner(case)] *= np.float32(1e-3)


def both_errors_shrink_a_little(case: Case) -> None:
    """The group above claims what the finer one claims: float32 rounds one of them up."""
    finer, coarser = verify.edges(case.data)
    pair = int(np.flatnonzero(coarser == inner(case))[0])
    for name in ("center", "radius", "geometric_error", "attribute_error"):
        case.data.groups[name][coarser[pair]] = case.data.groups[name][finer[pair]]
    case.data.groups["geometric_error"][coarser[pair]] *= np.float32(1.0 - 2.0**-20)


def box_claims_more(case: Case) -> None:
    case.data.clusters["extent"][0] += 1


def triangle_lost(case: Case) -> None:
    products = np.flatnonzero((case.data.cluster_made_by >= 0)[case.surface.cluster])
    lose(case, np.arange(len(case.surface.cluster)) != products[0])


def open_source(case: Case) -> None:
    """An open border, and a group that loses half of what is made of it: a new border as long as the group."""
    data, surface = case.data, case.surface
    source = (data.cluster_made_by < 0)[surface.cluster]
    group = data.cluster_made_by[made(case)]
    of_group = np.flatnonzero(source & (data.cluster_group[surface.cluster] == group))
    products = np.flatnonzero(data.cluster_made_by[surface.cluster] == group)
    keep = np.ones(len(surface.cluster), bool)
    keep[[of_group[0], *products[::2]]] = False
    lose(case, keep)


def decision_turned(case: Case) -> None:
    group = inner(case)
    case.decisions = [np.where(np.arange(len(cut)) == group, ~cut, cut) for cut in case.decisions]


def clusters_with_holes(case: Case) -> None:
    """Every cluster that was made loses a triangle."""
    first = np.diff(case.surface.cluster, prepend=-1) > 0
    lose(case, ~(first & (case.data.cluster_made_by >= 0)[case.surface.cluster]))


def doubled_triangle(case: Case) -> None:
    """Double a triangle at the outline of its group: inside it, edges where parts fold over are left out."""
    surface, maker = case.surface, case.data.cluster_made_by[case.surface.cluster]
    products = np.flatnonzero(maker == maker.max())
    edges, uses = np.unique(surface.edge[products], return_counts=True)
    at_outline = np.isin(surface.edge[products], edges[uses == 1]).any(axis=1)
    lose(case, np.append(np.arange(len(surface.cluster)), products[at_outline][:1]))


def nothing_drawn(case: Case) -> None:
    case.decisions = [np.zeros(len(case.data.groups), bool)]


CASES = {
    wrong_group: "clusters name another group than the one that lists them",
    unknown_maker: "clusters were made by a group that does not exist",
    maker_not_below: "clusters are members of a group not above the one they came from",
    maker_elsewhere: "clusters were made by a group of another mesh",
    source_of_a_level: "clusters of level 0 are not exactly the source clusters",
    wrong_count: "meshes have another number of clusters than they say",
    fewer_source: "meshes hold another number of source triangles than they say",
    fewer_stored: "meshes hold another number of stored triangles than they say",
    no_error: "groups have a geometric error that is not positive",
    negative_attribute_error: "groups have an attribute error below 0",
    error_shrinks: "geometric errors do not grow towards the root",
    attribute_error_shrinks: "attribute errors do not grow towards the root",
    no_root: "groups have the error of a root though something was made from them, or the reverse",
    sphere_shrinks: "spheres are not nested in the sphere of the group above",
    group_box: "clusters stick out of the boxes of their groups",
    mesh_box: "clusters stick out of the boxes of their meshes",
    leaf_lost: "groups do not have exactly one leaf",
    leaf_differs: "leaves differ from their groups in radius",
    node_too_small: "nodes do not bound a group below them",
    other_root: "groups are not below the root node of their mesh",
    page_forgets: "pages do not name a page with products of theirs",
    both_errors_shrink: "groups are projected larger than the group above: a hole for some eye",
    both_errors_shrink_a_little: "groups are projected larger than the group above in float32: a hole for some eye",
    box_claims_more: "clusters do not fill the box they claim",
    triangle_lost: "groups change the edges they share with others: cracks or holes",
    open_source: "groups grow long new borders: cracks or holes",
    clusters_with_holes: "cuts have border edges on closed meshes",
    doubled_triangle: "cuts have edges with three or more triangles, an odd number: overlaps",
    decision_turned: "cuts have far more area than the source",
    nothing_drawn: "cuts draw nothing of a mesh",
}


def test_the_case_is_right(case):
    assert case.problems() == ""


@pytest.mark.parametrize("change", CASES, ids=lambda change: change.__name__)
def test_each_check_turns_red(case, change):
    change(case)
    assert CASES[change] in case.problems()


def test_every_problem_has_a_case():
    """No text of a problem is left out above."""
    known = "\n".join(CASES.values())
    for module in (verify, verify_surface):
        for function in ast.parse(Path(module.__file__).read_text(encoding="utf-8")).body:
            if not isinstance(function, ast.FunctionDef) or not function.name.startswith("check_"):
                continue
            for node in ast.walk(ast.Module(function.body[1:], [])):
                text = node.value.strip() if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
                for part in text.split(" (")[:1]:
                    assert part.count(" ") < 3 or part in known, f"{function.name}: {part!r} is never found"


def test_a_broken_file_is_one_line_for_each_problem_and_exit_1(asset_path, tmp_path, capsys):
    parts, path = take_apart(asset_path), tmp_path / "broken.mlith"
    parts.sections["triangles"]["source"] -= 1
    path.write_bytes(put_together(parts))
    assert run(["info", str(path)]) == 0
    capsys.readouterr()
    assert run(["info", str(path), "--verify"]) == 1
    captured = capsys.readouterr()
    broken = [line for line in captured.out.splitlines() if line.startswith("broken")]
    assert len(broken) == 1
    assert "source triangles" in broken[0]
    assert "verified" not in captured.out
    assert captured.err == f"microlith: {path}: breaks law 1 (1 kinds of problems); build it again\n"


def test_progress_is_told_and_may_stop(asset_path):
    stages: list[tuple[str, int, int]] = []
    assert verify.verify_asset(open_asset(asset_path), progress=lambda *step: stages.append(step)) == []
    assert {name for name, _, _ in stages} == {"check hierarchy", "read triangles", "check outlines", "check cuts"}
    assert all(0 <= done < total for _, done, total in stages)

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "check outlines":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify.verify_asset(open_asset(asset_path), progress=stop)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to send")
def test_verify_can_be_interrupted(asset_path):
    command = [sys.executable, "-m", "engine", "info", str(asset_path), "--verify"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ) as process:
        time.sleep(0.7)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        out, error = process.communicate(timeout=20)
    assert process.returncode in (130, 0)  # 0: it was done before
    assert time.monotonic() - began < 10
    assert b"Traceback" not in error
    assert process.returncode == 0 or out == b""
