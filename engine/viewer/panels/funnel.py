"""Panel: how many things each pass tested, kept and culled, and by what."""

from imgui_bundle import imgui

from engine.frame.statistics import KINDS, OUTCOMES, FrameStatistics, Funnel
from engine.viewer.palette import OUTCOME_COLORS
from engine.viewer.panels import widgets
from engine.viewer.panels.style import DIM
from engine.viewer.state import Actions, ViewerState

TITLE = "Culling funnel"
KIND_TEXTS = {
    "instance_nodes": "Nodes of the tree over all instances.",
    "instances": "Placed meshes.",
    "nodes": "Nodes of the hierarchies of clusters inside meshes.",
    "clusters": "Clusters of at most 128 triangles. Those kept are drawn.",
    "triangles": "Triangles of the clusters tested. Each is kept or culled with its cluster.",
}
OUTCOME_TEXTS = {
    "kept": "Passed all tests; of clusters and triangles: drawn.",
    "frustum": "Outside the view.",
    "detail": "Finer or coarser than error_pixels asks for: another level of the same surface is drawn.",
    "size": "Too small: it covers no pixel centre.",
    "occlusion": "Behind what was drawn. What the main pass culls by this is tested again in the post pass.",
}
RASTER_TEXTS = {
    "software": "Drawn by the software rasteriser, a workgroup for each cluster.",
    "small": "Drawn by the software rasteriser, several clusters of few triangles in a workgroup.",
    "masked": "Drawn by the software rasteriser with an alpha test.",
    "hardware": "Drawn by the hardware rasteriser: large on the screen.",
}
_ORDER = ("kept", "frustum", "occlusion", "detail", "size")
_OPEN = imgui.TreeNodeFlags_.default_open
_TREE = imgui.TreeNodeFlags_.span_label_width | imgui.TreeNodeFlags_.no_tree_push_on_open


def draw(state: ViewerState, actions: Actions) -> None:
    """Draw the funnel of the latest frame that came back."""
    statistics = state.statistics
    if statistics is None:
        widgets.colored("no frame yet", DIM)
        return
    _draw_summary(statistics)
    columns = [("", 8.0), *((name, 0.0) for name in statistics.passes)]
    if widgets.begin_columns("funnel", columns):
        for kind in KINDS:
            _draw_kind(kind, {name: funnels[kind] for name, funnels in statistics.passes.items()})
        imgui.end_table()


def _draw_summary(statistics: FrameStatistics) -> None:
    """Write what main and post pass kept together, from instances to triangles."""
    kept = {kind: drawn(statistics, kind) for kind in KINDS[1:]}
    if imgui.begin_table("summary", 4, imgui.TableFlags_.sizing_stretch_same):
        for number, kind in enumerate(kept):
            imgui.table_next_column()
            widgets.colored(kind if number == 0 else f"> {kind}", DIM)
            widgets.tip(KIND_TEXTS[kind])
        for value in kept.values():
            imgui.table_next_column()
            imgui.text_unformatted(f"{value:,}")
        imgui.end_table()
    imgui.spacing()


def drawn(statistics: FrameStatistics, kind: str) -> int:
    """Return how many things of a kind the main and the post pass kept."""
    return sum(funnels[kind].kept for name, funnels in statistics.passes.items() if name != "shadow")


def _draw_kind(kind: str, funnels: dict[str, Funnel]) -> None:
    imgui.table_next_row()
    imgui.table_next_column()
    is_open = imgui.tree_node_ex(kind, _TREE | (_OPEN if kind in ("instances", "nodes", "clusters") else 0))
    widgets.tip(KIND_TEXTS[kind])
    for name, funnel in funnels.items():
        imgui.table_next_column()
        widgets.bar(_shares(funnel), f"{name}, {kind}\n{_sentence(funnel)}")
    if not is_open:
        return
    _draw_row("tested", "Looked at: kept and culled.", {name: funnel.tested for name, funnel in funnels.items()})
    for outcome in _ORDER:
        counts = {name: count_of(funnel, outcome) for name, funnel in funnels.items()}
        _draw_row(outcome, OUTCOME_TEXTS[outcome], counts)
    for raster in dict.fromkeys(raster for funnel in funnels.values() for raster in funnel.rasters):
        counts = {name: funnel.rasters.get(raster, 0) for name, funnel in funnels.items()}
        _draw_row(raster, RASTER_TEXTS.get(raster, ""), counts, is_part=True)


def _draw_row(label: str, text: str, counts: dict[str, int], is_part: bool = False) -> None:
    imgui.table_next_row()
    imgui.table_next_column()
    imgui.indent()
    if is_part:
        imgui.indent()
    if label in OUTCOME_COLORS:
        widgets.swatch(OUTCOME_COLORS[label])
    widgets.colored(label, DIM)
    widgets.tip(text)
    if is_part:
        imgui.unindent()
    imgui.unindent()
    for value in counts.values():
        imgui.table_next_column()
        widgets.count(value)


def count_of(funnel: Funnel, outcome: str) -> int:
    """Return how many things of a funnel had an outcome."""
    return funnel.kept if outcome == "kept" else funnel.culled.get(outcome, 0)


def _shares(funnel: Funnel) -> list[tuple[float, tuple[float, float, float]]]:
    tested = max(funnel.tested, 1)
    return [(count_of(funnel, outcome) / tested, OUTCOME_COLORS[outcome]) for outcome in _ORDER]


def _sentence(funnel: Funnel) -> str:
    counts = {outcome: count_of(funnel, outcome) for outcome in OUTCOMES}
    lines = [f"{outcome}: {count:,} ({count / max(funnel.tested, 1):.1%})" for outcome, count in counts.items()]
    return "\n".join([f"tested: {funnel.tested:,}", *lines])
