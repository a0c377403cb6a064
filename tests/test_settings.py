"""Settings: defaults, checks, and the way through TOML."""

import dataclasses

import pytest

from engine.settings import BuildSettings, FrameSettings, load_settings, settings_from, settings_toml

CHANGED = {
    BuildSettings: BuildSettings(cluster_triangles=64, reduction=0.4, up="z", scale=1e-3),
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
        ({"background": [1, 2]}, r"background is \[1, 2\]; expected tuple"),
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
