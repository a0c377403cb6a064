"""Settings: defaults, checks, and the way through TOML."""

import dataclasses
import math

import numpy as np
import pytest

from engine import layout
from engine.frame.queues import MAX_VISIBLE_CLUSTERS
from engine.settings import (
    RANGES,
    BuildSettings,
    FrameSettings,
    field_help,
    load_settings,
    settings_from,
    settings_toml,
)

CHANGED = {
    BuildSettings: BuildSettings(cluster_triangles=64, node_children=4, reduction=0.4, up="z", scale=1e-3),
    FrameSettings: FrameSettings(error_pixels=0.25, occlusion=False, view="levels", background=(0.0, 1.0, 0.5)),
}


@pytest.mark.parametrize("kind", [BuildSettings, FrameSettings])
def test_toml_gives_the_same_settings_back(kind, tmp_path):
    for settings in (kind(), CHANGED[kind]):
        path = tmp_path / "settings.toml"
        path.write_text(settings_toml(settings), encoding="utf-8")
        assert load_settings(kind, path) == settings


def test_a_part_is_laid_over_the_defaults():
    settings = settings_from(FrameSettings, {"error_pixels": 2, "light_direction": [1, 2, 3]})
    assert settings == FrameSettings(error_pixels=2.0, light_direction=(1.0, 2.0, 3.0))
    assert isinstance(settings.error_pixels, float)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"error_pixel": 1.0}, "unknown setting 'error_pixel'"),
        ({"view": "pretty"}, "view is 'pretty'; one of: shaded"),
        ({"error_pixels": "1"}, "error_pixels is '1'; expected float"),
        ({"occlusion": 1}, "occlusion is 1; expected bool"),
        ({"queue_items": True}, "queue_items is True; expected int"),
        ({"queue_items": 1.5}, "queue_items is 1.5; expected int"),
        ({"background": [1, 2]}, r"background is \[1, 2\]; expected 3 numbers"),
        ({"background": [1, 2, "3"]}, r"background is \[1, 2, '3'\]; expected 3 numbers"),
        ({"background": [1, True, 2]}, r"background is \[1, True, 2\]; expected 3 numbers"),
        ({"error_pixels": 10**400}, "error_pixels is inf; use a number of 0 to"),
    ],
)
def test_a_wrong_value_is_named(values, words):
    with pytest.raises(ValueError, match=words):
        settings_from(FrameSettings, values)


@pytest.mark.parametrize("text", ["scale = ", "scales = 1.0", "\xff"])
def test_a_bad_file_is_named_in_one_line(tmp_path, text):
    path = tmp_path / "bad.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"bad\.toml: ") as caught:
        load_settings(BuildSettings, path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [BuildSettings, FrameSettings])
def test_settings_are_frozen(kind):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(kind(), dataclasses.fields(kind)[0].name, None)


NUMBERS = [
    (kind, field)
    for kind in (BuildSettings, FrameSettings)
    for field in dataclasses.fields(kind)
    if not isinstance(field.default, (str, bool))
]


def test_every_number_has_a_range_that_fits_the_layout():
    assert set(RANGES) == {field.name for _, field in NUMBERS}
    largest = {name: high for name, (_, high) in RANGES.items()}
    constants = layout.CONSTANTS
    assert largest["cluster_triangles"] == constants["MAX_CLUSTER_TRIANGLES"]
    assert largest["cluster_vertices"] == constants["MAX_CLUSTER_VERTICES"]
    assert largest["group_clusters"] == constants["MAX_GROUP_CLUSTERS"]
    assert largest["node_children"] == constants["BVH_WIDTH"]
    assert largest["page_bytes"] == 4 * constants["PAGE_WORDS"]
    assert largest["visible_clusters"] == MAX_VISIBLE_CLUSTERS


@pytest.mark.parametrize(("kind", "field"), NUMBERS, ids=[field.name for _, field in NUMBERS])
def test_a_number_out_of_range_is_named(kind, field):
    def spread(value):
        return (value,) * 3 if isinstance(field.default, tuple) else value

    low, high = RANGES[field.name]
    for value in (low, high):
        assert getattr(kind(**{field.name: spread(value)}), field.name) == spread(value)
    step = 1 if isinstance(field.default, int) else 1e-9
    for value in (low - max(step, -1e-6 * low), high + max(step, 1e-6 * high), math.nan, math.inf, "1"):
        for make in (lambda bad: kind(**bad), lambda bad: dataclasses.replace(kind(), **bad)):
            with pytest.raises(ValueError, match=rf"setting {field.name} is .*; use a .*number of .* to ") as caught:
                make({field.name: spread(value)})
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [8.5, 8.0])
def test_a_count_is_a_whole_number(value):
    with pytest.raises(ValueError, match="use a whole number of 1 to 268435456"):
        FrameSettings(queue_items=value)
    assert FrameSettings(queue_items=np.int32(8)).queue_items == 8


def test_light_comes_from_somewhere():
    with pytest.raises(ValueError, match=r"light_direction is .* not zero"):
        FrameSettings(light_direction=(0.0, 0.0, 0.0))


def test_a_file_with_a_number_out_of_range_is_named(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text("error_pixels = inf\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"bad\.toml: setting error_pixels is inf; use a number of 0 to"):
        load_settings(FrameSettings, path)


@pytest.mark.parametrize("kind", [BuildSettings, FrameSettings])
def test_every_field_says_what_it_means(kind):
    texts = field_help(kind)
    assert list(texts) == [field.name for field in dataclasses.fields(kind)]
    assert all(len(text.split()) > 1 for text in texts.values())  # "likewise" means nothing alone
