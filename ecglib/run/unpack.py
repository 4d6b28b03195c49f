"""One file out of a zip archive: written beside it under our own name, whole or not at all."""

import shutil
import zipfile
from pathlib import Path, PurePosixPath

from ecglib.run.errors import RunError


def unpack(archive: Path, name: str) -> Path:
    """Write the member whose last path component is `name` beside the archive.

    The path inside the archive is not used, so no archive can write elsewhere. zipfile compares the
    CRC-32 of what it unpacked.

    Returns:
        The file.

    Raises:
        RunError: no or several such members, a damaged or encrypted archive, or too little disk;
            the message ends without a full stop.
    """
    target = archive.with_name(name)
    part = archive.with_name(f"{name}.part")
    try:
        with zipfile.ZipFile(archive) as zipped:
            member = _only(zipped, archive, name)
            _require_room(archive, member)
            with zipped.open(member) as source, part.open("wb") as stream:
                shutil.copyfileobj(source, stream, 1 << 20)
        part.replace(target)
    except zipfile.BadZipFile as error:
        raise RunError(f"{archive} is damaged ({error}); delete it and start again") from error
    finally:  # a full disk gets its room back
        part.unlink(missing_ok=True)
    return target


def _only(zipped: zipfile.ZipFile, archive: Path, name: str) -> zipfile.ZipInfo:
    members = [info for info in zipped.infolist() if not info.is_dir()]
    fitting = [info for info in members if PurePosixPath(info.filename).name == name]
    if len(fitting) != 1:
        listed = ", ".join(info.filename for info in members[:5]) or "nothing"
        raise RunError(f"{archive} must hold one {name}, but holds {listed}")
    if fitting[0].flag_bits & 1:
        raise RunError(f"{archive}: {name} is encrypted")
    return fitting[0]


def _require_room(archive: Path, member: zipfile.ZipInfo) -> None:
    free = shutil.disk_usage(archive.parent).free
    if free < member.file_size:
        raise RunError(
            f"{archive} unpacks to {member.file_size / 1e9:.2f} GB, but {archive.parent} has "
            f"{free / 1e9:.2f} GB free; free some and start again"
        )
