"""docs/from_mesh_to_plot.ipynb runs, from a mesh to a plot, and says what its committed outputs say."""

import base64
import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT

PATH = ROOT / "docs" / "from_mesh_to_plot.ipynb"
LARGEST_BYTES = 1 << 20
# What no adapter changes: the mesh, its asset, the shapes of arrays and the counts of an experiment.
STEADY = r"\(300, 75, 3\), \(45000, 3\)|45,000 triangles, \d+ clusters|level +\d+: +\d+ clusters|fields [a-z_, ]+|"
STEADY += r"\(180, 320\) uint64|\[\(90, 160\).*\]|missing \d+, too many \d+|\(48, 12, 12\)"


def read():
    """Return the notebook as it was committed."""
    nbformat = pytest.importorskip("nbformat")
    return nbformat.read(PATH, as_version=4)


def texts(notebook) -> str:
    """Return all printed text and results of its cells."""
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", [])]
    return "\n".join(one.get("text") or one.get("data", {}).get("text/plain", "") for one in outputs)


def pictures(notebook) -> list[np.ndarray]:
    """Return all pictures among its outputs, (height, width, 3) uint8."""
    outputs = [one.get("data", {}) for cell in notebook.cells for one in cell.get("outputs", [])]
    images = [Image.open(io.BytesIO(base64.b64decode(one["image/png"]))) for one in outputs if "image/png" in one]
    return [np.asarray(image.convert("RGB")) for image in images]


def test_it_is_committed_with_small_outputs():
    notebook = read()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert 10 <= len(cells) <= 16
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "executed once, in order"
    assert sum(bool(cell.outputs) for cell in cells) >= len(cells) - 1
    assert not [one for cell in cells for one in cell.outputs if one.get("name") == "stderr"]
    assert PATH.stat().st_size < LARGEST_BYTES
    text = PATH.read_text(encoding="utf-8")
    assert not re.findall(r"/(?:tmp|home|root)/\w+", text), "names no folder of a machine"


def test_it_runs_and_says_the_same(device, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    committed, notebook = read(), read()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    options = {"timeout": 300, "kernel_name": "python3", "resources": {"metadata": {"path": str(tmp_path)}}}
    nbclient.NotebookClient(notebook, **options).execute()
    expected, found = (re.findall(STEADY, texts(one)) for one in (committed, notebook))
    assert len(expected) > 20
    assert found == expected
    assert "missing 0, too many 0" in found
    shown, kept = pictures(notebook), pictures(committed)
    assert len(shown) == len(kept) >= 5
    assert all(len(np.unique(image.reshape(-1, 3), axis=0)) > 20 for image in shown)
    assert [path.name for path in Path(tmp_path).glob("microlith-*/*.jsonl")] == ["tau.jsonl"]


def test_the_readme_names_it():
    assert "(docs/from_mesh_to_plot.ipynb)" in (ROOT / "README.md").read_text(encoding="utf-8")
