"""Many tables in one operation of a migration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import CreateModel
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState


class AtOnce(Operation):
    """New tables, made as they are when all the operations are done; one by one each would render all models anew.

    What is added to a table afterwards (fields, indexes, constraints) has to be added to one that is made here.
    """

    reduces_to_sql = True
    reversible = True

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = list(operations)
        self._made = [one for one in self.operations if isinstance(one, CreateModel)]
        names = {one.name_lower for one in self._made}
        others = {str(getattr(one, "model_name_lower", one)) for one in self.operations if one not in self._made}
        if others - names:
            raise ValueError(f"Not made here: {', '.join(sorted(others - names))}")

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        # Models that are not rendered are not rendered again with each operation; whoever needs them renders them.
        state.__dict__.pop("apps", None)
        for one in self.operations:
            one.state_forwards(app_label, state)

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        for one in self._made:
            model = to_state.apps.get_model(app_label, one.name)
            if self.allow_migrate_model(schema_editor.connection.alias, model):
                schema_editor.create_model(model)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        for one in reversed(self._made):
            model = from_state.apps.get_model(app_label, one.name)
            if self.allow_migrate_model(schema_editor.connection.alias, model):
                schema_editor.delete_model(model)

    def describe(self) -> str:
        return f"Create {len(self._made)} models at once"
