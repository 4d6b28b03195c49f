"""Puts the published models into the wheel, so that `ecglib.load` opens them without a clone."""

from pathlib import Path
from shutil import copytree

from setuptools import setup
from setuptools.command.build_py import build_py

MODELS = Path(__file__).parent / "reports" / "synthetic-laptop" / "models"
CARRIED = ("vq", "rvq", "qinco", "fsq", "bpe", "decoded_qinco", "ecg_tok")  # 20 MB at most


class WithModels(build_py):
    """Copies the models beside the modules; an editable install reads those of the clone."""

    def run(self) -> None:
        """Build the package, then add the folder `published`."""
        super().run()
        place = Path(self.build_lib) / "ecglib" / "published"
        for name in CARRIED:
            if (MODELS / name).is_dir() and not self.editable_mode:
                copytree(MODELS / name, place / name, dirs_exist_ok=True)


setup(cmdclass={"build_py": WithModels})
