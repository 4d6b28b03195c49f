"""The reports of a data folder, before a cohort is made of it."""

import fake_sources
import pandas as pd
import pytest
from builds import refused

from ecglib.cohorts import report_words


def test_unknown_words_of_a_release_are_counted_by_report(tmp_path, capsys):
    folder = fake_sources.write_simulated_mimic(tmp_path, 6)
    file = folder / "machine_measurements.csv"
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    cells = [name for name in table if name.startswith("report_")]
    table[cells] = ""
    table.loc[0, "report_0"] = "Sinus rhythm"
    table.loc[1, ["report_0", "report_1"]] = ["Sinus rhythm", "Frobnicated complexes"]
    table.loc[2:, "report_0"] = "Frobnicated complexes"
    table.loc[3, "report_0"] = ""
    table.to_csv(file, index=False)
    assert report_words.main(["--source", "mimic", "--data-root", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    count = len(table)
    assert lines[0].startswith(f"reports, understood wholly: 1 of {count} (")
    assert lines[1].startswith(f"reports, with a clause that no rule knows: {count - 2} of {count}")
    assert lines[3].startswith(f"reports, empty: 1 of {count}")
    assert lines[-1].split() == [str(count - 2), "frobnicated", "complexes"]
    assert len(report_words.listed("mimic", folder)) == count
    refused("unknown source 'mimik'; valid: ptbxl, mimic", report_words.listed, "mimik", folder)
    with pytest.raises(FileNotFoundError, match=r"record_list\.csv"):
        report_words.listed("mimic", tmp_path / "nowhere")
