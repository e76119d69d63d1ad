"""What won, by how much, and whether beyond chance: the first lines of the report."""

import statistics

from sdc.evaluation.metrics import headline_of
from sdc.plan.cells import Cell
from sdc.report import theme
from sdc.report.runs import Run, Runs
from sdc.report.tables.table1 import query_by_query
from sdc.storage.columns import read_precisions


def summary(runs: Runs) -> list[str]:
    """A sentence for each dataset and backbone, of its longest codes; nothing where there is no score."""
    groups: dict[tuple[str, str], dict[str, list[Run]]] = {}
    longest = max((metrics["bits"] for metrics in runs.metrics), default=0)
    for run in runs.runs:
        metrics = run.metrics
        if metrics["bits"] == longest and headline_of(metrics) in metrics:
            methods = groups.setdefault((metrics["dataset"], metrics["backbone"]), {})
            methods.setdefault(metrics["method"], []).append(run)
    return [_sentence(pair, methods, runs) for pair, methods in groups.items()]


def _sentence(pair: tuple[str, str], methods: dict[str, list[Run]], runs: Runs) -> str:
    first = next(iter(methods.values()))[0].metrics
    name = headline_of(first)
    scores = {method: 100 * statistics.fmean(run.metrics[name] for run in of) for method, of in methods.items()}
    best, *others = sorted(scores, key=lambda method: -scores[method])
    what = f"{', '.join(pair)}, {first['bits']} bits: {theme.title(best)}"
    what += f" is best, {name} {scores[best]:.1f} %" if others else f" has {name} {scores[best]:.1f} %"
    if others:
        ahead = scores[best] - scores[others[0]]
        what += f", {ahead:.1f} points ahead of {theme.title(others[0])} ({scores[others[0]]:.1f})"
        what += _chance(methods, best, others)
    floats = [run.metrics for run in runs.baselines if (run.metrics["dataset"], run.metrics["backbone"]) == pair]
    if floats and name in floats[0]:
        value = 100 * floats[0][name]
        what += f". The floats themselves have {value:.1f} by exact cosine ({scores[best] - value:+.1f})"
    return f"{what}."


def _chance(methods: dict[str, list[Run]], best: str, others: list[str]) -> str:
    """Which methods cannot be told from the best one, by what tables mark."""
    precisions = {
        Cell(*(run.metrics[axis] for axis in Cell._fields)): read_precisions(
            run.folder / "average_precision.csv", run.record
        )
        for of in methods.values()
        for run in of
    }
    alike, oracle = query_by_query(precisions)
    if not oracle:
        return ""
    same = [theme.title(method) for method in others if method in {cell.method for cell in alike}]
    queries = len(next(iter(precisions.values())))
    test = f"paired bootstrap over {queries:,} queries"
    return f"; not beyond chance: {', '.join(same)} may be as good ({test})" if same else f", beyond chance ({test})"
