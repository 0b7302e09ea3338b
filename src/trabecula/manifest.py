"""Manifests: one row a case, in CSV or Parquet, with prefixed columns.

`case`, `patient`, `part`, `weight`, `image.<role>`, `mask.<role>`, `table.<name>`, `group.<name>`, `truth.<target>`;
time to event is `truth.<target>.years` and `truth.<target>.event` (0 censored, 1 event, 2 death); paths are relative
to the manifest. An empty cell or NaN is a missing value; anything else must be what its column says. `none` is a
group's value, as of contrast, and missing elsewhere.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trabecula.case import Case, Event, Images
from trabecula.image import PICTURE_ENDINGS, FileSource
from trabecula.target import ROLES, VARIABLES, get_target, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trabecula.case import TableValue, Truth
    from trabecula.image import Source, Unit

MANIFEST_ENDINGS = (".csv", ".parquet")
_PLAIN = ("case", "patient", "part", "weight")
_PREFIXES = ("image", "mask", "table", "group", "truth")
_MISSING = ("", "nan", "na", "null", "none")


def read_manifest(path: Path) -> list[Case]:
    """Read every row as a case.

    Raises `ValueError` that names the file, the row (counted from 1 after the heading) and the column for an unknown
    column, role, variable or target, text in a numeric column, an infinite number, an unknown code, a missing file,
    a whole column outside its range (which is a wrong unit), a case id or a column that stands there twice, and for
    no `case` column.
    """
    rows = _rows(path)
    if not rows:
        raise ValueError(f"{path}: holds no row; write one row a case")
    columns = list(rows[0])
    _known_columns(path, columns)
    _every_patient_named(path, rows)
    cases = [_case(row, path, number) for number, row in enumerate(rows, 1)]
    _twice(path, cases)
    _wrong_units(path, cases)
    return cases


def _rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        import pyarrow  # noqa: PLC0415
        import pyarrow.parquet  # noqa: PLC0415

        try:
            return list(pyarrow.parquet.read_table(path).to_pylist())
        except (pyarrow.ArrowException, OSError) as error:
            raise ValueError(f"{path}: cannot be read as Parquet ({error})") from error
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            heading = Counter(reader.fieldnames or ())
            rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: cannot be read as CSV in UTF-8 ({error})") from error
    if twice := [column for column, n in heading.items() if n > 1]:
        raise ValueError(f"{path}: column {twice[0]} stands there twice; keep one")
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise ValueError(f"{path}, row {number}: has another number of cells than the heading")
    return rows


def _every_patient_named(path: Path, rows: list[dict[str, Any]]) -> None:
    """Refuse gaps among patients: a row without its patient could lie on both sides of a split."""
    unnamed = [number for number, row in enumerate(rows, 1) if _missing(row.get("patient"))]
    if unnamed and len(unnamed) < len(rows):
        raise ValueError(f"{path}, row {unnamed[0]}, column patient: is empty; name every patient, or leave all empty")


def _known_columns(path: Path, columns: list[str]) -> None:
    if "case" not in columns:
        raise ValueError(f"{path}: needs a column `case` with an id of its own in every row")
    for column in columns:
        prefix, _, name = column.partition(".")
        if column in _PLAIN:
            continue
        if prefix not in _PREFIXES or not name:
            known = (*_PLAIN, *(f"{p}.<name>" for p in _PREFIXES))
            shape = f"{prefix}.<name>" if name else column
            raise ValueError(f"{path}: column {column}: {unknown('kind of column', shape, known)}")
        known_names: Mapping[str, Any] | None = {
            "image": {r for r in ROLES if not ROLES[r].mask},
            "mask": {r for r in ROLES if ROLES[r].mask},
            "table": VARIABLES,
        }.get(prefix)  # type: ignore[assignment]
        if known_names is not None and name not in known_names:
            raise ValueError(f"{path}: column {column}: {unknown(f'{prefix} role or variable', name, known_names)}")
        if prefix == "truth":
            _known_truth(path, column, name)


def _known_truth(path: Path, column: str, name: str) -> None:
    target, _, part = name.partition(".")
    try:
        row = get_target(target)
    except KeyError as error:
        raise ValueError(f"{path}: column {column}: {error.args[0]}") from None
    parts = ("years", "event") if row.kind == "time_to_event" else ("",)
    if part not in parts:
        wanted = " and ".join(f"truth.{target}{'.' * bool(p)}{p}" for p in parts)
        raise ValueError(f"{path}: column {column}: {target} is {row.kind}; its truth is in {wanted}")


def _case(row: Mapping[str, Any], path: Path, number: int) -> Case:
    cells = {
        column: value
        for column, value in row.items()
        if not _missing(value) or (value == "none" and column.startswith("group."))
    }
    if "case" not in cells:
        raise ValueError(f"{path}, row {number}: has no case id")

    def each(prefix: str, read: Callable[[str, Any], Any]) -> dict[str, Any]:
        found = {}
        for column, value in cells.items():
            if column.startswith(f"{prefix}."):
                try:
                    found[column.partition(".")[2]] = read(column.partition(".")[2], value)
                except ValueError as error:
                    raise ValueError(f"{path}, row {number}, column {column}: {error}") from None
        return found

    def file(role: str, value: Any) -> Source:
        return image_source(path.parent / str(value), role)

    id_ = str(cells["case"])
    truths = each("truth", lambda name, value: _truth(name, value, path.parent))
    return Case(
        id=id_,
        patient=str(cells.get("patient", id_)),
        part=str(cells.get("part", "")),
        weight=_weight(path, number, cells.get("weight", 1.0)),
        images=Images(each("image", file)),
        masks=Images(each("mask", file)),
        table=each("table", _table_value),
        groups=each("group", lambda _, value: str(value)),
        truth=_events(truths, path, number),
    )


def _weight(path: Path, number: int, value: Any) -> float:
    try:
        weight = _number(value)
    except ValueError as error:
        raise ValueError(f"{path}, row {number}, column weight: {error}") from None
    if weight <= 0:
        raise ValueError(f"{path}, row {number}, column weight: {value} is not positive; remove the row")
    return weight


def image_source(path: Path, role: str) -> Source:
    """Return where the image or mask of a role comes from: a picture, a NIfTI volume, a DICOM file or series folder.

    Raises `ValueError` when it is not there.
    """
    if ROLES[role].mask and path.is_file():
        return _label_source(path)
    if path.is_dir() or _is_dicom(path):
        from trabecula.dicom import DicomSource  # noqa: PLC0415

        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        if not all(p.exists() for p in files) or not files:
            raise ValueError(f"{path}: there is no such file")
        return DicomSource(paths=tuple(files))
    if not path.exists():
        raise ValueError(f"{path}: there is no such file")
    unit: Unit = "label" if ROLES[role].mask else "HU" if ROLES[role].modality == "ct" else "stored"
    if unit == "HU" and path.suffix.lower() in PICTURE_ENDINGS:
        raise ValueError(f"{path}: a picture holds no Hounsfield units, which {role} needs: bring DICOM or NIfTI")
    return FileSource(path, unit)


def _label_source(path: Path) -> Source:
    """Return where a label map comes from: a DICOM SEG, a picture or a NIfTI volume.

    Raises `ValueError` when it is not there.
    """
    if not path.exists():
        raise ValueError(f"{path}: there is no such file")
    if _is_dicom(path):
        from trabecula.dicom import SegmentationSource  # noqa: PLC0415

        return SegmentationSource(path)
    return FileSource(path, "label")


def _is_dicom(path: Path) -> bool:
    """Say whether a file is DICOM by its ending or, as files of a PACS have none, by the mark in its preamble."""
    if path.suffix.lower() == ".dcm":
        return True
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _table_value(name: str, value: Any) -> TableValue:
    variable = VARIABLES[name]
    if not variable.categorical:
        return _number(value)
    if str(value) not in variable.codes:
        raise ValueError(f"{value!r} is no code of {name}; known: {', '.join(variable.codes)}")
    return str(value)


def _truth(name: str, value: Any, folder: Path) -> Any:
    target, _, part = name.partition(".")
    row = get_target(target)
    if row.kind == "label_map":
        return _label_source(folder / str(value))
    if row.classifies:
        if str(value) in row.grades:
            return row.grades.index(str(value))
        grade = _number(value)
        if grade not in range(len(row.grades)):
            raise ValueError(
                f"{value!r} is no grade of {target}; known: {', '.join(row.grades)} or their number from 0"
            )
        return int(grade)
    number = _number(value)
    if part == "event" and number not in (0, 1, 2):
        raise ValueError(f"{value!r} is no event; 0 censored, 1 event, 2 death")
    return number


def _events(truths: dict[str, Any], path: Path, number: int) -> dict[str, Truth]:
    """Join years and event of a time to event."""
    whole: dict[str, Truth] = {name: value for name, value in truths.items() if "." not in name}
    for target in sorted({name.partition(".")[0] for name in truths if "." in name}):
        years, event = truths.get(f"{target}.years"), truths.get(f"{target}.event")
        if years is None or event is None:
            raise ValueError(f"{path}, row {number}: {target} needs both .years and .event, or neither")
        try:
            whole[target] = Event(years, int(event))  # type: ignore[arg-type]
        except ValueError as error:
            raise ValueError(f"{path}, row {number}: {error}") from None
    return whole


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} is not a number; leave the cell empty where the value is missing") from None
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not finite; leave the cell empty where the value is missing")
    return number


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value)) or str(value).strip().lower() in _MISSING


def _twice(path: Path, cases: list[Case]) -> None:
    rows: dict[str, int] = {}
    for number, case in enumerate(cases, 1):
        if (first := rows.setdefault(case.id, number)) != number:
            raise ValueError(f"{path}, row {number}, column case: {case.id!r} is the id of row {first}; make it unique")


def _wrong_units(path: Path, cases: list[Case]) -> None:
    """Refuse a column whose values mostly lie outside the range of its variable: that is a unit, not a patient."""
    for name, variable in VARIABLES.items():
        if variable.low is None or variable.high is None:
            continue
        values = [case.number(name) for case in cases if name in case.table]
        outside = [v for v in values if not variable.low <= v <= variable.high]
        if len(outside) * 2 > len(values):
            raise ValueError(
                f"{path}, column table.{name}: {len(outside)} of {len(values)} values such as {outside[0]:g} lie "
                f"outside {variable.low:g} to {variable.high:g} {variable.unit}: convert the column to {variable.unit}"
            )
