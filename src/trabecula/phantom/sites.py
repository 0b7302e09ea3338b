"""Sites: five invented departments, what each has in each modality, and how one examination differs from the next.

Nothing here knows the patient: a site is drawn by chance, or by the label where a shortcut is planted, and what varies
inside a site (voltage, cropping, distance, exposure, field of view) is drawn by chance alone. All figures are ours,
within what departments use. So acquisition facts carry no information unless a shortcut is planted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trabecula.phantom import ct, mri
from trabecula.phantom.dxa import Densitometer
from trabecula.phantom.projection import XRay
from trabecula.phantom.radiograph import Film, Marker
from trabecula.target import unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trabecula.phantom.chance import Chance


@dataclass(frozen=True, kw_only=True)
class View:
    """How a part of the body is radiographed everywhere; a site's unit changes it."""

    kvp: float
    field_mm: tuple[float, float]
    """Height and width in the plane of the detector that the anatomy is projected to."""
    pixel_mm: float
    """Of the stored picture."""
    quanta: float
    """Quanta in a square mm behind the soft tissue."""
    scatter: float
    scatter_mm: float = 20.0
    latitude: float = 2.2
    middle: float = 0.34
    edges: float = 1.0
    """Factor on the strength of the unit's unsharp masking; higher where lung and abdomen share a film."""
    edges_mm: float = 1.0
    """Factor on the SD of its kernel."""
    unit: str = "stand"
    """`stand`, `intraoral` or `panoramic`."""
    kvp_sd: float = 2.0
    """SD of the voltage from one examination to the next."""
    cropped: bool = True
    """Whether a technician sets distance and cropping; false for a sensor that is always read out whole."""


