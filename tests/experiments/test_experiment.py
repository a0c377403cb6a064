"""The experiment TOML: what it means, and that every mistake names the file and the field."""

import pytest

from engine.__main__ import run
from engine.commands import bench
from engine.commands.parser import parse
from engine.experiments import manifest
from engine.experiments.experiment import Experiment, is_experiment, quick, read_experiment
from engine.settings import BuildSettings, FrameSettings


@pytest.fixture
def write(tmp_path):
    """Return `write(text) -> path of an experiment with that text`."""

    def to_file(text: str):
        path = tmp_path / "made.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


def variants(path) -> list[dict]:
    return [one.variant for one in read_experiment(path).runs()]


def test_defaults(write, tmp_path):
    experiment = read_experiment(write('scene = "a.mlith"'))
    assert experiment.name == "made"
    assert (experiment.frames, experiment.warm_up, experiment.repeats, experiment.check_every) == (200, 10, 1, 25)
    [only] = experiment.runs()
    assert only.file == tmp_path / "a.mlith"
    assert only.size == (1280, 720)
    assert (only.frame, only.build) == (FrameSettings(), BuildSettings())
    assert (only.instances, only.spacing, only.baseline) == (None, None, "engine")
    assert only.label == "one run"


def test_a_grid_is_every_combination(write):
    path = write('scene = "a.ply"\n[sweep]\nraster = ["software", "hardware"]\nerror_pixels = [1, 2.5]\n')
    runs = read_experiment(path).runs()
    assert [one.number for one in runs] == [0, 1, 2, 3]
    assert [(one.frame.raster, one.frame.error_pixels) for one in runs] == [
        ("software", 1.0),
        ("software", 2.5),
        ("hardware", 1.0),
        ("hardware", 2.5),
    ]
    assert runs[1].label == "raster software, error_pixels 2.5"


def test_a_list_is_side_by_side(write):
    text = 'scene = "a.ply"\n[settings]\nexposure = 2\n[build]\nscale = 3\n[sweep]\nmode = "list"\n'
    text += "size = [[64, 32], [32, 64]]\ngroup_clusters = [8, 32]\ninstances = [1, [2, 1, 3]]\n"
    first, second = read_experiment(write(text)).runs()
    assert (first.size, first.build.group_clusters, first.instances) == ((64, 32), 8, 1)
    assert (second.size, second.build.group_clusters, second.instances) == ((32, 64), 32, (2, 1, 3))
    assert first.frame == second.frame == FrameSettings(exposure=2.0)
    assert first.build.scale == second.build.scale == 3.0
    assert second.label == "size 32x64, group_clusters 32, instances 2x1x3"


