"""The datasets library, pandas, polars and DuckDB against the hub. They live in an environment of their own,
so the story that they tell is datasets_story.py beside this; one process, because they are slow to start."""
from pathlib import Path

from conftest import run


def test_datasets_of_every_format_load_whole_and_streamed(hub, python_datasets, tmp_path):
    said = run(python_datasets, Path(__file__).with_name('datasets_story.py'), tmp_path, hub.other_token,
               HF_TOKEN=hub.token, HF_HOME=str(tmp_path / 'hf'))
    assert said.split() == ['formats', 'layouts', 'media', 'who_and_when', 'pushed', 'viewed', 'paths']
