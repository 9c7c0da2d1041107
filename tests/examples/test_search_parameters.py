"""The grid search as a user runs it, on fewer points."""

import importlib.util
import re
from pathlib import Path

FILE = Path(__file__).parents[2] / "examples" / "search_parameters.py"


def test_the_search_finds_the_groups(capsys):
    spec = importlib.util.spec_from_file_location("search_parameters", FILE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    search = example.main({"gamma": [0.2], "n_clusters": [3, 6, 12]})
    assert search.best_params_ == {"gamma": 0.2, "n_clusters": 6}
    results = search.cv_results_
    assert results["mean_test_rate"].argmax() == results["mean_test_neighbors"].argmax()
    said = re.search(r"6 groups \(ARI\): ([\d.]+)", capsys.readouterr().out)
    assert float(said[1]) > 0.9
