"""A node that nobody has contacted says so: `reason=not_contacted` found none that was just added."""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

NEW = {
    "reachability": ("never_seen", "not_contacted"),
    "health": ("unknown", "no_facts"),
    "update_state": ("unknown", "no_facts"),
}


def say_why(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    nodes = apps.get_model("nodes", "Node").objects.using(schema_editor.connection.alias).order_by()
    for axis, (value, reason) in NEW.items():
        nodes.filter(**{axis: value, f"{axis}_reason": ""}).update(**{f"{axis}_reason": reason})


class Migration(migrations.Migration):
    dependencies = [("nodes", "0022_polls_asked_for")]

    operations = [
        # Defaults are Django's alone; SQLite would make the table anew for them.
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    "node",
                    f"{axis}_reason",
                    models.CharField(blank=True, default=reason, editable=False, max_length=50),
                )
                for axis, (_value, reason) in NEW.items()
            ]
        ),
        migrations.RunPython(say_why, migrations.RunPython.noop),
    ]