def test_scenes_are_varied_and_variables_expanded(write, tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_MESHES", str(tmp_path / "far"))
    path = write('[sweep]\nscene = ["a.mlith", "$SOME_MESHES/b.ply", "${SOME_MESHES}/c.toml"]\n')
    assert is_experiment(path)
    files = [one.file for one in read_experiment(path).runs()]
    assert files == [tmp_path / "a.mlith", tmp_path / "far" / "b.ply", tmp_path / "far" / "c.toml"]
    monkeypatch.delenv("SOME_MESHES")
    with pytest.raises(ValueError, match=r"made\.toml: scene is '\$SOME_MESHES/b\.ply', but .* SOME_MESHES is not set"):
        read_experiment(path)


def test_scenes_of_one_name_are_told_apart(write, tmp_path):
    """Say, of one mesh before and after a change: their runs must not look like one."""
    scenes = [tmp_path / "old" / "a.mlith", tmp_path / "new" / "a.mlith", "b/c.mlith", "b/c.ply", tmp_path / "d.ply"]
    runs = read_experiment(write(f"[sweep]\nscene = {list(map(str, scenes))}\n")).runs()
    assert [one.scene_name for one in runs] == ["old/a.mlith", "new/a.mlith", "b/c.mlith", "b/c.ply", "d.ply"]
    assert [one.label for one in runs] == [f"scene {one.scene_name}" for one in runs[:4]] + ["scene d"]


def test_results_name_no_folder_of_materials(write, tmp_path):
    [one] = read_experiment(write(f"scene = 'a.mlith'\n[sweep]\nmaterials = ['{tmp_path}/striped']\n")).runs()
    line = manifest.describe_run(one, [])
    names = line["label"], line["variant"]["materials"], line["settings"]["materials"]
    assert names == ("materials striped", "striped", "striped")
    assert one.frame.materials == f"{tmp_path}/striped"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frames = 3\n[sweep]\nmode = 'grid'", "scene is ''"),
        ("scene = 1", "scene is 1"),
        ("scene = 'a.txt'", "scene is 'a.txt'"),
        ("scene = 'a.ply'\nframe = 1", "unknown entry 'frame'"),
        ("scene = 'a.ply'\nframes = 0", "frames is 0"),
        ("scene = 'a.ply'\nrepeats = true", "repeats is True"),
        ("scene = 'a.ply'\nsize = [0, 1]", "size is [0, 1]"),
        ("scene = 'a.ply'\ninstances = 0", "instances is 0"),
        ("scene = 'a.ply'\ninstances = [70000, 1, 70000]", "instances is [70000, 1, 70000]"),
        ("scene = 'a.ply'\ninstances = 2\nspacing = -1", "spacing is -1"),
        ("scene = 'a.ply'\nspacing = 1", "spacing is of instances"),
        ("scene = 'a.ply'\nframes = 99999999999999999999", "frames is 99999999999999999999; use a whole number"),
        ("scene = 'a.toml'\ninstances = 2", "instances repeats an asset"),
        ("scene = 'a.mlith'\n[build]\nscale = 2", "scale needs a build"),
        ("scene = 'a.mlith'\n[sweep]\ngroup_clusters = [8]", "group_clusters needs a build"),
        ("scene = 'a.ply'\nbaseline = 'magic'", "baseline is 'magic'; one of: engine"),
        ("scene = 'a.ply'\nbaseline = ['engine']", "baseline is ['engine']; one of: engine"),
        ("scene = 'a.ply'\n[settings]\nerror_pixels = 1" + "0" * 400, "setting error_pixels is inf; use a number"),
        ("scene = 'a.ply'\n[settings]\nerror = 1", "unknown setting 'error'"),
        ("scene = 'a.ply'\n[sweep]\nraster = ['software', 'fast']", "setting raster is 'fast'"),
        ("scene = 'a.ply'\n[sweep]\nerror = [1]", "unknown sweep 'error'"),
        ("scene = 'a.ply'\n[sweep]\nerror_pixels = 1", "sweep.error_pixels is 1"),
        ("scene = 'a.ply'\n[sweep]\nerror_pixels = []", "sweep.error_pixels is []"),
        (
            f"scene = 'a.ply'\n[sweep]\nerror_pixels = {list(range(200))}\nexposure = {list(range(200))}",
            "sweep has 40,000 combinations, and may have 10,000",
        ),
        ("scene = 'a.ply'\n[sweep]\nmode = 'all'", "sweep.mode is 'all'"),
        ("scene = 'a.ply'\n[sweep]\nmode = 'list'\nerror_pixels = [1]\nsize = [[1, 1], [2, 2]]", "lists of one length"),
        ("scene = 'a.ply'\nsize = [2, 2]\n[sweep]\nsize = [[1, 1]]", "size is varied by [sweep] and set"),
        (
            "scene = 'a.ply'\n[settings]\nexposure = 1\n[sweep]\nexposure = [1.0]",
            "exposure is varied by [sweep] and set",
        ),
        ("scene = 'a.ply'\npath = 'round'", "path is 'round'"),
        ("scene = 'a.ply'\npath = 'none.camera'", "path is 'none.camera': No such file"),
        ("scene = 'a.ply'\nclosed = true", "closed is of [[keyframes]]"),
        ("scene = 'a.ply'\nunits = 'feet'", "units is 'feet'"),
        ("scene = 'a.ply'\npath = 'orbit'\n[[keyframes]]\neye = [1, 0, 0]\ntarget = [0, 0, 0]", "both path and"),
        ("scene = 'a.ply'\n[[keyframes]]\neye = [1, 0, 0]", "[[keyframes]] 0 needs eye and target"),
        ("scene = 'a.ply'\n[[keyframes]]\neye = [1, 0, 0]\ntarget = [1, 0, 0]", "[[keyframes]] 0: camera: eye and"),
        ("scene = 'a.ply'\n[[keyframes]]\neye = [1, 0, 'x']\ntarget = [0, 0, 0]", "0: eye is [1, 0, 'x']; use three"),
        ("scene = 'a.ply'\n[[keyframes]]\neye = 5\ntarget = [0, 0, 0]", "0: eye is 5; use three numbers"),
        (
            "scene = 'a.ply'\n[[keyframes]]\neye = [1, 0, 1" + "0" * 400 + "]\ntarget = [0, 0, 0]",
            "[[keyframes]] 0: int",
        ),
        ("scene = 'a.ply'\n[[keyframes]]\neye = [1, 0, 0]\ntarget = [0, 0, 0]\nnear = '1'", "0: near is '1'; use a"),
        ("scene = 'a.ply'\nkeyframes = [1]", "keyframes has 1; write [[keyframes]] tables"),
        ("scene = 'a.ply'\n[[keyframes]]\neyes = [1, 0, 0]", "[[keyframes]] 0: unknown key 'eyes'"),
    ],
)
def test_a_mistake_names_file_and_field(write, text, message):
    with pytest.raises(ValueError) as caught:
        read_experiment(write(text))
    assert "made.toml: " in str(caught.value)
    assert message in str(caught.value)


