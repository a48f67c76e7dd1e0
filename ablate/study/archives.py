"""Archives that would unpack to far more than they are.

A `.keras` file enters; nothing leaves but an error where a small file stands for gigabytes: it
would fill the memory before anything could be said of it. Only the table of contents is read.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from ablate.errors import StudyError

#: Keras writes its members as they are. One that was compressed since may shrink, not vanish.
MOST_TIMES = 100
#: Up to this size (bytes) a member is harmless whatever it was compressed to.
HARMLESS = 64 * 2**20
#: The configuration of a network: the largest of keras.applications has 2 MB.
LARGEST_TEXT = 256 * 2**20


def check_archive(place: Path) -> None:
    """Refuse an archive that unpacks out of all proportion.

    Raises:
        StudyError: a member is far larger than the file; the text names both sizes.
    """
    try:
        with zipfile.ZipFile(place) as archive:
            members = archive.infolist()
    except (OSError, zipfile.BadZipFile):
        return  # whoever reads it says so
    for each in members:
        beyond = each.file_size > MOST_TIMES * max(each.compress_size, 1)
        text = each.filename.endswith(".json")
        if (each.file_size > HARMLESS and beyond) or (text and each.file_size > LARGEST_TEXT):
            raise StudyError(
                f"'{place}' is not read: {each.file_size / 1e6:,.0f} MB of '{each.filename}' lie "
                f"in {each.compress_size / 1e6:,.1f} MB of it, as in no file that Keras wrote. "
                "Expected a file that model.save wrote."
            )
