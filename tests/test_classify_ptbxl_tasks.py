"""The standard tasks of PTB-XL: their classes, their states, and the match with a cohort."""

import numpy as np
import pandas as pd
import pytest
from builds import build_cohort, change, needs, real, refused
from fake_sources import CODES, write_ptbxl

from ecglib.classify import ptbxl_tasks
from ecglib.cohorts.store import Cohort
from ecglib.labels.label_set import ABSENT, CATEGORIES, NOT_ASSESSABLE, PRESENT
from ecglib.run.steps import documented
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "test")
SIZES = {"all": 71, "diagnostic": 44, "subdiagnostic": 23, "superdiagnostic": 5, "form": 19}
SIZES |= {"rhythm": 12}
CLASSES = {"NORM": "NORM", "CLBBB": "CD", "LVH": "HYP", "2AVB": "CD", "LAO/LAE": "HYP"}
CLASSES |= {"RAO/RAE": "HYP"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A folder laid out like PTB-XL, and the cohort built from it."""
    root = write_ptbxl(tmp_path_factory.mktemp("ptbxl"), n=20, rates=(500,))
    statements = pd.read_csv(root / "scp_statements.csv", index_col=0)
    statements["diagnostic_class"] = statements.index.map(CLASSES.get)
    statements.to_csv(root / "scp_statements.csv")
    folder = tmp_path_factory.mktemp("cohort")
    build_cohort(folder, root, source="ptbxl", split="folds")
    return {"cohort": folder, "data": root}


def test_a_statement_counts_whatever_its_likelihood():
    """CLBBB of 35 % and LVH of 0 are present; an ECG without a statement of the task is unknown."""
    of_code = {"CLBBB": "CD", "LVH": "HYP", "NORM": "NORM"}
    states, names = ptbxl_tasks.task_states([*CODES[1:], "{'AFIB': 0.0}", "{}"], of_code)
    assert names == ["CD", "HYP", "NORM"]
    assert states.tolist() == [[1, 0, 0], [1, 0, 0], [0, 1, 0], [-1] * 3, [-1] * 3]
    assert states.dtype == np.int8


def test_the_step_matches_the_rows_of_the_cohort_and_names_no_ecg(tree, tmp_path):
    """Row by row as read by hand from the codes, here by their position in `CODES`."""
    config = {"task": "superdiagnostic"}
    ptbxl_tasks.make_targets(tmp_path, tree, config, 0, MACHINE)
    written = pd.read_parquet(tmp_path / "targets.parquet")
    assert list(written.columns) == ["CD", "HYP", "NORM"]
    by_code = [[0, 0, 1], [1, 0, 0], [1, 0, 0], [0, 1, 0]]
    records = Cohort.open(tree["cohort"]).records
    by_hand = [by_code[int(name) % len(CODES)] for name in records["ecg_id"]]
    assert written.to_numpy().tolist() == by_hand
    config = {"task": "rhythm"}
    ptbxl_tasks.make_targets(tmp_path, tree, config, 0, MACHINE)
    rhythm = pd.read_parquet(tmp_path / "targets.parquet")
    assert list(rhythm.columns) == ["AFIB", "SR"] and (rhythm.sum(axis=1) == 1).all()
    refused("expected a task of all", ptbxl_tasks.make_targets, tmp_path, tree, {"task": "x"}, 0, 0)
    assert documented(ptbxl_tasks.make_targets, "Inputs") == {"cohort": True, "data": True}


def test_an_ecg_that_the_release_does_not_list_is_an_error(tree, tmp_path):
    for name in ("ptbxl_database.csv", "scp_statements.csv"):
        (tmp_path / name).write_bytes((tree["data"] / name).read_bytes())
    table = pd.read_csv(tmp_path / "ptbxl_database.csv")
    change(tmp_path / "ptbxl_database.csv", ecg_id=table["ecg_id"] + 1)
    call = (tmp_path, tree | {"data": tmp_path}, {"task": "form"}, 0, MACHINE)
    refused("got 1 that it does not list; give the folder", ptbxl_tasks.make_targets, *call)


def test_categories_stand_in_where_a_cohort_has_no_codes(tree, tmp_path):
    ptbxl_tasks.category_targets(tmp_path, {"cohort": tree["cohort"]}, {}, 0, MACHINE)
    written = pd.read_parquet(tmp_path / "targets.parquet")
    assert list(written.columns) == list(CATEGORIES)
    for row, states in enumerate(Cohort.open(tree["cohort"]).labels):
        for name, members in CATEGORIES.items():
            own = set(states[list(members)].tolist())
            by_hand = PRESENT if PRESENT in own else ABSENT if ABSENT in own else NOT_ASSESSABLE
            assert written.at[row, name] == by_hand


def test_published_numbers_are_of_the_six_tasks():
    table = ptbxl_tasks.published()
    assert list(table["task"].unique()) == list(ptbxl_tasks.TASKS) == list(SIZES)
    assert (table["classes"] == table["task"].map(SIZES)).all()
    best = table[table["method"] == "xresnet1d101"].set_index("task")["value"]
    assert best.to_dict() == {
        **{"all": 0.925, "diagnostic": 0.937, "subdiagnostic": 0.929},
        **{"superdiagnostic": 0.928, "form": 0.896, "rhythm": 0.957},
    }


@needs("ECGLIB_PTBXL_MINI")
def test_the_released_statements_have_as_many_classes_as_published():
    root = real("ECGLIB_PTBXL_MINI")
    statements = pd.read_csv(root / "scp_statements.csv", index_col=0)
    counted = {
        task: len(set(ptbxl_tasks.classes(statements, task).values())) for task in ptbxl_tasks.TASKS
    }
    assert counted == SIZES
