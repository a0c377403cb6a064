"""Panel: which boxes of the frozen frame are drawn over the picture."""

from imgui_bundle import imgui

from engine.reference_trace import KINDS, OUTCOMES
from engine.viewer.palette import KIND_COLORS, OUTCOME_COLORS, WARNING
from engine.viewer.panels import funnel, widgets
from engine.viewer.panels.style import DIM
from engine.viewer.state import Actions, ViewerState

TITLE = "Overlays"
COLORINGS = ("outcome", "level", "kind")
HIGHEST_LEVEL = 31


def draw(state: ViewerState, actions: Actions) -> None:
    """Draw the freeze button, then what is chosen of the boxes, then how many there are."""
    options = state.overlay
    draw_freeze(state, actions)
    if state.frozen is None:
        widgets.wrapped("Freeze culling to look at its boxes from elsewhere.", DIM)
    elif status := state.frozen.status():
        widgets.wrapped(status, WARNING)
    _, options.shows_frustum = imgui.checkbox("frozen frustum", options.shows_frustum)
    imgui.separator_text("Boxes of")
    for kind in KINDS:
        widgets.swatch(KIND_COLORS[kind], imgui.get_frame_height())
        _toggle(options.kinds, kind, funnel.KIND_TEXTS[kind])
        imgui.same_line()
    imgui.new_line()
    imgui.separator_text("that were")
    counts = outcome_counts(state)
    for outcome in OUTCOMES:
        widgets.swatch(OUTCOME_COLORS[outcome], imgui.get_frame_height())
        _toggle(options.outcomes, outcome, funnel.OUTCOME_TEXTS[outcome])
        if outcome in counts:
            imgui.same_line()
            widgets.count(counts[outcome])
    imgui.separator_text("Levels and colours")
    _draw_levels(state)
    imgui.set_next_item_width(-imgui.calc_text_size("colours by  ").x)
    options.colors_by = widgets.choices("colours by", COLORINGS, options.colors_by)
    imgui.set_next_item_width(-imgui.calc_text_size("colours by  ").x)
    _, count = imgui.drag_int("at most", options.largest_count, 50.0, 1, 1_000_000, "%d boxes")
    options.largest_count = min(max(count, 1), 1_000_000)
    if state.frozen is not None and state.frozen.trace is not None:
        is_cut = state.boxes_shown < state.boxes_matching
        text = f"{state.boxes_shown:,} of {state.boxes_matching:,} boxes drawn"
        widgets.colored(text, WARNING if is_cut else DIM)


def outcome_counts(state: ViewerState) -> dict[str, int]:
    """Return how many things of the chosen kinds had each outcome in the frozen frame; nothing before that is known."""
    trace = state.frozen.trace if state.frozen is not None else None
    if trace is None:
        return {}
    if state.inputs.traced is None or state.inputs.traced[0] is not trace:
        state.inputs.traced = trace, trace.counts()
    chosen = [kind in state.overlay.kinds for kind in KINDS]
    return dict(zip(OUTCOMES, state.inputs.traced[1][chosen].sum(axis=0).tolist(), strict=True))


def draw_freeze(state: ViewerState, actions: Actions) -> None:
    """Draw the button that freezes culling, or lets it follow the camera again."""
    is_frozen = state.frozen is not None
    if imgui.button("Let culling follow the camera" if is_frozen else "Freeze culling", (-1, 0)):
        actions.toggle_freeze()


def _draw_levels(state: ViewerState) -> None:
    options = state.overlay
    imgui.set_next_item_width(-imgui.calc_text_size("colours by  ").x)
    is_changed, first, last = imgui.drag_int_range2(
        "levels", options.first_level, options.last_level, 0.1, 0, HIGHEST_LEVEL, "from %d", "to %d"
    )
    widgets.tip("Levels of detail of nodes and clusters: 0 is the source mesh.")
    if is_changed:
        options.first_level = min(max(first, 0), HIGHEST_LEVEL)
        options.last_level = min(max(last, options.first_level), HIGHEST_LEVEL)


def _toggle(chosen: set[str], name: str, text: str) -> None:
    is_changed, is_on = imgui.checkbox(name, name in chosen)
    widgets.tip(text)
    if is_changed:
        (chosen.add if is_on else chosen.discard)(name)
