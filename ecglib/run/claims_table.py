"""Claims of a run: collected from its current stages, judged, and compared with the committed."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ecglib.evaluate import claims
from ecglib.run import keys, manifest, studies, tables
from ecglib.run.errors import RunError

if TYPE_CHECKING:
    from ecglib.run.context import Run


def current_stages(run: "Run", numbers: list[str], library: keys.Library) -> dict[str, dict]:
    """The manifests of the stages whose key is what it would be now."""
    current = {}
    for number in numbers:
        recorded = manifest.read(run.paths.stage_manifest(run.name, number))
        try:
            parts = run.stage_parts(number, library)
        except RunError:  # a file or asset that it reads is absent
            continue
        if recorded and recorded["key"] == keys.digest(parts):
            current[number] = recorded
    return current


def judge(
    run: "Run", numbers: list[str], library: keys.Library, own: list[dict] | None = None
) -> pd.DataFrame:
    """The run's registered claims, judged by the claims/NN.csv of stages that are current.

    Args:
        numbers: stages to read; in a study only its own claims count.
        own: what a running notebook has noted so far.

    Raises:
        RunError: a file was changed after it was written; a claim is unregistered or reported
            twice; or all stages are current and none reports a claim that lists this run.
    """
    study = studies.STAGE in run.stages
    numbers = [number for number in numbers if number == studies.STAGE or not study]
    current = current_stages(run, numbers, library)
    for number, recorded in current.items():
        name = _file(run, number).relative_to(run.paths.out).as_posix()
        digests = {n: digest for n, digest in recorded["outputs"].items() if n == name}
        manifest.require_intact(run.paths.out, digests, number)
    whole = len(current) == (1 if study else len(run.stages))
    return table(run, reported(run, list(current)) + list(own or []), whole)


def _file(run: "Run", number: str) -> Path:
    return run.paths.reports(run.name) / "claims" / f"{number}.csv"


def reported(run: "Run", numbers: list[str] | None = None) -> list[dict]:
    """The rows of claims/NN.csv of some stages; without `numbers` of all, in a study of its own."""
    if numbers is None:
        numbers = [studies.STAGE] if studies.STAGE in run.stages else list(run.stages)
    files = [_file(run, number) for number in numbers]
    return [row for path in files if path.is_file() for row in pd.read_csv(path).to_dict("records")]


def table(run: "Run", rows: list[dict], whole: bool = False) -> pd.DataFrame:
    """The registered claims with the numbers of `rows`, judged. Raises RunError: a claim is
    unregistered or reported twice; or the run is `whole` and none of the rows reports a claim that
    lists this run."""
    file, names = studies.registry_file(run.tag), (run.data_name, run.profile_name)
    registry = claims.load(run.paths.repo / file)
    try:
        frame = pd.DataFrame(rows, columns=claims.MEASURED)
        judged = claims.merge(frame, registry, *names, run.plan, run.profile)
    except ValueError as error:
        raise RunError(f"{file}: {error}") from error
    silent = {name for name in registry if claims.is_listed(registry[name]["runs"], *names)}
    silent -= {row["id"] for row in rows}
    if silent and whole:
        raise RunError(
            f"{file} lists this run for the claim {min(silent)}, which no notebook reports; call "
            "stage.claim in one, or correct its `runs`"
        )
    return judged


def write(run: "Run", rows: list[dict] | None = None) -> None:
    """Write claims.csv after a run, from `rows` or else from the stages that are current; nothing
    in a project without a registry."""
    if not (run.paths.repo / studies.registry_file(run.tag)).is_file():
        return
    if rows is None:
        judged = judge(run, list(run.stages), keys.Library(run.paths.library))
    else:
        judged = table(run, rows)
    path = run.paths.reports(run.name) / "claims.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(tables.csv(judged), encoding="utf-8")


def compare(run: "Run") -> pd.DataFrame | None:
    """Each claim beside the one in the last commit (`evaluate.claims.compare`), where there is one;
    None without claims."""
    path = run.paths.reports(run.name) / "claims.csv"
    if not path.is_file():
        return None
    now = pd.read_csv(path)
    committed = manifest.git(run.paths.repo, "show", f"HEAD:reports/{run.name}/claims.csv")
    return claims.compare(now, pd.read_csv(io.StringIO(committed)) if committed else now.head(0))
