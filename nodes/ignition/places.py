"""The tree of positions of a document, without its values."""

from dataclasses import dataclass

from nodes.ignition.paths import Key, Path

LineColumn = tuple[int, int]


@dataclass(slots=True)
class Place:
    """A value's position. Mappings have `keys` and `members`, lists have `items`, anything else is a leaf."""

    position: LineColumn
    members: "dict[str, Place] | None" = None
    keys: dict[str, LineColumn] | None = None
    items: "list[Place] | None" = None

    def child(self, step: str | int) -> "Place | None":
        if isinstance(step, int):
            return self.items[step] if self.items is not None and step < len(self.items) else None
        if isinstance(step, Key):
            position = (self.keys or {}).get(str(step))
            return Place(position) if position else None
        return self.members.get(step) if self.members is not None else None

    def deepest(self, path: Path) -> LineColumn:
        """The position of the longest beginning of the path that exists."""
        place = self
        for step in path:
            following = place.child(step)
            if following is None:
                break
            place = following
        return place.position