VIEWS = {
    "knee": View(kvp=63, field_mm=(224, 176), pixel_mm=0.75, quanta=12e3, scatter=0.28, latitude=1.9, middle=0.25),
    "hip": View(kvp=75, field_mm=(256, 230), pixel_mm=0.50, quanta=10e3, scatter=0.38, latitude=2.2),
    "spine_ap": View(kvp=77, field_mm=(400, 220), pixel_mm=0.75, quanta=10e3, scatter=0.42, latitude=2.0),
    "spine_lateral": View(kvp=90, field_mm=(470, 190), pixel_mm=0.80, quanta=8e3, scatter=0.48, latitude=3.8,
                          middle=0.24, edges=3.5, edges_mm=2.5),
    "periapical": View(
        kvp=65, field_mm=(31, 41), pixel_mm=0.08, quanta=60e3, scatter=0.10, scatter_mm=8, latitude=2.4, middle=0.28,
        unit="intraoral", kvp_sd=0.0, cropped=False),
    "panoramic": View(
        kvp=72, field_mm=(132, 264), pixel_mm=0.264, quanta=15e3, scatter=0.15, latitude=2.2, middle=0.34,
        unit="panoramic", cropped=False),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A radiographic unit: what it changes in a view, its detector and its habits."""

    name: str
    kvp: float = 0.0
    """Added to the view's."""
    filters_mm: tuple[tuple[str, float], ...] = (("Al", 3.0),)
    field: tuple[float, float] = (1.0, 1.0)
    """Factors on the view's height and width."""
    pixel: float = 1.0
    """Factor on the view's."""
    quanta: float = 1.0
    scatter: float = 1.0
    blur: float = 0.5
    """SD of the detector's blur in pixels."""
    latitude: float = 1.0
    middle: float = 0.0
    """Added to the view's."""
    edges: float = 0.35
    edges_mm: float = 7.0
    shutter: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    black: float = 0.0
    marker: Marker = "none"


@dataclass(frozen=True, kw_only=True)
class Site:
    """A department: what it has, and how that is usually set."""

    name: str
    units: Mapping[str, Unit]
    """Radiographic units by kind: `stand`, `intraoral`, `panoramic`."""
    ct_name: str
    ct_scanner: ct.Scanner
    ct_kvps: tuple[float, ...]
    """Other voltages that its CT is used at, for a third of the patients."""
    mri_name: str
    spin_echo: mri.SpinEcho
    dxa_name: str
    densitometer: Densitometer


def _beam(kvp: float, copper_mm: float, *, pixel_mm: float, photons: float) -> XRay:
    filters = (("Al", 3.0), ("Cu", copper_mm)) if copper_mm else (("Al", 3.0),)
    return XRay(kvp=kvp, filters_mm=filters, pixel_mm=pixel_mm, photons=photons)


SITES = {
    site.name: site
    for site in (
        Site(
            name="north",
            units={
                "stand": Unit(name="Aster DR 1", kvp=-3, field=(0.97, 0.93), pixel=0.91, marker="boxed", latitude=1.15,
                              middle=0.02, blur=0.5),
                "intraoral": Unit(name="Aster Oral 2", kvp=-5, pixel=1.0, edges=0.5, edges_mm=1.0, blur=0.6),
                "panoramic": Unit(name="Aster Pan 1", kvp=-2, edges=0.6, edges_mm=4.0, blur=0.6),
            },
            ct_name="Aster CT 64",
            ct_scanner=ct.Scanner(kernel="standard", pixel_mm=0.78, slice_mm=1.5, interval_mm=1.5, noise_hu=11),
            ct_kvps=(100.0, 140.0),
            mri_name="Aster MR 15",
            spin_echo=mri.SpinEcho(tr_ms=550, te_ms=12, pixel_mm=0.95, fat_shift_px=1.2, snr=32, surface=0.3, gain=800),
            dxa_name="Aster Density",
            densitometer=Densitometer(),
        ),
        Site(
            name="south",
            units={
                "stand": Unit(name="Aster DR 2", kvp=3, field=(1.03, 1.16), pixel=1.07, quanta=1.5, scatter=0.85,
                              shutter=(0.0, 0.0, 0.10, 0.10), black=0.02, marker="plain", middle=-0.01, blur=0.5),
                "intraoral": Unit(name="Corda Dental", kvp=0, pixel=1.2, latitude=0.92, edges=0.3, edges_mm=1.2),
                "panoramic": Unit(name="Corda Pan", kvp=2, pixel=1.08, latitude=0.95, edges=0.4, edges_mm=5.0),
            },
            ct_name="Borea CT 128",
            ct_scanner=ct.Scanner(filters_mm=(("Al", 8.0),), kernel="soft", pixel_mm=0.86, slice_mm=2.0,
                                  interval_mm=2.0, noise_hu=14),
            ct_kvps=(100.0,),
            mri_name="Borea MR 30",
            spin_echo=mri.SpinEcho(field_t=3.0, tr_ms=620, te_ms=10, pixel_mm=0.80, slice_mm=4.0, interval_mm=4.4,
                                   fat_shift_px=1.6, snr=48, bias=0.16, surface=0.45, gain=1100),
            dxa_name="Borea Bone",
            densitometer=Densitometer(low=_beam(80, 0, pixel_mm=0.6, photons=2e6),
                                      high=_beam(140, 2.5, pixel_mm=0.6, photons=2e6)),
        ),
        Site(
            name="east",
            units={
                "stand": Unit(name="Borea CR", kvp=-6, field=(1.06, 0.86), pixel=1.04, quanta=0.5, scatter=1.3,
                              shutter=(0.03, 0.04, 0.0, 0.0), marker="boxed", latitude=1.18, middle=0.04, blur=0.8),
                "intraoral": Unit(name="Borea PSP", kvp=-2, pixel=1.35, quanta=0.5, latitude=1.1, middle=0.03, blur=0.9,
                                  edges=0.2, edges_mm=1.5),
                "panoramic": Unit(name="Borea Pan CR", kvp=-4, pixel=1.15, quanta=0.5, latitude=1.1, blur=0.9),
            },
            ct_name="Aster CT 16",
            ct_scanner=ct.Scanner(kernel="standard", pixel_mm=0.90, slice_mm=3.0, interval_mm=3.0, noise_hu=12),
            ct_kvps=(110.0, 130.0),
            mri_name="Aster MR 15 b",
            spin_echo=mri.SpinEcho(tr_ms=480, te_ms=15, pixel_mm=1.10, slice_mm=5.0, interval_mm=5.5, fat_shift_px=0.9,
                                   snr=24, bias=0.08, surface=0.2, gain=600),
            dxa_name="Aster Density",
            densitometer=Densitometer(low=_beam(100, 0, pixel_mm=1.2, photons=5e6),
                                      high=_beam(140, 2, pixel_mm=1.2, photons=5e6)),
        ),
        Site(
            name="west",
            units={
                "stand": Unit(name="Corda CR", kvp=0, field=(0.96, 1.20), pixel=1.12, quanta=0.75,
                              shutter=(0.02, 0.02, 0.08, 0.08), black=0.05, marker="plain", latitude=1.1, middle=-0.02,
                              blur=0.7),
                "intraoral": Unit(name="Aster Oral 1", kvp=5, pixel=1.1, quanta=0.8, edges=0.4, edges_mm=1.0),
                "panoramic": Unit(name="Delos Pan", kvp=0, pixel=0.95, edges=0.5, edges_mm=4.0),
            },
            ct_name="Corda CT",
            ct_scanner=ct.Scanner(filters_mm=(("Al", 5.0),), kernel="bone", pixel_mm=0.74, slice_mm=2.5,
                                  interval_mm=1.25, noise_hu=10),
            ct_kvps=(100.0, 140.0),
            mri_name="Corda MR 15",
            spin_echo=mri.SpinEcho(tr_ms=600, te_ms=9, pixel_mm=0.90, slice_mm=4.0, interval_mm=4.8, fat_shift_px=-1.0,
                                   snr=28, bias=0.12, surface=0.35, gain=1300),
            dxa_name="Borea Bone",
            densitometer=Densitometer(low=_beam(80, 0, pixel_mm=0.8, photons=3e6),
                                      high=_beam(140, 2.5, pixel_mm=0.8, photons=3e6)),
        ),
        Site(
            name="centre",
            units={
                "stand": Unit(name="Delos DR", kvp=7, filters_mm=(("Al", 3.0), ("Cu", 0.1)), field=(0.98, 0.90),
                              pixel=0.95, quanta=1.9, marker="boxed", blur=0.4),
                "intraoral": Unit(name="Delos Oral", kvp=5, pixel=0.9, quanta=1.3, latitude=1.05, edges=0.35,
                                  edges_mm=0.8, blur=0.4),
                "panoramic": Unit(name="Delos Pan 2", kvp=4, pixel=0.9, quanta=1.3, edges=0.4, edges_mm=3.0, blur=0.4),
            },
            ct_name="Delos CT 256",
            ct_scanner=ct.Scanner(filters_mm=(("Al", 7.0), ("Ti", 0.5)), kernel="soft", pixel_mm=0.80, slice_mm=1.0,
                                  interval_mm=1.0, noise_hu=9),
            ct_kvps=(90.0, 100.0),
            mri_name="Delos MR 30",
            spin_echo=mri.SpinEcho(field_t=3.0, tr_ms=700, te_ms=8, pixel_mm=0.75, slice_mm=3.5, interval_mm=3.85,
                                   fat_shift_px=1.3, snr=55, bias=0.18, surface=0.5, gain=950),
            dxa_name="Delos Duo",
            densitometer=Densitometer(low=_beam(100, 0, pixel_mm=1.0, photons=8e6),
                                      high=_beam(140, 3, pixel_mm=1.0, photons=8e6)),
        ),
    )
}  # fmt: skip

_SHORTCUT = {True: ("north", "east"), False: ("south", "west", "centre")}


def choose(chance: Chance, label: bool, shortcut: float) -> Site:
    """Return the site of one patient, drawn by chance, or in the share `shortcut` of patients by their label.

    Raises `ValueError` for a share outside 0 to 1.
    """
    if not 0 <= shortcut <= 1:
        raise ValueError(f"shortcut is a share from 0 to 1; got {shortcut}")
    follows = chance.uniform("shortcut")[0] < shortcut
    names = _SHORTCUT[bool(label)] if follows else tuple(SITES)
    return SITES[names[int(chance.uniform("site")[0] * len(names))]]


@dataclass(frozen=True, kw_only=True)
class Exam:
    """How one examination differs from what its site usually does: a twin's settings, and which visit it is."""

    visit: int = 0
    kvp_shift: float = 0.0
    """kV added to the voltage drawn."""
    noise_scale: float = 1.0
    """Factor on the SD of noise."""
    kernel: str = "site"
    """A CT kernel, or the site's own."""

    def __post_init__(self) -> None:
        if not self.noise_scale > 0:
            raise ValueError(f"noise_scale is a positive factor; got {self.noise_scale}")


USUAL = Exam()


def film(chance: Chance, site: Site, view: str, exam: Exam = USUAL) -> Film:
    """Return how one radiograph was taken: cropping, distance, voltage, exposure and display vary within a site too.

    Raises `KeyError` for an unknown view, naming the nearest.
    """
    how, unit = _view(view), site.units[_view(view).unit]
    drawn = _Drawn(chance, f"{view} ", exam.visit)
    pixel_mm = how.pixel_mm * unit.pixel
    rows, columns = (8 * round(mm * part / pixel_mm / 8) for mm, part in zip(how.field_mm, unit.field, strict=True))
    if how.cropped:
        rows += 8 * (int(5 * drawn.uniform("rows")) - 2)
        columns += 8 * (int(9 * drawn.uniform("columns")) - 4)
        pixel_mm = round(pixel_mm * drawn.factor("distance", 0.06), 3)
    return Film(
        rows=rows,
        columns=columns,
        xray=XRay(
            kvp=how.kvp + unit.kvp + round(how.kvp_sd * drawn.normal("kvp")) + exam.kvp_shift,
            filters_mm=unit.filters_mm, pixel_mm=pixel_mm, scatter=how.scatter * unit.scatter,
            scatter_mm=how.scatter_mm, blur_mm=unit.blur * pixel_mm,
        ),
        quanta=how.quanta * unit.quanta * pixel_mm**2 / exam.noise_scale**2,
        latitude=how.latitude * unit.latitude * drawn.factor("latitude", 0.06),
        middle=how.middle + unit.middle + 0.06 * drawn.normal("exposure"),
        edges=unit.edges * how.edges, edges_mm=unit.edges_mm * how.edges_mm, shutter=unit.shutter, black=unit.black,
        marker=unit.marker,
    )  # fmt: skip


def ct_scanner(chance: Chance, site: Site, exam: Exam = USUAL) -> ct.Scanner:
    """Return how one CT was taken: voltage, field of view and noise vary within a site too."""
    drawn = _Drawn(chance, "ct ", exam.visit)
    turn, usual = 3 * drawn.uniform("kvp"), site.ct_scanner
    return replace(
        usual,
        kvp=(site.ct_kvps[int(turn * len(site.ct_kvps))] if turn < 1 else usual.kvp) + exam.kvp_shift,
        kernel=usual.kernel if exam.kernel == "site" else exam.kernel,
        pixel_mm=round(usual.pixel_mm * drawn.factor("field of view", 0.05), 3),
        noise_hu=usual.noise_hu * drawn.factor("noise", 0.10) * exam.noise_scale,
    )


def spin_echo(chance: Chance, site: Site, exam: Exam = USUAL) -> mri.SpinEcho:
    """Return how one MRI was taken: repetition time, field of view, noise and receiver gain vary within a site too."""
    drawn, usual = _Drawn(chance, "mri ", exam.visit), site.spin_echo
    return replace(
        usual,
        tr_ms=float(10 * round(usual.tr_ms * drawn.factor("tr", 0.05) / 10)),
        pixel_mm=round(usual.pixel_mm * drawn.factor("field of view", 0.05), 3),
        snr=usual.snr * drawn.factor("noise", 0.10) / exam.noise_scale,
        gain=usual.gain * drawn.factor("gain", 0.15),
    )


def densitometer(site: Site, exam: Exam = USUAL) -> Densitometer:
    """Return how one DXA was taken: a densitometer is set alike for everybody."""
    low, high = (
        replace(beam, kvp=beam.kvp + exam.kvp_shift, photons=beam.photons / exam.noise_scale**2)
        for beam in (site.densitometer.low, site.densitometer.high)
    )
    return Densitometer(low=low, high=high)


def groups(site: Site, taken: Film | ct.Scanner | mri.SpinEcho | Densitometer, view: str = "") -> dict[str, str]:
    """Return the acquisition facts of an examination; a film's need its view.

    Raises `KeyError` for an unknown view, naming the nearest.
    """
    match taken:
        case Film():
            scanner = site.units[_view(view).unit].name
            numbers = {
                "kvp": taken.xray.kvp, "rows": taken.rows, "columns": taken.columns, "pixel_mm": taken.xray.pixel_mm
            }  # fmt: skip
        case ct.Scanner():
            scanner = site.ct_name
            numbers = {
                "kvp": taken.kvp, "pixel_mm": taken.pixel_mm, "slice_mm": taken.slice_mm,
                "interval_mm": taken.interval_mm,
            }  # fmt: skip
        case mri.SpinEcho():
            scanner = site.mri_name
            numbers = {
                "field_t": taken.field_t, "tr_ms": taken.tr_ms, "te_ms": taken.te_ms, "pixel_mm": taken.pixel_mm,
                "slice_mm": taken.slice_mm,
            }  # fmt: skip
        case Densitometer():
            scanner = site.dxa_name
            numbers = {"kvp_low": taken.low.kvp, "kvp_high": taken.high.kvp, "pixel_mm": taken.low.pixel_mm}
    facts = {"site": site.name, "scanner": scanner, **{name: f"{value:g}" for name, value in numbers.items()}}
    return facts | ({"kernel": taken.kernel} if isinstance(taken, ct.Scanner) else {})


def _view(name: str) -> View:
    if name not in VIEWS:
        raise KeyError(unknown("view", name, VIEWS))
    return VIEWS[name]


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Chance for one examination of one patient."""

    chance: Chance
    before: str
    visit: int

    def uniform(self, name: str) -> float:
        return float(self.chance.uniform(self.before + name, self.visit)[0])

    def normal(self, name: str) -> float:
        return float(min(max(self.chance.normal(self.before + name, self.visit)[0], -2.5), 2.5))

    def factor(self, name: str, sd: float) -> float:
        return 1 + sd * self.normal(name)
