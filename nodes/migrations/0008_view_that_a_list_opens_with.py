from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("nodes", "0007_ignition_versions")]

    operations = [
        migrations.AddField(
            model_name="columnchoice",
            name="opens_with",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to="nodes.savedview"
            ),
        ),
    ]
