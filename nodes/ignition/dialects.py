"""The variants and versions of Butane that are translated, and what differs between them."""

from dataclasses import dataclass, field
from functools import cached_property

from nodes.ignition.rules import Spec
from nodes.ignition.schema import Schema, butane_schema, ignition_schema

_CLEVIS = "clevis is not supported in this spec version"
_CEX = "cex is not currently supported on the target platform"


@dataclass(frozen=True)
class Dialect:
    """`base` is the level of what all variants share, `fcos` the level of what only Fedora CoreOS has."""

    variant: str
    version: str
    spec: Spec
    base: int
    fcos: int | None = None
    forbidden: dict[str, str] = field(default_factory=dict)

    @cached_property
    def schema(self) -> Schema:
        return butane_schema(self.variant, self.version)

    @cached_property
    def target(self) -> Schema:
        return ignition_schema(self.spec.version)


def _fcos(version: str, spec: str, base: int, level: int) -> Dialect:
    return Dialect("fcos", version, Spec(spec), base, level)


def _flatcar(version: str, spec: str, base: int, forbidden: dict[str, str]) -> Dialect:
    return Dialect("flatcar", version, Spec(spec), base, forbidden=forbidden)


_DIALECTS = {
    (dialect.variant, dialect.version): dialect
    for dialect in (
        _fcos("1.0.0", "3.0.0", 1, 0),
        _fcos("1.1.0", "3.1.0", 2, 1),
        _fcos("1.2.0", "3.2.0", 3, 2),
        _fcos("1.3.0", "3.2.0", 3, 3),
        _fcos("1.4.0", "3.3.0", 4, 4),
        _fcos("1.5.0", "3.4.0", 5, 5),
        _fcos("1.6.0", "3.5.0", 6, 6),
        _fcos("1.7.0", "3.6.0", 7, 7),
        _fcos("1.8.0-experimental", "3.7.0-experimental", 8, 8),
        _flatcar("1.0.0", "3.3.0", 4, {"storage.luks.clevis": _CLEVIS}),
        _flatcar("1.1.0", "3.4.0", 5, {"storage.luks.clevis": _CLEVIS}),
        _flatcar("1.2.0-experimental", "3.7.0-experimental", 8, {"storage.luks.cex": _CEX}),
    )
}
# Variants that the real tool translates and this one does not.
OTHER_VARIANTS = {
    "openshift": "OpenShift MachineConfigs",
    "r4e": "RHEL for Edge",
    "fiot": "Fedora IoT",
}
REMOVED_VARIANT = (
    "rhcos variant has been removed; use openshift variant instead: "
    "https://coreos.github.io/butane/upgrading-openshift/"
)


def find_dialect(variant: str, version: str) -> Dialect | None:
    """The dialect of an exact version."""
    return _DIALECTS.get((variant, version))


def dialects() -> list[Dialect]:
    """All of them, oldest first within each variant."""
    return list(_DIALECTS.values())