def test_a_scene_file_is_no_experiment(write, tmp_path):
    assert not is_experiment(write('[[assets]]\npath = "a.mlith"'))
    assert not is_experiment(tmp_path / "a.mlith")
    assert is_experiment(write('scene = "a.mlith"'))


def test_options_go_before_the_file(write):
    path = write('scene = "a.mlith"\nframes = 5\nsize = [64, 32]\n[settings]\nerror_pixels = 2.0\nexposure = 3.0\n')
    line = ["bench", str(path), "--frames", "7", "--error-pixels", "1", "--no-occlusion"]
    experiment = bench.experiment_of(parse(line))
    assert (experiment.frames, experiment.warm_up, experiment.size) == (7, 10, [64, 32])
    assert experiment.settings == {"error_pixels": 1.0, "exposure": 3.0, "occlusion": False}


@pytest.mark.parametrize("option", [["--error-pixels", "1"], ["--size", "3x3"], ["--no-occlusion"]])
def test_an_option_that_the_sweep_varies_is_refused(write, option, capsys):
    text = 'scene = "a.mlith"\n[sweep]\nerror_pixels = [1]\nsize = [[1, 1]]\nocclusion = [true]\n'
    assert run(["bench", str(write(text)), *option]) == 1
    assert f"so that {option[0]} means nothing".replace("--no-", "--") in capsys.readouterr().err


def test_a_scene_alone_is_an_experiment_of_one_run():
    experiment = bench.experiment_of(parse(["bench", "some/a.mlith", "--eye", "1,2,3"]))
    assert experiment.name == "a"
    assert [one.variant for one in experiment.runs()] == [{}]
    assert experiment.way.options == {"eye": (1.0, 2.0, 3.0)}


def test_quick_keeps_what_is_varied():
    sizes = [[320, 180], [3200, 1800], [64, 1]]
    variants = tuple({"size": size, "instances": n} for size in sizes for n in (1, 1000, 1_000_000))
    small = quick(Experiment("a", "a.ply", frames=200, variants=variants))
    assert (small.frames, small.warm_up, small.repeats) == (2, 1, 1)
    assert [(one.size, one.instances) for one in small.runs()] == [
        (size, count) for size in ((16, 9), (160, 90), (3, 1)) for count in (1, 1000)
    ]
    assert quick(Experiment("a", "a.ply", instances=10**6)).instances == 1000
    many = quick(Experiment("a", "a.ply", variants=({"instances": [3000, 1, 2000]}, {"instances": [2, 3, 4]})))
    x, y, z = many.runs()[0].instances
    assert 800 <= x * y * z <= 1000 and y == 1 and abs(x - z) <= 6
    assert many.runs()[1].instances == (2, 3, 4)
    assert quick(Experiment("a", "a.ply", size=(1280, 720))).size == [160, 90]
    assert quick(Experiment("a", "a.ply", size=(100, 20))).size == [100, 20]
