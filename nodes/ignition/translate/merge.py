"""Merging of Ignition configs, as Ignition itself merges a child into its parent.

Sugar is rendered into a config of its own, which becomes the parent; the user's config is the child and wins.
"""

from typing import NamedTuple

from nodes.ignition.paths import ROOT, Path
from nodes.ignition.record import Item, Record, Value
from nodes.ignition.rules.keys import key_of, key_space, may_repeat
from nodes.ignition.schema import Field
from nodes.ignition.translate.sourcemap import SourceMap


class Translated(NamedTuple):
    """An Ignition config and where its parts came from."""

    config: Record
    sources: SourceMap


class _Step(NamedTuple):
    is_child: bool
    from_: Path
    to: Path


def merge_translated(parent: Translated, child: Translated) -> Translated:
    """Both in one. What both sides made counts as the child's."""
    merging = _Merging()
    config = merging.record(parent.config, ROOT, child.config, ROOT, ROOT)
    sources: SourceMap = {}
    for step in merging.steps:
        source = (child if step.is_child else parent).sources.get(step.from_)
        if source is not None and (step.is_child or step.to not in sources):
            sources[step.to] = source
    return Translated(config, sources)


class _Merging:
    def __init__(self) -> None:
        self.steps: list[_Step] = []

    def record(self, parent: Record, parent_path: Path, child: Record, child_path: Path, path: Path) -> Record:
        result = Record(parent.type)
        children = _children_by_key(child)
        for field in parent.type.fields:
            key = field.key
            paths = ((*parent_path, key), (*child_path, key), (*path, key))
            if field.target.element is not None:
                value = self._list(parent, child, field, children, *paths)
            else:
                value = self._single(parent.values.get(key), child.values.get(key), field, *paths)
            if value is not None:
                result.values[key] = value
        return result

    def _single(
        self, parent: Value, child: Value, field: Field, parent_path: Path, child_path: Path, path: Path
    ) -> Value:
        if field.target.scalar is not None:
            if child is None and field.target.is_optional:
                return self._take(parent, field, parent_path, path, is_child=False)
            return self._take(child, field, child_path, path, is_child=True)
        is_optional = field.target.is_optional
        if not isinstance(child, Record) or (child.is_zero and not is_optional):
            return self._take(parent, field, parent_path, path, is_child=False)
        if not isinstance(parent, Record) or (parent.is_zero and not is_optional):
            return self._take(child, field, child_path, path, is_child=True)
        result = self.record(parent, parent_path, child, child_path, path)
        self._note_both(parent_path, child_path, path)
        return result

    def _list(
        self,
        parent: Record,
        child: Record,
        field: Field,
        children: dict[tuple[str, str], tuple[str, int]],
        parent_path: Path,
        child_path: Path,
        path: Path,
    ) -> Value:
        parents, own = parent.items(field.key), child.items(field.key)
        if not parents and not own:
            return None
        items: list[Item] = []
        from_parent = from_child = False
        if may_repeat(parent.type, field.key):
            self._append(parents, items, parent_path, path, is_child=False)
            self._append(own, items, child_path, path, is_child=True)
            from_parent, from_child = bool(parents), bool(own)
        else:
            space = key_space(parent.type, field.key)
            for index, item in enumerate(parents):
                found = children.get((space, key_of(item)))
                if found is None:
                    self._append([item], items, parent_path, path, is_child=False, first=index)
                    from_parent = True
                elif found[0] == field.key:
                    from_parent = from_child = True
                    self._matched(item, own[found[1]], items, (*parent_path, index), (*child_path, found[1]), path)
            keys = set(map(key_of, parents))
            for index, item in enumerate(own):
                if key_of(item) not in keys:
                    self._append([item], items, child_path, path, is_child=True, first=index)
                    from_child = True
        if from_parent:
            self.steps.append(_Step(False, parent_path, path))  # noqa: FBT003
        if from_child:
            self.steps.append(_Step(True, child_path, path))  # noqa: FBT003
        return items

    def _matched(
        self, parent: Item, child: Item, items: list[Item], parent_path: Path, child_path: Path, path: Path
    ) -> None:
        place: Path = (*path, len(items))
        if not isinstance(parent, Record) or not isinstance(child, Record):
            items.append(child)
            self._note_item(child, child_path, place, is_child=True)
            return
        if child.type.name == "HTTPHeader" and child.text("value") is None:
            return  # a header without a value takes the parent's away
        items.append(self.record(parent, parent_path, child, child_path, place))
        self._note_both(parent_path, child_path, place)

    def _append(
        self, added: list[Item], items: list[Item], from_: Path, path: Path, *, is_child: bool, first: int = 0
    ) -> None:
        for index, item in enumerate(added, first):
            self._note_item(item, (*from_, index), (*path, len(items)), is_child=is_child)
            items.append(item)

    def _take(self, value: Value, field: Field, from_: Path, to: Path, *, is_child: bool) -> Value:
        if value is not None and (value or field.target.is_optional):
            self._note(value, from_, to, is_child=is_child)
        return value

    def _note(self, value: Value, from_: Path, to: Path, *, is_child: bool) -> bool:
        """Note a value and all that is set in it, the inner before the outer; whether anything was."""
        if isinstance(value, Record):
            noted = [
                self._note_field(field, value.values.get(field.key), from_, to, is_child=is_child)
                for field in value.type.fields
            ]
            if not any(noted):
                return False
        elif isinstance(value, list):
            noted = [
                self._note_item(item, (*from_, index), (*to, index), is_child=is_child)
                for index, item in enumerate(value)
            ]
            if not any(noted):
                return False
        self.steps.append(_Step(is_child, from_, to))
        return True

    def _note_item(self, item: Item, from_: Path, to: Path, *, is_child: bool) -> bool:
        return item != "" and self._note(item, from_, to, is_child=is_child)

    def _note_field(self, field: Field, value: Value, from_: Path, to: Path, *, is_child: bool) -> bool:
        if value is None or (not value and field.target.scalar is not None and not field.target.is_optional):
            return False
        return self._note(value, (*from_, field.key), (*to, field.key), is_child=is_child)

    def _note_both(self, parent_path: Path, child_path: Path, path: Path) -> None:
        self.steps.append(_Step(False, parent_path, path))  # noqa: FBT003
        self.steps.append(_Step(True, child_path, path))  # noqa: FBT003


def _children_by_key(child: Record) -> dict[tuple[str, str], tuple[str, int]]:
    """Key space and key to list and index."""
    found: dict[tuple[str, str], tuple[str, int]] = {}
    for field in child.type.fields:
        if field.target.element is None or may_repeat(child.type, field.key):
            continue
        space = key_space(child.type, field.key)
        for index, item in enumerate(child.items(field.key)):
            found[space, key_of(item)] = (field.key, index)
    return found
