"""The prediction schema: evaluation reads nothing else.

A line of the table is one answer of one method about one ECG. `item` names what was predicted:

    label:06               classification; target "0"/"1", score = probability
    report                 generated text; target = reference report, prediction = output
    finding:06             a finding read in a text; target and prediction "0"/"1", score = how
                           firmly it is stated (`statements`)
    rouge_1, rouge_l ...   a metric of one ECG; score = value
    bleu_4_corpus:match_1  what an ECG adds to a sum of the metric; score = count
    verify:conduction.06, choose:..., query:rhythm    questions; target and prediction are answers

`unit` and `ecg` are integers drawn for the run, one per patient and one per recording, so that the
files contain nothing that leads back to a person.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.special import expit, logit

COLUMNS = ["unit", "ecg", "method", "seed", "item", "target", "prediction", "score"]
COLUMNS += ["site", "sex", "age_band", "tokens", "stop_reason"]
INTEGERS = ["unit", "ecg", "seed", "tokens"]
TEXT_COLUMNS = [name for name in COLUMNS if name not in (*INTEGERS, "score")]
TYPES = dict.fromkeys(INTEGERS, pa.int64()) | dict.fromkeys(TEXT_COLUMNS, pa.string())
SCHEMA = pa.schema([(name, TYPES.get(name, pa.float64())) for name in COLUMNS])
ORDER = ["method", "seed", "item", "unit", "ecg", "target", "prediction"]
ITEM = r"[a-z][a-z0-9_]*(:.+)?"


def age_band(ages: np.ndarray) -> np.ndarray:
    """Age bands of subgroup tables: <40, 40-59, 60-79, 80+, and unknown for a missing age."""
    ages = np.asarray(ages, dtype=float)
    names = np.array(["<40", "40-59", "60-79", "80+", "unknown"])
    return names[np.where(np.isnan(ages), 4, np.digitize(ages, [40, 60, 80]))]


def rounded(probabilities: np.ndarray | pd.Series) -> np.ndarray:
    """Probabilities whose log-odds are multiples of 1/32, which makes a file of many scores small.

    A probability moves by 0.004 at most. Scores near 0 and near 1 keep their order, which rounding
    of the probability itself would lose.

    >>> rounded(np.array([0.0, 0.5, 0.98765, 1.0])).round(4).tolist()
    [0.0, 0.5, 0.9876, 1.0]
    """
    with np.errstate(divide="ignore"):  # the log-odds of 0 and 1 are infinite
        return expit(np.round(logit(np.asarray(probabilities, float)) * 32) / 32)


def build(
    records: pd.DataFrame,
    method: str,
    seed: int,
    item: str | list[str] | np.ndarray | pd.Series,
    target: object = "",
    prediction: object = "",
    score: object = np.nan,
    tokens: object = 0,
    stop_reason: object = "",
) -> pd.DataFrame:
    """Predictions, one per row of `records` (columns unit, ecg, site, sex, age).

    The other arguments are scalars or sequences as long as `records`. Repeat records (for example
    `records.iloc[question.row]`) to write several items of one ECG.
    """
    values = {"method": method, "seed": seed, "item": item, "target": target}
    values |= {"prediction": prediction, "score": score, "tokens": tokens}
    frame = records[["unit", "ecg", "site", "sex"]].reset_index(drop=True)
    frame["age_band"] = age_band(records["age"].to_numpy())
    for name, value in (values | {"stop_reason": stop_reason}).items():
        frame[name] = value if np.ndim(value) == 0 else np.asarray(value)
    return validate(frame, "build()")


def numbers(items: pd.Series, kind: str) -> np.ndarray:
    """The number NN of each item `kind:NN`, int64 (n,); -1 of another or a missing item. Each
    different item is read once, because a column of text is long and its values are few.

    >>> numbers(pd.Series(["label:06", "report", "label:10"]), "label").tolist()
    [6, -1, 10]
    """
    places, different = pd.factorize(items)
    of = (item.partition(":") for item in different)
    each = [int(number) if name == kind and number else -1 for name, _, number in of]
    return np.array([*each, -1], dtype=np.int64)[places]  # a missing item has the place -1


def kinds(items: pd.Series) -> np.ndarray:
    """What stands before the colon of each item, str (n,); "" where there is no colon.

    >>> kinds(pd.Series(["verify:axis.01", "report", "query:rhythm"])).tolist()
    ['verify', '', 'query']
    """
    places, different = pd.factorize(items)
    of = (item.partition(":") for item in different)
    return np.array([*(kind if colon else "" for kind, colon, _ in of), ""], dtype=object)[places]


def read_table(path: Path) -> pd.DataFrame:
    """A table of predictions, or of data beside them, as it lies on the disk. Raises ValueError:
    the file is damaged."""
    try:
        return pd.read_parquet(path)
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} cannot be read ({reason}); make or check it out again") from error


def validate(frame: pd.DataFrame, source: str | Path) -> pd.DataFrame:
    """The frame with the schema's columns, in order and typed.
    Raises ValueError naming the column and the first bad value."""
    missing = [name for name in COLUMNS if name not in frame.columns]
    unknown = [str(name) for name in frame.columns if name not in COLUMNS]
    if missing or unknown:
        text = f"{source}: expected the columns {', '.join(COLUMNS)}"
        raise ValueError(f"{text}; got missing {missing or 'none'}, unknown {unknown or 'none'}")
    frame = frame[COLUMNS].reset_index(drop=True)
    for name in [name for name in COLUMNS if name != "score"]:
        if frame[name].isna().any():
            row = int(np.flatnonzero(frame[name].isna())[0])
            raise ValueError(f'{source}: row {row} has no {name}; write "" where none applies')
    for name in INTEGERS:
        if not np.issubdtype(frame[name].dtype, np.integer):
            raise ValueError(f"{source}: expected integers in {name}, got {frame[name].dtype}")
        frame[name] = frame[name].astype("int64")
    for name in TEXT_COLUMNS:
        frame[name] = frame[name].astype("str")
    frame["score"] = frame["score"].astype("float64")
    _check_items(frame, source)
    return frame


def _check_items(frame: pd.DataFrame, source: str | Path) -> None:
    """Items are well formed, and binary items carry binary values."""
    # Of a long column of text the different values are few, and a set of all rows takes seconds.
    if odd := sorted(frame["item"][~frame["item"].str.fullmatch(ITEM)].unique()):
        raise ValueError(f'{source}: expected an item "name" or "name:detail", got {odd[0]!r}')
    label = frame["item"].str.startswith("label:")
    finding = frame["item"].str.startswith("finding:")
    binary = pd.concat([frame["target"][label | finding], frame["prediction"][finding]])
    if odd := sorted(set(binary.unique()) - {"0", "1"}):
        raise ValueError(
            f'{source}: expected "0" or "1" in label and finding rows, got {odd[0]!r}; leave out '
            "cells whose state is uncertain, history or not assessable"
        )
    score = frame["score"][label]
    if not score.between(0.0, 1.0).all():
        bad = score[~score.between(0.0, 1.0)].iloc[0]
        raise ValueError(f"{source}: expected a probability as score of a label row, got {bad}")


def write(frame: pd.DataFrame, path: str | Path) -> Path:
    """Check and write; equal content in any order of rows gives equal bytes."""
    path = Path(path)
    frame = validate(frame, path.name).sort_values([*ORDER, "score"], kind="stable")
    table = pa.Table.from_pandas(frame, schema=SCHEMA, preserve_index=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The order of patients repeats from item to item, which zstd sees in numbers as they are, and
    # in pages that are long enough for several items.
    layout = {"use_dictionary": [*TEXT_COLUMNS, "score"], "compression_level": 9}
    layout |= {"max_rows_per_page": 2**24, "data_page_size": 2**27}
    pq.write_table(table.replace_schema_metadata(None), path, compression="zstd", **layout)
    return path
