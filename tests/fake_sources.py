"""Small trees in the layouts of the sources: noise that obeys the identities of the limb leads.

    python tests/fake_sources.py DIR PATIENTS

writes a folder for `--data mimic` instead, with simulated ECGs and reports, and in DIR/ecg_qa
questions about them for `--asset ecg_qa=`.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from ecglib.labels.label_set import LABELS
from ecglib.questions import ecg_qa
from ecglib.signals.leads import LEADS
from ecglib.simulator.patients import patients
from ecglib.sources import code15, mhi, mimic


def signal(seed: int, samples: int = 5000) -> np.ndarray:
    """Noise (12, samples) in mV; the limb leads are consistent."""
    rng = np.random.default_rng([seed, 7])
    one, two = rng.normal(0, 0.3, (2, samples))
    chest = rng.normal(0, 0.3, (6, samples))
    limb = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    return np.vstack([*limb, chest])


GAIN, MIMIC_GAIN = 1000.0, 200.0  # units per mV, as in the releases of PTB-XL and MIMIC-IV-ECG
UPPER = tuple(lead.upper() for lead in LEADS)  # AVR, AVL, AVF
STATEMENTS = [
    ("NORM", "normal ECG", 1, "", ""),
    ("CLBBB", "complete left bundle branch block", 1, "", ""),
    ("LVH", "left ventricular hypertrophy", 1, "", ""),
    ("2AVB", "second degree AV block", 1, "", ""),
    ("LAO/LAE", "left atrial overload/enlargement", 1, "", ""),
    ("RAO/RAE", "right atrial overload/enlargement", 1, "", ""),
    ("PVC", "ventricular premature complex", "", 1, ""),
    ("SR", "sinus rhythm", "", "", 1),
    ("AFIB", "atrial fibrillation", "", "", 1),
]
CODES = [
    "{'NORM': 100.0, 'SR': 0.0}",
    "{'CLBBB': 100.0, 'SR': 0.0, 'PVC': 0.0}",
    "{'CLBBB': 35.0, 'AFIB': 0.0}",
    "{'LVH': 0.0, 'SR': 0.0}",
]


def write_record(folder, name, x, rate, seed=0, names=UPPER, gain=GAIN, order=()) -> None:
    """Write x (12, n) mV as WFDB, leads named as `names`, in the order given or a shuffled one.

    By hand, in format 16, because `wfdb.wrsamp` takes thirty times as long.
    """
    order = list(order) or np.random.default_rng([seed, 8]).permutation(12)
    units = np.rint(x[order].T * gain).astype("<i2")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.dat").write_bytes(units.tobytes())
    checksums = units.sum(axis=0, dtype=np.int64) % 65536
    lines = [f"{name} 12 {rate} {len(units)}"]
    for lead, first, checksum in zip(order, units[0], checksums, strict=True):
        lines.append(f"{name}.dat 16 {gain}(0)/mV 16 0 {first} {checksum} 0 {names[lead]}")
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n")


def write_ptbxl(root: Path, n=8, rates=(500, 100), release="1.0.1") -> Path:
    """Write n ECGs of n // 2 patients as in PTB-XL: at 500 Hz, `signal(ecg_id)`.

    In release 1.0.3 an ecg_id is left out, numbers have no ".0" and leads are named aVR.
    """
    rows, newer = [], release == "1.0.3"
    for ecg_id in [i for i in range(1, n + 1 + newer) if not newer or i != 2]:
        names = {}
        for rate, kind in ((500, "hr"), (100, "lr")):
            name = f"{ecg_id:05d}_{kind}"
            names[f"filename_{kind}"] = f"records{rate}/00000/{name}"
            if rate in rates:
                x, folder = signal(ecg_id, 10 * rate), root / f"records{rate}" / "00000"
                write_record(folder, name, x, rate, ecg_id, LEADS if newer else UPPER)
        patient = 100 + ecg_id % (n // 2)
        row = {"ecg_id": ecg_id, "patient_id": patient if newer else float(patient)}
        row |= {"age": 300.0 if ecg_id == 1 else 40.0 + ecg_id, "sex": ecg_id % 2}
        row |= {"height": np.nan, "weight": 70.0, "site": 0.0 if ecg_id % 3 else np.nan}
        row |= {"device": "CS-12   E", "report": "sinusrhythmus", "strat_fold": 1 + ecg_id % 10}
        row |= {"scp_codes": CODES[ecg_id % len(CODES)], "validated_by_human": ecg_id % 2 == 0}
        rows.append(row | names)
    pd.DataFrame(rows).to_csv(root / "ptbxl_database.csv", index=False)
    columns = ["", "description", "diagnostic", "form", "rhythm"]
    pd.DataFrame(STATEMENTS, columns=columns).to_csv(root / "scp_statements.csv", index=False)
    return root


NO_BREAK = "RV1 + SV6\u00a0> 11 mm"  # as some tables of the MHI write label 56
STORED = (0, 1, 2, 3, 5, 4, *range(6, 12))  # I, II, III, aVR, aVF, aVL, V1 ...
SUBJECTS = {40000001: 10000001, 40000002: 10000001, 40000003: 10000002}
REPORTS = {  # column -> statement; the third study has no row at all
    40000001: {"report_0": "Sinus rhythm", "report_2": "Left bundle branch block."},
    40000002: {},
}


def write_mimic(root: Path) -> Path:
    """Write three ECGs of two patients as in MIMIC-IV-ECG 1.0: `signal(study_id)`."""
    return write_studies(
        root, ((*ids, signal(ids[0]), REPORTS.get(ids[0])) for ids in SUBJECTS.items())
    )


def write_simulated_mimic(root: Path, number: int, seed: int = 0) -> Path:
    """Write simulated patients of hospital A as in MIMIC-IV-ECG 1.0, and questions about them in
    the folder ecg_qa; 400 do for `smoke`. Every twelfth ECG has no report."""
    studies = []
    for record in patients(number, seed, sites=("A",)):
        statements = [part for part in record["report"].rstrip(".").split(". ") if part]
        report = dict(zip(mimic.STATEMENTS, statements, strict=False))
        subject = 10000000 + int(record["patient_id"][1:])
        report = None if len(studies) % 12 == 11 else report
        studies.append((40000000 + len(studies), subject, record["signal"], report))
    reports = {study: " ".join((report or {}).values()) for study, _, _, report in studies}
    write_ecg_qa(root / "ecg_qa", "mimic-iv-ecg", reports)
    return write_studies(root, studies)


ASKED = ("Sinus rhythm", "Atrial fibrillation", "Left ventricular hypertrophy")


def write_ecg_qa(root: Path, release: str, reports: dict[int, str]) -> Path:
    """Write questions about ECGs in the form of ECG-QA 1.0.2, by number and report; the wordings
    are our own. A finding is present where the report has its name."""
    samples = []
    for number, report in reports.items():
        present = [name for name in ASKED if name.lower() in report.lower()]
        two = [name for name in ASKED[:2] if name in present]
        asked = [
            (f"Does it show {n.lower()}?", "verify", ["no", "yes"][n in present]) for n in ASKED
        ]
        asked += [("Sinus rhythm or atrial fibrillation?", "choose", two or "none")]
        asked += [("Which of the three findings does it show?", "query", present or "none")]
        for place, (question, kind, answer) in enumerate(asked):
            one = {"template_id": place, "question_id": place, "sample_id": len(samples)}
            one |= {"question_type": f"single-{kind}", "attribute_type": "scp_code"}
            one |= {"attribute": list(ASKED), "question": question, "ecg_id": [number]}
            samples.append(one | {"answer": [answer] if isinstance(answer, str) else answer})
    for place, part in enumerate(ecg_qa.PARTS):
        folder = root / release / "template" / part
        folder.mkdir(parents=True)
        (folder / "000000.json").write_text(json.dumps(samples[place::3]), encoding="utf-8")
    return root


def write_studies(root: Path, ecgs: Iterable[tuple[int, int, np.ndarray, dict | None]]) -> Path:
    """Write ECGs as in MIMIC-IV-ECG 1.0: study, subject, x (12, n) mV at 500 Hz, and the columns of
    the report, if the study has a row of it."""
    studies, reports, layout = [], [], {"names": LEADS, "gain": MIMIC_GAIN, "order": STORED}
    for study, subject, x, report in ecgs:
        folder = f"files/p{str(subject)[:4]}/p{subject}/s{study}"
        write_record(root / folder, str(study), x, 500, **layout)
        row = {"subject_id": subject, "study_id": study, "ecg_time": "2126-09-05 21:05:00"}
        studies.append(row | {"file_name": study, "path": f"{folder}/{study}"})
        if report is not None:
            row |= {name: report.get(name, "") for name in mimic.STATEMENTS}
            row |= {"bandwidth": "0.005-150 Hz", "rr_interval": 800, "t_axis": 29999}
            reports.append(row | {"cart_id": 6848296})
    pd.DataFrame(studies).to_csv(root / "record_list.csv", index=False)
    pd.DataFrame(reports).to_csv(root / "machine_measurements.csv", index=False)
    return root


EXAMS = {  # exam_id -> (part, samples, columns that are True); 0 samples = zero throughout
    1001: (0, 4096, ()),
    1002: (0, 4000, ("AF",)),
    1003: (0, 2934, ("SB", "1dAVb")),
    1004: (1, 2934, ("RBBB", "ST")),
    1005: (1, 0, ()),
}


def padded(x: np.ndarray) -> np.ndarray:
    """float32 (4096, 12) in the stored unit, zeros at both ends."""
    zeros = code15.SAMPLES - x.shape[1]
    ends = (zeros // 2, zeros - zeros // 2)
    return np.pad((x / code15.TO_MILLIVOLTS).T, (ends, (0, 0))).astype(np.float32)


def write_part(path: Path, exams: list[int], tracings: list[np.ndarray] | None = None) -> None:
    """Write a part (of zeros where no tracings are given) and the dummy row that ends it."""
    tracings = list(tracings or [np.zeros((code15.SAMPLES, 12), np.float32)] * len(exams))
    with h5py.File(path, "w") as file:
        file["exam_id"] = np.array([*exams, 0], dtype=np.int64)
        file["tracings"] = np.stack([*tracings, np.zeros((code15.SAMPLES, 12), np.float32)])


def write_code15(root: Path) -> Path:
    """Write five exams of three patients as in CODE-15 %; parts have the rows in reverse order."""
    rows = []
    for number, (exam, (part, _, stated)) in enumerate(EXAMS.items()):
        row = {"exam_id": exam, "age": 30 + number, "is_male": number % 2 == 0}
        row |= {name: name in stated for name in ("1dAVb", "RBBB", "LBBB", "SB", "AF", "ST")}
        row |= {"nn_predicted_age": 40.5, "death": "", "timey": "", "normal_ecg": not stated}
        row |= {"patient_id": 500 + number // 2, "trace_file": f"exams_part{part}.hdf5"}
        rows.append(row)
    pd.DataFrame(rows).to_csv(root / "exams.csv", index=False)
    for part in (0, 1):
        exams = [exam for exam in reversed(EXAMS) if EXAMS[exam][0] == part]
        tracings = [padded(signal(exam, EXAMS[exam][1])) for exam in exams]
        write_part(root / f"exams_part{part}.hdf5", exams, tracings)
    return root


def write_npy(path: Path, x: np.ndarray, singleton: bool) -> None:
    """Write x (12, 2500) mV as int16 (2500, 12) or (2500, 12, 1)."""
    units = np.rint(x.T / mhi.TO_MILLIVOLTS).astype(np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, units[..., None] if singleton else units)


def write_mhi(root: Path, n: int = 6) -> Path:
    """Write n ECGs, two per patient, as in the MHI: `signal(300 + row, 2500)`.

    Every third is not validated; label i is 1 where 7 divides i + row.
    """
    rows = []
    for number in range(n):
        name = f"ecg_npy/{number:04d}.npy"
        write_npy(root / name, signal(300 + number, 2500), singleton=number % 2 == 1)
        row = {"waveform_path": name, "new_PatientID": 7000 + number // 2}
        row |= {"report": f"Sinus rhythm {number}", "validated by MD": int(number % 3 != 2)}
        rows.append(row | {label: int((i + number) % 7 == 0) for i, label in enumerate(LABELS)})
    frame = pd.DataFrame(rows).rename(columns={LABELS[56]: NO_BREAK})
    frame.to_parquet(root / "ecgs.parquet", index=False)
    return root


if __name__ == "__main__":
    print(write_simulated_mimic(Path(sys.argv[1]), int(sys.argv[2])))
