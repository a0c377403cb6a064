"""The arguments of every command."""

import argparse
import math
import os
import re
import tomllib
from collections.abc import Sequence
from typing import Any, get_args

from engine import __version__
from engine.settings import Raster, Traversal, ViewMode

AOV_NAMES = (
    "depth",
    "normal",
    "instance",
    "cluster",
    "triangle",
    "level",
    "material",
    "velocity",
    "albedo",
    "shading_normal",
    "roughness",
    "metallic",
    "occlusion",
    "emissive",
)
_NEGATIVE_VALUE = re.compile(r"-\.?\d")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options of one command line; a usage error exits with code 2."""
    options = make_parser().parse_args(_joined(arguments))
    options.verbosity = -1 if options.quiet else options.verbose
    return options


def _joined(arguments: Sequence[str]) -> list[str]:
    """Join `--eye -1,2,3` to `--eye=-1,2,3`, which argparse would take for an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1].startswith("--") and "=" not in joined[-1] and _NEGATIVE_VALUE.match(argument):
            joined[-1] += "=" + argument
        else:
            joined.append(argument)
    return joined


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="microlith",
        description="Virtual geometry: meshes of any size, drawn by what a pixel can see.",
        epilog="SCENE is an asset (.mlith), a scene file (.toml) or a mesh file, which is built first.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"microlith {__version__}")
    _add_verbosity(parser, 0, False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text, add in (
        ("build", "turn mesh files into an asset", _add_build),
        ("info", "what an asset holds", _add_info),
        ("render", "draw a scene to an image", _add_render),
        ("view", "look around a scene in a window", _add_view),
        ("bench", "measure and compare an experiment, or frames of one scene", _add_bench),
        ("device", "which adapter runs here, and why", _add_device),
    ):
        command = commands.add_parser(name, help=text, description=text.capitalize() + ".", allow_abbrev=False)
        add(command)
        _add_verbosity(command, argparse.SUPPRESS, argparse.SUPPRESS)
    return parser


def _add_verbosity(parser: argparse.ArgumentParser, verbose: object, quiet: object) -> None:
    parser.add_argument("-v", "--verbose", action="count", default=verbose, help="more log lines; twice: all of them")
    parser.add_argument("-q", "--quiet", action="store_true", default=quiet, help="errors only")


def _add_build(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="mesh file: glTF/GLB, OBJ, PLY, STL or OFF")
    parser.add_argument("-o", "--output", required=True, metavar="OUT.mlith", help="asset to write")
    parser.add_argument("--report", metavar="FILE.json", help="write what was built, level by level")
    parser.add_argument("--threads", type=positive, metavar="N", help="worker threads (default: all cores)")
    parser.add_argument("--settings", metavar="FILE.toml", help="build settings")
    parser.add_argument(
        "--progress-json",
        action="store_true",
        help='for programs: progress as JSON lines on standard error, {"stage": "build", "done": 10, "total": 200},'
        " at most 20 a second; lines about errors begin with `microlith: ` as ever",
    )
    parser.add_argument(
        "--end-with-input",
        action="store_true",
        help="for programs: stop as after Ctrl-C when standard input ends, so that no build outlives who started it",
    )
    parser.add_argument("--up", choices=("y", "z"), help="axis of the file that points up (default: y)")
    parser.add_argument("--scale", type=positive_number, metavar="S", help="metres per unit of the file (default: 1)")


def _add_info(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("asset", metavar="ASSET", help=".mlith file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--verify", action="store_true", help="check the hierarchy; exit 1 if a law is broken")


def _add_frame(parser: argparse.ArgumentParser) -> None:
    """Add the options of the device, the camera and the frame."""
    parser.add_argument("--size", type=size, default=(1280, 720), metavar="WxH", help="pixels (default: 1280x720)")
    parser.add_argument(
        "--eye", type=vector, metavar="X,Y,Z", help="position of the camera (default: sees the whole scene)"
    )
    parser.add_argument("--target", type=vector, metavar="X,Y,Z", help="point the camera looks at")
    parser.add_argument("--up", type=vector, metavar="X,Y,Z", help="direction that points up (default: 0,1,0)")
    parser.add_argument("--fov", type=angle, metavar="DEG", help="vertical field of view in degrees")
    parser.add_argument(
        "--camera", metavar="TEXT", help="camera in its text form, as the viewer copies it, or a .camera file"
    )
    parser.add_argument("--error-pixels", type=not_negative, metavar="TAU", help="largest error on the screen (1.0)")
    parser.add_argument("--traversal", choices=get_args(Traversal), help="how the hierarchy is walked (auto)")
    parser.add_argument(
        "--raster", choices=get_args(Raster), help="which rasteriser draws (auto: by size on the screen)"
    )
    parser.add_argument("--no-occlusion", action="store_true", help="draw what is hidden, too, in one pass")
    parser.add_argument(
        "--shadows", action="store_true", help="shadow maps of the light; settings shadow_* refine them"
    )
    parser.add_argument("--view", choices=get_args(ViewMode), help="what the image shows (shaded)")
    parser.add_argument(
        "--materials", metavar="FOLDER", help="where material functions (NAME.wgsl) are looked for first"
    )
    parser.add_argument("--settings", metavar="FILE.toml", help="frame settings; the other options go before it")
    parser.add_argument(
        "--set",
        type=assignment,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one frame setting, as in such a file; goes before all others",
    )
    parser.add_argument(
        "--adapter",
        default=os.environ.get("MICROLITH_ADAPTER") or None,
        metavar="TEXT",
        help="use the adapter whose name contains TEXT (also: MICROLITH_ADAPTER)",
    )


def _add_render(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scene", metavar="SCENE")
    parser.add_argument("-o", "--output", required=True, metavar="IMAGE", help="image to write, such as image.png")
    _add_frame(parser)
    parser.add_argument("--frames", type=positive, default=1, metavar="N", help="draw N frames, keep the last (1)")
    parser.add_argument(
        "--aov",
        type=aov,
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=FILE.npy",
        help=f"also write arrays: {', '.join(AOV_NAMES)}",
    )
    parser.add_argument("--statistics", metavar="FILE.json", help="write what was tested, kept and culled")


def _add_view(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scene", nargs="*", metavar="SCENE", help="several are shown together; none: drop files later")
    _add_frame(parser)


def _add_bench(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scene", metavar="EXPERIMENT|SCENE", help="an experiment (.toml with `scene`), or a scene")
    _add_frame(parser)
    parser.set_defaults(size=None)
    parser.add_argument("--frames", type=positive, metavar="N", help="frames to measure (200)")
    parser.add_argument("--warm-up", type=count, metavar="N", help="frames before the first measured one (10)")
    parser.add_argument("--repeats", type=positive, metavar="N", help="times that each run is measured, by turns (1)")
    parser.add_argument("--quick", action="store_true", help="try all runs with 2 small frames: is everything there?")
    parser.add_argument(
        "--json",
        metavar="OUT.jsonl",
        help="write every sample; an experiment that was interrupted goes on from what this file holds",
    )
    parser.add_argument("--csv", metavar="OUT.csv", help="write one row for each frame")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="compare with the reference, without occlusion, the other traversal and raster; exit 1 if one differs",
    )
    parser.add_argument(
        "--check-every",
        type=count,
        metavar="N",
        help="keep the visible set of each N-th frame, and compare it with --verify (25; 0: none)",
    )
    parser.add_argument(
        "--image-error",
        type=positive,
        metavar="N",
        help="compare each N-th frame with that at error_pixels 0: PSNR, FLIP, depth, silhouette, flicker (none)",
    )
    parser.add_argument(
        "--path",
        choices=("orbit", "still"),
        help="move around the scene or stay (still where options or scene name a camera, else orbit)",
    )
    parser.add_argument(
        "--indirect-validation",
        action="store_true",
        help="let wgpu check each indirect dispatch on the GPU, to see what that costs",
    )


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--calibrate", action="store_true", help="measure the thresholds of this adapter and keep them")
    parser.add_argument("--adapter", default=os.environ.get("MICROLITH_ADAPTER") or None, metavar="TEXT")


def vector(text: str) -> tuple[float, float, float]:
    """Parse `X,Y,Z`."""
    values = [_number(part) for part in text.split(",")]
    if len(values) != 3:
        raise argparse.ArgumentTypeError(f"{text!r} is not X,Y,Z")
    return values[0], values[1], values[2]


def size(text: str) -> tuple[int, int]:
    """Parse `WIDTHxHEIGHT` in pixels."""
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not match or "0" in (match[1].strip("0") or "0", match[2].strip("0") or "0"):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, such as 1280x720")
    return int(match[1]), int(match[2])


def aov(text: str) -> tuple[str, str]:
    """Parse `NAME=FILE.npy`."""
    name, equals, path = text.partition("=")
    if not equals or not path.endswith(".npy"):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FILE.npy")
    if name not in AOV_NAMES:
        raise argparse.ArgumentTypeError(f"no AOV {name!r}; one of: {', '.join(AOV_NAMES)}")
    return name, path


def assignment(text: str) -> tuple[str, Any]:
    """Parse `NAME=VALUE`, a line of a settings file; a text of one word needs no quotes."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (equals and re.fullmatch(r"\w+", name) and value) or "\n" in value:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        if re.search(r"[\s\"'\[\]{}#=,]", value):
            raise argparse.ArgumentTypeError(f"{text!r}: {value} is not a TOML value") from None
        return name, value


def positive(text: str) -> int:
    """Parse a whole number of at least 1."""
    if not re.fullmatch(r"\d{1,9}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def count(text: str) -> int:
    """Parse a whole number of at least 0."""
    return 0 if text == "0" else positive(text)


def not_negative(text: str) -> float:
    """Parse a number of at least 0."""
    if (value := _number(text)) < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is less than 0")
    return value


def positive_number(text: str) -> float:
    """Parse a number above 0."""
    if (value := _number(text)) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not above 0")
    return value


def angle(text: str) -> float:
    """Parse a field of view in degrees."""
    if not 0 < (value := _number(text)) < 180:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 180 degrees")
    return value


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return value
