"""Run benchmarks, print their tables and keep the figures.

python -m benchmarks                    all of them, at full size
python -m benchmarks --quick            those that end in minutes
python -m benchmarks accuracy --set n_seeds=1 --set 'data=["dtd"]'

A benchmark is a module with `SIZES`, the arguments of its `run` at each size, and
`run`, which returns tables: name -> list of rows, each a dict of columns. Where another
function of it takes other arguments, say `run_dec`, they are in `RUN_DEC_SIZES`.
"""

import argparse
import importlib
import json
import sys
import time
from pathlib import Path

from .machine import Lacking, describe

# Name -> module and, where a module holds several, its function.
BENCHMARKS = {
    "training": ("training", "run"),
    "handwritten": ("handwritten", "run"),
    "neighbors": ("neighbors", "run"),
    "coding_rate": ("coding_rate", "run"),
    "image_search": ("image_search", "run"),
    "search_quality": ("search_quality", "run"),
    "copies": ("copies", "run"),
    "duplicates": ("duplicates", "run"),
    "reading": ("reading", "run"),
    "kills": ("kills", "run"),
    "fit": ("fit", "run"),
    "predict": ("fit", "run_predict"),
    "peers": ("peers", "run"),
    "peers_dec": ("peers", "run_dec"),
    "scaling": ("scaling", "run"),
    "gpu": ("gpu", "run"),
    "memory": ("memory", "run"),
    "memory_rate_reduction": ("memory", "run_rate_reduction"),
    "out_of_core": ("out_of_core", "run"),
    "dask_predict": ("dask_predict", "run"),
    "semantic_space": ("semantic_space", "run"),
    "vl": ("vl", "run"),
    "vl_offline": ("vl", "run_offline"),
    "vl_parts": ("vl", "run_parts"),
    "vl_unseen": ("vl", "run_unseen"),
    "vl_million": ("vl", "run_million"),
    "accuracy": ("accuracy", "run"),
    "rate_reduction": ("rate_reduction", "run"),
    "rate_reduction_imbalance": ("rate_reduction", "run_imbalance"),
    "rate_reduction_ablation": ("rate_reduction", "run_ablation"),
    "offline": ("offline", "run"),
    "k_selection": ("k_selection", "run"),
    "k_estimates": ("k_selection", "run_estimates"),
    "k_suite": ("k_suite", "run"),
    "captions": ("captions", "run"),
    "names": ("names", "run"),
    "contrastive_masked": ("contrastive_masked", "run"),
    "generative": ("generative", "run"),
    "generative_round": ("generative_round", "run"),
    "generative_digits": ("generative_quality", "run_digits"),
    "generative_imbalance": ("generative_quality", "run_imbalance"),
    "generative_embeddings": ("generative_quality", "run_embeddings"),
    "generative_cifar10": ("generative_quality", "run_cifar10"),
    "masked_digits": ("masked_quality", "run_digits"),
    "masked_ablation": ("masked_quality", "run_ablation"),
    "masked_embeddings": ("masked_quality", "run_embeddings"),
    "masked_cifar10": ("masked_quality", "run_cifar10"),
    "choosing": ("choosing", "run"),
    "label_free_scores": ("label_free_scores", "run"),
    "robustness": ("accuracy", "run_robustness"),
    "ablation": ("accuracy", "run_ablation"),
}
RESULTS = Path(__file__).parent / "results"


def main(arguments=None):
    """Run what was asked for; return 1 if any of it lacked what it needs, else 0."""
    first, _, usage = __doc__.partition("\n")
    parser = argparse.ArgumentParser(
        "python -m benchmarks",
        description=first,
        epilog=usage,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}"
    )
    parser.add_argument("--size", choices=["toy", "quick", "full"], default="full")
    parser.add_argument(
        "--quick", action="store_const", const="quick", dest="size", help="--size quick"
    )
    parser.add_argument(
        "--set",
        metavar="KEY=JSON",
        action="append",
        default=[],
        help="another value for an argument of `run`; figures are then not kept",
    )
    parser.add_argument("--output", type=Path, help="default: benchmarks/results")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}")
    changed = dict(item.split("=", 1) for item in options.set)
    changed = {key: json.loads(value) for key, value in changed.items()}
    output = options.output or (None if changed else RESULTS)
    missing = False
    for name in options.names or BENCHMARKS:
        try:
            measure(name, options.size, changed, output)
        except (FileNotFoundError, Lacking) as error:
            print(f"\n{name}: left out, as {error}", flush=True)
            missing = missing or name in options.names
    return int(missing)


def measure(name, size, changed, output):
    """Run one benchmark, print its tables and write them to a JSON file."""
    module_name, function = BENCHMARKS[name]
    module = importlib.import_module(f".{module_name}", __package__)
    sizes = getattr(module, f"{function.upper()}_SIZES", module.SIZES)
    if size not in sizes:
        print(f"\n{name}: left out, as it has no {size} size", flush=True)
        return
    arguments = {**sizes[size], **changed}
    print(f"\n{name}: {module.__doc__.splitlines()[0]}", flush=True)
    start = time.perf_counter()
    tables = getattr(module, function)(**arguments)
    seconds = time.perf_counter() - start
    for title, rows in tables.items():
        print_table(title, rows)
    print(f"({seconds:.0f} s)", flush=True)
    if output is None:
        return
    flag = {"full": "", "quick": " --quick", "toy": " --size toy"}[size]
    flag += "".join(f" --set '{k}={json.dumps(v)}'" for k, v in changed.items())
    report = {
        "command": f"python -m benchmarks {name}{flag}",
        "arguments": arguments,
        "seconds": seconds,
        **describe(),
        "tables": tables,
    }
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{name}{'' if size == 'full' else '-' + size}.json"
    path.write_text(json.dumps(report, indent=2, default=float) + "\n")


def print_table(title, rows):
    """Print rows under the names of their columns."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_cell(row.get(column, "")) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells)]
    print(f"\n  {title}")
    for line in [columns, *cells]:
        print("  " + "  ".join(cell.rjust(w) for cell, w in zip(line, widths)))


def _cell(value):
    if isinstance(value, list):
        return " ".join(map(_cell, value))
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    sys.exit(main())
