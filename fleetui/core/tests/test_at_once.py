from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, models
from django.db.migrations.operations import AddField, AddIndex, CreateModel
from django.db.migrations.state import ProjectState

from fleetui.core.at_once import AtOnce

KEY = ("id", models.BigAutoField(primary_key=True))


def reference(to: str) -> Any:
    return models.ForeignKey(to, on_delete=models.CASCADE, null=True)


def two_tables() -> AtOnce:
    """Each refers to the other one."""
    return AtOnce(
        [
            CreateModel("Hen", [KEY, ("name", models.CharField(max_length=20))]),
            CreateModel("Egg", [KEY, ("hen", reference("core.hen"))]),
            AddField("hen", "egg", reference("core.egg")),
            AddIndex("hen", models.Index(fields=["name", "egg"], name="hen_name_egg")),
        ]
    )


@pytest.mark.django_db(transaction=True)
def test_tables_that_refer_to_each_other_are_made_whole_and_go_again() -> None:
    before, after = ProjectState(), ProjectState()
    operation = two_tables()
    operation.state_forwards("core", after)
    with connection.schema_editor() as editor:
        operation.database_forwards("core", editor, before, after)
    try:
        with connection.cursor() as cursor:
            columns = {column.name for column in connection.introspection.get_table_description(cursor, "core_hen")}
            constraints = connection.introspection.get_constraints(cursor, "core_hen")
        assert columns == {"id", "name", "egg_id"}
        assert constraints["hen_name_egg"]["columns"] == ["name", "egg_id"]
        assert any(one["foreign_key"] == ("core_egg", "id") for one in constraints.values())
        hen, egg = (after.apps.get_model("core", name) for name in ("Hen", "Egg"))
        hen.objects.create(name="a", egg=egg.objects.create())
        assert egg.objects.get(hen=None) == hen.objects.get().egg
    finally:
        with connection.schema_editor() as editor:
            operation.database_backwards("core", editor, after, before)
    assert not {"core_hen", "core_egg"} & set(connection.introspection.table_names())


def test_what_is_added_to_another_table_is_refused() -> None:
    with pytest.raises(ValueError, match="Not made here: node"):
        AtOnce([CreateModel("Hen", [KEY]), AddField("node", "hen", reference("core.hen"))])
