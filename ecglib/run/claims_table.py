"""Claims of a run: collected from its current stages, judged, and compared with the committed."""

import io
from typing import TYPE_CHECKING

import pandas as pd

from ecglib.evaluate import claims
from ecglib.figures import tables
from ecglib.run import keys, manifest, studies
from ecglib.run.errors import RunError

if TYPE_CHECKING:
    from ecglib.run.context import Run


def own_stages(run: "Run") -> list[str]:
    """The stages whose claims count: all, in a study its own."""
    return [studies.STAGE] if studies.STAGE in run.stages else list(run.stages)


def current_stages(run: "Run", numbers: list[str], library: keys.Library) -> dict[str, dict]:
    """The manifests of the stages whose key is what it would be now, or that were taken."""
    current = {}
    for number in numbers:
        recorded = manifest.read(run.paths.stage_manifest(run.name, number))
        try:
            parts = run.stage_parts(number, library)
        except RunError:  # a file or asset that it reads is absent
            continue
        if recorded and (recorded.get("taken") or recorded["key"] == keys.digest(parts)):
            current[number] = recorded
    return current


def reported(run: "Run", numbers: list[str]) -> list[dict]:
    """The rows of claims/NN.csv of some stages."""
    files = [run.paths.reports(run.name) / f"claims/{number}.csv" for number in numbers]
    return [row for path in files if path.is_file() for row in pd.read_csv(path).to_dict("records")]


def judge(
    run: "Run",
    numbers: list[str],
    library: keys.Library,
    noted: list[dict] | None = None,
    number: str = studies.STAGE,
) -> pd.DataFrame:
    """The run's registered claims, judged by the claims/NN.csv of stages that are current.

    Args:
        numbers: stages to read, of those whose claims count.
        noted: what a running notebook has reported so far.
        number: the stage of that notebook, whose registry counts.

    Raises:
        RunError: a file was changed after it was written; a claim is unregistered or reported
            twice; or all stages are current and none reports a claim that lists this run.
    """
    own = own_stages(run)
    current = current_stages(run, [number for number in own if number in numbers], library)
    for other, recorded in current.items():
        outputs, name = recorded["outputs"].items(), f"/claims/{other}.csv"
        digests = {path: digest for path, digest in outputs if path.endswith(name)}
        manifest.require_intact(run.paths.out, digests, other)
    rows = reported(run, list(current)) + list(noted or [])
    return table(run, rows, len(current) == len(own), number)


def table(
    run: "Run", rows: list[dict], whole: bool = False, number: str = studies.STAGE
) -> pd.DataFrame:
    """The registered claims with the numbers of `rows`, judged. Raises RunError: a claim is
    unregistered or reported twice; or the run is `whole` and none of the rows reports a claim that
    lists this run."""
    file, names = studies.registry_file(run.tag, number), (run.data_name, run.profile_name)
    registry = claims.load(run.paths.repo / file)
    try:
        frame = pd.DataFrame(rows, columns=claims.MEASURED)
        return claims.merge(frame, registry, *names, run.plan, run.profile, whole)
    except ValueError as error:
        raise RunError(f"{file}: {error}") from error


def write(run: "Run", rows: list[dict] | None = None) -> None:
    """Write claims.csv after a run, from `rows` or else from the stages that are current; nothing
    for a study without claims."""
    if not (run.paths.repo / studies.registry_file(run.tag)).is_file():
        return
    library = keys.Library(run.paths.library)
    judged = judge(run, list(run.stages), library) if rows is None else table(run, rows)
    path = run.paths.reports(run.name) / "claims.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(tables.csv(judged), encoding="utf-8")


def compare(run: "Run") -> pd.DataFrame | None:
    """Each claim beside the one in the last commit (`evaluate.claims.compare`), or alone where that
    has no claims of the run; None without claims."""
    path = run.paths.reports(run.name) / "claims.csv"
    if not path.is_file():
        return None
    now = pd.read_csv(path)
    committed = manifest.git(run.paths.repo, "show", f"HEAD:reports/{run.name}/claims.csv")
    if not committed:
        return claims.compare(now, now.head(0))[["id", "now"]]
    return claims.compare(now, pd.read_csv(io.StringIO(committed)))
