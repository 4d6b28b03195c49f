"""A small tree in the layout of ECG-QA 1.0.2; ids, wordings and answers are our own."""

import json
from pathlib import Path

PARTS = ("train", "valid", "test")


def sample(number: int, kind: str, ecgs: list[int], answer: list[str], **other: object) -> dict:
    """One question; `other` replaces fields."""
    found = {
        "template_id": 1 + number % 4,
        "question_id": 100 + number % 3,
        "sample_id": number,
        "question_type": kind,
        "attribute_type": "scp_code",
        "question": f"Made question {number % 3}?",
        "answer": answer,
        "ecg_id": ecgs,
        "attribute": ["made"] if kind.startswith("single") else None,
    }
    return found | other


def write(root: Path, release: str, wording: str, files: dict[str, list]) -> None:
    """Write "part/name" -> questions below root/release/wording, and the other parts empty."""
    folder = root / release / wording
    for part in PARTS:
        (folder / part).mkdir(parents=True, exist_ok=True)
        if not any(name.startswith(part) for name in files):
            (folder / part / "00000.json").write_text("[]", encoding="utf-8")
    for name, samples in files.items():
        (folder / f"{name}.json").write_text(json.dumps(samples, indent=4), encoding="utf-8")
